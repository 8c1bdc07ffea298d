"""A model that cannot fit the hardware of its manifest is refused with the numbers and the keys that change them."""

from typing import Any

import pytest

from models import manifest
from models.facts import Facts
from models.manifest import Hardware, Manifest
from models.tasks.text_generation.manifest import EngineChoice
from scripts import weights_info
from scripts.hardware import fit
from scripts.release import gate, target
from scripts.release.release import Refused, Release

MODEL = manifest.selected()
LLAMA_8B = Facts(parameters=8_030_261_248, embedding_parameters=1_050_673_152)


def on(sku: str) -> Manifest:
    return MODEL.model_copy(update={"hardware": Hardware(replicate=sku, memory_gb=1)})


def choice(**keys: Any) -> EngineChoice:
    return EngineChoice(**{"engine": "transformers", "device": "cuda", "dtype": "bfloat16", "cache_gb": 4} | keys)


@pytest.mark.parametrize(
    ("sku", "keys", "says"),
    [
        ("gpu-l40s", {}, ""),
        ("gpu-t4", {"quantisation": "int4"}, ""),
        ("gpu-t4", {"quantisation": "int8"}, ""),
        ("cpu", {"device": "cpu"}, ""),
        ("a-hardware-of-tomorrow", {}, ""),
        (
            "gpu-t4",
            {},
            "model.yaml: hardware.replicate: gpu-t4 has 16 GB, of which 90% are for weights and cache, and "
            "transformers on cuda in bfloat16 needs 16.1 GB of weights and 4.3 GB beside them: set it to "
            "gpu-a40-small or gpu-a40-large, or lower cache_gb, or add quantisation: int4",
        ),
        (
            "gpu-t4",
            {"quantisation": "int4", "cache_gb": 9},
            "needs 6.0 GB of weights and 9.7 GB beside them: set it to",
        ),
        ("gpu-l40s", {"cache_gb": 100}, "no single GPU of Replicate has that much, and the engine uses one: take less"),
        ("gpu-l40s-2x", {}, "gpu-l40s-2x has 2 GPUs, and the engine uses one: set it to gpu-a40-small"),
        ("cpu", {}, "has no GPU, and the engine is for cuda: set it to gpu-"),
        ("cpu", {"cache_gb": 100}, "has no GPU, and the engine is for cuda: no single GPU of Replicate has that much"),
    ],
)
def test_a_model_that_cannot_fit_is_refused_with_the_numbers(sku: str, keys: dict[str, Any], says: str) -> None:
    found = fit.refusal(on(sku), choice(**keys), LLAMA_8B)
    assert says in found
    assert bool(says) == bool(found)


def test_weights_info_prints_and_then_refuses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(manifest, "selected", lambda: on("gpu-t4-2x"))
    assert weights_info.main([]) == 1
    printed = capsys.readouterr()
    assert "transformers on cuda in bfloat16: 0.27 GB of weights, 4.29 GB beside them" in printed.out
    assert "gpu-t4-2x has 2 GPUs, and the engine uses one: set it to gpu-t4" in printed.err


def test_the_gate_of_a_push_to_replicate_refuses_too() -> None:
    model = on("gpu-t4-2x").model_copy(update={"release": None})
    to_push = Release(model, "cuda", target.parse("r8.im/ada/model"), may_be_dirty=True)
    with pytest.raises(Refused, match="gpu-t4-2x has 2 GPUs, and the engine uses one"):
        gate.ready(to_push, lambda model: {})
