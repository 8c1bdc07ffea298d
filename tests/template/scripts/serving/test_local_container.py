"""The options of a container."""

from types import SimpleNamespace
from typing import Any

import pytest

from models import runtimes
from scripts.serving import local_container


def client_with(config: str) -> Any:
    """A Docker client whose one image was built by cog with this configuration."""
    image = SimpleNamespace(labels={"run.cog.config": config})
    return SimpleNamespace(images=SimpleNamespace(get=lambda name: image))


@pytest.mark.parametrize(("config", "number"), [('{"build": {"gpu": true}}', 1), ('{"build": {}}', 0), ("{}", 0)])
def test_only_an_image_built_for_a_gpu_gets_a_gpu(config: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "has_cuda_device", lambda: True)
    assert len(local_container.gpus(client_with(config), "image")) == number
    monkeypatch.setattr(runtimes, "has_cuda_device", lambda: False)
    assert local_container.gpus(client_with(config), "image") == []
