"""Both engines, small enough to be tested in seconds."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import transformers as library

from models import runtimes, weights
from models.tasks.text_generation import engines, model_files
from models.tasks.text_generation.engines.interface import Engine
from models.tasks.text_generation.engines.openvino import OpenVino
from models.tasks.text_generation.engines.transformers import Transformers
from models.tasks.text_generation.manifest import Architecture, EngineChoice, Manifest
from models.tasks.text_generation.tokenizer import Tokenizer
from scripts.conversion.weights import ensure
from tests import tiny_models
from tests.template.models.tasks.text_generation.engines.helpers import MODEL, choice_of


@pytest.fixture(scope="session")
def real() -> OpenVino:
    """The real model in OpenVINO."""
    choice = choice_of(MODEL, "openvino")
    ensure(MODEL, choice)
    engine: OpenVino = engines.load(MODEL, choice, weights.folder(MODEL.slug, "openvino"))
    return engine


@pytest.fixture(scope="session")
def float32() -> library.PreTrainedModel:
    """The reference: the downloaded weights in transformers and float32."""
    ensure(MODEL, choice_of(MODEL, "openvino"))
    source = weights.gguf_file(MODEL)
    return library.AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, EngineChoice, Path]:
    """A randomly initialised Llama of two layers with the real tokenizer, for transformers on this machine."""
    folder = tmp_path_factory.mktemp("tiny")
    ensure(MODEL, choice_of(MODEL, "transformers"))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(weights.folder(MODEL.slug, "transformers") / name, folder)
    tokenizer = Tokenizer(model_files.read(folder))
    torch.manual_seed(0)
    config = library.LlamaConfig(
        vocab_size=tokenizer.count,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.3,
    )
    library.LlamaForCausalLM(config).save_pretrained(folder)
    shape = Architecture(layers=2, kv_heads=2, head_dim=16)
    on_gpu = {"device": "cuda", "dtype": "float16"} if torch.cuda.is_available() else {}
    keys = {"engine": "transformers", "device": "cpu", "dtype": "float32", "cache_gb": 0.01} | on_gpu
    return MODEL.model_copy(update={"architecture": shape}), EngineChoice.model_validate(keys), folder


@pytest.fixture(scope="session")
def tiny_openvino(tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, EngineChoice, Path]:
    """A randomly initialised Llama of two layers with a small tokenizer, for OpenVINO."""
    folder = tmp_path_factory.mktemp("tiny-openvino")
    file = tiny_models.gguf(folder / "model.gguf", "llama", **{"llama.context_length": 8192})
    runtimes.module("openvino").convert(file, folder, "float16")
    shape = Architecture(layers=2, kv_heads=2, head_dim=64)
    choice = EngineChoice(engine="openvino", device="cpu", dtype="float16", cache_gb=0.1)
    return MODEL.model_copy(update={"architecture": shape}), choice, folder


@pytest.fixture(scope="session")
def openvino(tiny_openvino: tuple[Manifest, EngineChoice, Path]) -> OpenVino:
    engine: OpenVino = engines.load(*tiny_openvino)
    return engine


@pytest.fixture(scope="session")
def transformers(tiny: tuple[Manifest, EngineChoice, Path]) -> Iterator[Transformers]:
    engine: Transformers = engines.load(*tiny)
    yield engine
    engine.stop()


@pytest.fixture
def breakable(tiny: tuple[Manifest, EngineChoice, Path]) -> Iterator[Transformers]:
    """An engine for a single test, which may make its batches fail."""
    engine: Transformers = engines.load(*tiny)
    yield engine
    engine.stop()


@pytest.fixture(params=["openvino", "transformers"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each engine, one after another."""
    found: Engine = request.getfixturevalue(request.param)
    return found
