"""Whether an engine can run a model is checked when it is locked: the lists match the libraries, refusals help."""

import pytest
import transformers
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from models import manifest
from models.errors import EngineError
from models.facts import Facts
from models.tasks.text_generation import suitability
from models.tasks.text_generation.manifest import Manifest

NAMES = ["config.json", "model.safetensors", "tokenizer.json"]
MODEL = manifest.selected_as(Manifest)


def test_transformers_can_batch_every_listed_architecture() -> None:
    classes = {kind: MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[kind] for kind in suitability.TRANSFORMERS}
    for kind, name in classes.items():
        model = getattr(transformers, name)
        assert model._supports_attention_backend, kind
        assert not model._is_stateful, kind


@pytest.mark.parametrize(
    ("facts", "names", "says"),
    [
        (
            {"architecture": "mamba"},
            NAMES,
            "has a recurrent state, .* no engine here can batch it.*; no other engine can",
        ),
        (
            {"architecture": "t5", "is_encoder_decoder": True},
            NAMES,
            "t5 has an encoder, and text-generation runs decoders",
        ),
        (
            {"architecture": "llama", "quantization": "awq"},
            NAMES,
            "quantised by awq, which needs a package that no image has, take .* rounds it with quantisation: int4",
        ),
        ({"architecture": "phi3small", "has_code": True}, NAMES, "needs code of its repository, which is never run"),
        ({}, NAMES[1:], "there is no config.json with a model_type beside them"),
        (
            {"architecture": "olmo3"},
            NAMES,
            "openvino cannot run .*optimum-intel does not run .*; name transformers in place",
        ),
        ({"architecture": "bloom"}, NAMES, "transformers cannot run .*; name openvino in place of it under `engines`"),
        ({"architecture": "llama"}, NAMES[:2], "there is no tokenizer.json, make one"),
        (
            {"architecture": "rwkv7"},
            ["model.gguf"],
            "GGUFs of the architecture rwkv7 cannot be read, take the model's safetensors",
        ),
    ],
)
def test_a_model_that_an_engine_cannot_run_is_refused_with_the_remedy(
    facts: dict[str, str], names: list[str], says: str
) -> None:
    with pytest.raises(EngineError, match=says):
        suitability.check(MODEL, Facts.model_validate(facts), names)


@pytest.mark.parametrize(
    ("architecture", "names"),
    [("llama", NAMES), ("gemma3_text", NAMES), ("gpt2", ["model.gguf"]), ("llama", ["model.gguf"])],
)
def test_a_model_that_all_engines_can_run_passes(architecture: str, names: list[str]) -> None:
    suitability.check(MODEL, Facts(architecture=architecture), names)


def test_openvino_accepts_its_own_format_and_a_sentencepiece_tokenizer() -> None:
    openvino = MODEL.model_copy(update={"engines": [MODEL.engine_on("cpu")]})
    suitability.check(openvino, Facts(), ["openvino_model.xml", "openvino_model.bin"])
    suitability.check(openvino, Facts(architecture="llama"), ["config.json", "model.safetensors", "tokenizer.model"])
