"""The error that a person sees when a library cannot load a model."""

from types import SimpleNamespace

import pytest

from models import manifest, runtimes, weights
from models.errors import EngineError, WeightsError


def cannot(*arguments: object) -> None:
    raise KeyError("added_tokens")


def test_a_library_that_cannot_load_the_weights_is_named_with_their_folder_and_a_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = manifest.selected()
    monkeypatch.setattr(runtimes, "module", lambda engine: SimpleNamespace(PACKAGES=(), reads=bool))
    monkeypatch.setattr(runtimes, "choose", lambda model: model.engines[0])
    monkeypatch.setattr(weights, "verify", lambda *arguments: None)
    folder = weights.folder(model.slug, weights.SOURCE)
    name = model.engines[0].engine
    with pytest.raises(EngineError) as refused:
        runtimes.start(model, cannot)
    assert str(refused.value).startswith(f"{name} cannot load {folder} (KeyError: 'added_tokens'): make weights-verify")


def test_damaged_weights_are_reported_instead_of_the_loading_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(*arguments: object) -> None:
        raise WeightsError("model.bin has sha256 1, expected 2: make weights")

    monkeypatch.setattr(runtimes, "module", lambda engine: SimpleNamespace(PACKAGES=(), reads=bool))
    monkeypatch.setattr(runtimes, "choose", lambda model: model.engines[0])
    monkeypatch.setattr(weights, "verify", damaged)
    with pytest.raises(WeightsError, match="expected 2"):
        runtimes.start(manifest.selected(), cannot)
