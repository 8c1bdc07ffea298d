"""A model with a missing tensor, or one of another architecture or shape, is not served."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.errors import EngineError
from models.runtimes.checkpoint import load
from tests import tiny_models

QUERY = "model.layers.0.self_attn.q_proj.weight"
EXPERT = "model.layers.1.mlp.experts.2.up_proj.weight"


@pytest.mark.parametrize("architecture", tiny_models.ARCHITECTURES)
def test_a_complete_model_is_loaded(tmp_path: Path, architecture: str) -> None:
    made = {
        name.replace("model.language_model.", "model."): tensor  # only the language model of a multimodal model
        for name, tensor in tiny_models.model(architecture).state_dict().items()
        if not name.startswith(("model.vision_tower.", "model.multi_modal_projector."))
    }
    loaded = load(tiny_models.safetensors(tmp_path, architecture), dtype=torch.float32).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in made.items())


@pytest.mark.parametrize(
    ("architecture", "missing", "says"),
    [
        (
            "qwen3",
            QUERY,
            rf"is not a complete model, tensors: 1 missing \({QUERY}\); take the weights from another source",
        ),
        ("qwen3_moe", EXPERT, r"does not fit its config\.json, as reported above"),
    ],
)
def test_a_missing_tensor_is_named(tmp_path: Path, architecture: str, missing: str, says: str) -> None:
    file = tiny_models.safetensors(tmp_path, architecture) / "model.safetensors"
    save_file({name: tensor for name, tensor in load_file(file).items() if name != missing}, file, {"format": "pt"})
    with pytest.raises(EngineError, match=says):
        load(tmp_path, dtype=torch.float32)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("model.layers.0.other.weight", r"tensors: 1 unexpected \(model\.layers\.0\.other\.weight\)"),
        (QUERY, r"does not fit its config\.json"),
    ],
)
def test_a_tensor_of_another_architecture_or_shape_is_refused(tmp_path: Path, name: str, says: str) -> None:
    file = tiny_models.safetensors(tmp_path, "qwen3") / "model.safetensors"
    save_file(load_file(file) | {name: torch.zeros(3)}, file, {"format": "pt"})
    with pytest.raises(EngineError, match=says):
        load(tmp_path, dtype=torch.float32)
