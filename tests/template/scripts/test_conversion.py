"""Safetensors of real architectures on OpenVINO: converted, compared, and with the same tokens as in transformers.

All are converted in one process, as its imports take longer than a tiny model; the first time the converter's
environment is made, which takes minutes.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy
import openvino
import openvino_genai
import pytest
import torch

from models.encoders import pooling
from models.encoders.openvino import OpenVinoEncoder
from models.encoders.tokens import Tokenizer, Tokens
from models.encoders.transformers import TransformersEncoder
from models.engine import Dtype, EngineChoice
from models.errors import EngineError, WeightsError
from models.manifest import PROJECT
from models.runtimes import checkpoint
from models.runtimes import openvino as engine
from models.runtimes import transformers as merged
from models.tasks.text_generation import suitability
from models.weights import formats, openvino_format
from scripts.conversion import comparison, encoder, environment
from tests import tiny_encoders, tiny_models

pytestmark = pytest.mark.slow  # the converter's own environment

CHAT_TEMPLATE = "additional_chat_templates/plain.jinja"
LONG, SHORT, ANSWER = 200, 5, 24
EXPORT = """
import json, sys
from pathlib import Path
import optimum.exporters.openvino.model_configs
from optimum.exporters.tasks import TasksManager as tasks
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as known
from scripts.conversion import export
for kind, source, folder, weight_format in json.loads(sys.argv[1]):
    Path(folder).mkdir()
    export.convert(kind, Path(source), Path(folder), weight_format)
kinds = tasks.get_supported_model_type_for_task("text-generation-with-past", "openvino")
print(json.dumps([kind for kind in kinds if kind in known]))
"""
FORMATS_OF: dict[str, tuple[Dtype, ...]] = {
    "bert": ("float16", "int8", "float32"),
    "classifier": ("float16", "int8", "float32"),
    "multilingual": ("float16",),
}
"""The multilingual one is BERT too: it differs in its tokenizer."""
FORMATS = ("float16", "int8", "int4")
OF_GGUF = ("gpt2", "mistral", "gemma3_text")
"""Architectures whose GGUF is converted too, as GenAI's own reader does not know them."""


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with NAME (safetensors), NAME-FORMAT (OpenVINO's files of it, with their reference) of architectures and
    encoders, ARCHITECTURE-gguf (those of its GGUF), and listed.json (the architectures that optimum-intel converts).
    """
    place = tmp_path_factory.mktemp("converted")
    exports: list[tuple[str, ...]] = []
    for architecture in tiny_models.ARCHITECTURES:
        folder = tiny_models.safetensors(place / architecture, architecture)
        (folder / CHAT_TEMPLATE).parent.mkdir()
        (folder / CHAT_TEMPLATE).write_text("{{ messages }}")
        made = FORMATS if architecture == "llama" else FORMATS[:1]
        exports += [("decoder", str(folder), f"{folder}-{dtype}", dtype) for dtype in made]
        if architecture in OF_GGUF:
            gguf = tiny_models.gguf(place / f"{architecture}.gguf", architecture)
            exports.append(("decoder", str(gguf), f"{folder}-gguf", "float16"))
    for build in (tiny_encoders.bert, tiny_encoders.multilingual):
        tiny_encoders.sentence_transformer(build(place / build.__name__), "mean_tokens")
    tiny_encoders.xlm_roberta(place / "classifier", id2label={0: "sea", 1: "land", 2: "sky"})
    for name in FORMATS_OF:
        for dtype in FORMATS_OF[name]:
            exports.append(("encoder", str(place / name), f"{place / name}-{dtype}", dtype))
    environment.make_environment()
    command = [str(environment.python()), "-c", EXPORT, json.dumps(exports)]
    variables = os.environ | {"PYTHONPATH": str(PROJECT)}
    ran = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, env=variables, text=True)
    (place / "listed.json").write_text(ran.stdout.splitlines()[-1])
    yield place
    shutil.rmtree(place)


@pytest.mark.parametrize("architecture", tiny_models.ARCHITECTURES)
def test_openvino_continues_short_and_long_prompts_as_transformers_does(converted: Path, architecture: str) -> None:
    model = checkpoint.load(converted / architecture, dtype=torch.float32)
    for length in (SHORT, LONG):
        prompt = torch.randint(4, 300, (1, length), generator=torch.Generator().manual_seed(length))
        options = {"max_new_tokens": ANSWER, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
        expected = model.generate(prompt, attention_mask=torch.ones_like(prompt), **options)[0, length:].tolist()
        for made_of in ("float16", "gguf") if architecture in OF_GGUF else ("float16",):
            assert greedy(converted / f"{architecture}-{made_of}", prompt.numpy()) == expected


@pytest.mark.parametrize("weight_format", FORMATS)
def test_converted_files_are_within_the_error_bound_and_of_the_expected_size(
    converted: Path, weight_format: str
) -> None:
    folder = converted / f"llama-{weight_format}"
    widths = {kind for kind, shape, _, _ in openvino_format.constants(folder / "openvino_model.xml") if len(shape) > 1}
    assert {"float16": "f16", "int8": "u8", "int4": "u4"}[weight_format] in widths
    kept = (folder / comparison.REFERENCE).read_text()
    assert comparison.check(folder, weight_format) <= comparison.BOUNDS[weight_format]
    (folder / comparison.REFERENCE).write_text(kept)


def test_the_text_files_of_the_source_are_kept(converted: Path) -> None:
    source, made = converted / "llama", converted / "llama-float16"
    names = [str(path.relative_to(source)) for path in source.rglob("*") if path.suffix in (".json", ".jinja")]
    assert {"config.json", "generation_config.json", "tokenizer.json", CHAT_TEMPLATE} <= set(names)
    for name in names:
        assert (made / name).read_bytes() == (source / name).read_bytes(), name


def test_files_of_another_model_are_refused_with_the_numbers(converted: Path, tmp_path: Path) -> None:
    shutil.copytree(converted / "llama-float16", tmp_path / "other")
    shutil.copy(converted / "qwen3-float16" / comparison.REFERENCE, tmp_path / "other")
    with pytest.raises(EngineError, match=r"in float16: log-probabilities differ by \d\.\d+ on average"):
        comparison.check(tmp_path / "other", "float16")


def test_openvino_s_own_format_is_loaded_without_conversion(converted: Path) -> None:
    names = [path.name for path in (converted / "llama-int8").iterdir()]
    taken = formats.selected([*names, "openvino_tokenizer.bin", "openvino_tokenizer.xml"], formats.DEFAULT_PATTERNS)
    assert {*openvino_format.FILES, "config.json", "tokenizer.json"} <= set(taken)
    assert engine.reads(taken)
    assert "openvino_tokenizer.bin" not in taken
    formats.check_header(converted / "llama-int8" / openvino_format.MODEL)
    assert [name for name in taken if formats.is_weights(name)] == [openvino_format.VALUES]
    held = formats.tensors(converted / "llama-int8" / openvino_format.VALUES)
    made = sum(weight.numel() for weight in tiny_models.model("llama").parameters())
    assert made <= sum(tensor.parameters for tensor in held) < 1.1 * made


def test_a_pickle_instead_of_openvino_s_weights_is_refused(converted: Path, tmp_path: Path) -> None:
    shutil.copy(converted / "llama-int8" / openvino_format.MODEL, tmp_path)
    torch.save({"weight": torch.ones(4)}, tmp_path / "openvino_model.bin")
    with pytest.raises(WeightsError, match="its constants do not fill it"):
        formats.check_header(tmp_path / openvino_format.MODEL)
    with pytest.raises(WeightsError, match=r"openvino_model\.bin is a pickle"):
        formats.selected(["openvino_model.bin", "config.json"], ["*.bin", "*.json"])


@pytest.mark.parametrize(
    ("name", "dtype", "tolerance"),
    [*((name, "float16", 2e-3) for name in FORMATS_OF), ("bert", "float32", 1e-5), ("classifier", "float32", 1e-5)],
)
def test_an_encoder_gives_the_same_results_on_openvino_and_transformers(
    converted: Path, name: str, dtype: Dtype, tolerance: float
) -> None:
    choice = EngineChoice(engine="transformers", device="cpu", dtype="float32")
    source, made = TransformersEncoder(choice, converted / name), converted / f"{name}-{dtype}"
    assert encoder.check(made, dtype) <= encoder.BOUNDS[dtype]
    texts = Tokenizer(made, None).encode(
        ["the sea is salty", "川が塩を運ぶ。", "a cat sleeps " * 30], "texts", cuts=True
    )
    served = EngineChoice(engine="openvino", device="cpu", dtype=dtype)
    on_openvino = OpenVinoEncoder(served, made, exactly=dtype != "float32")
    assert on_openvino.dtype == "f32"
    expected, computed = source.run(texts), on_openvino.run(texts)
    assert on_openvino.run(texts[:2])[0].shape[-1] == expected.shape[-1]
    for row, one in enumerate(texts):
        width = None if name == "classifier" else len(one.ids)
        numpy.testing.assert_allclose(computed[row][:width], expected[row][:width], atol=tolerance)
    if name != "classifier":
        pooled = [
            pooling.of(folder)(output, pooling.lengths(texts))
            for folder, output in ((converted / name, expected), (made, computed))
        ]
        numpy.testing.assert_allclose(*pooled, atol=tolerance)


@pytest.mark.parametrize("name", ["bert", "classifier"])
def test_int8_files_are_computed_correctly_as_they_are_served(converted: Path, name: str) -> None:
    assert encoder.check(converted / f"{name}-int8", "int8") <= encoder.BOUNDS["int8"]


@pytest.mark.parametrize(
    ("dtype", "change", "says"),
    [
        ("float16", 0.5, "in float16: its output differs by 0.5 of its norm, over the limit of 0.005"),
        ("float32", 0.0005, "in float32: its output differs by 0.0005 of its norm, over the limit of 0.0001"),
    ],
)
def test_files_of_another_encoder_are_refused_with_the_numbers(
    converted: Path, tmp_path: Path, dtype: Dtype, change: float, says: str
) -> None:
    other = shutil.copytree(converted / f"bert-{dtype}", tmp_path / "other")
    made = OpenVinoEncoder(EngineChoice(engine="openvino", device="cpu", dtype=dtype), other, exactly=True)
    output = made.run([Tokens([2, 9, 3], [0, 0, 0])])[0][:3] / (1 - change)
    (other / comparison.REFERENCE).write_text(json.dumps({"ids": [[2, 9, 3]], "outputs": [output.tolist()]}))
    with pytest.raises(EngineError, match=re.escape(says)):
        encoder.check(other, dtype)


def test_the_exporter_s_version_is_the_pinned_one() -> None:
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)", environment.PINS.read_text(), re.MULTILINE))
    assert engine.EXPORTER["optimum-intel"] == pinned["optimum-intel"]
    assert merged.EXPORTER["peft"] == pinned["peft"]


def test_the_converter_s_environment_stores_torch_only_once() -> None:
    environment.make_environment()
    (shared,) = environment.FOLDER.glob("lib/python*/site-packages/torch/__init__.py")
    assert shared.samefile(torch.__file__)


def greedy(folder: Path, prompt: numpy.ndarray) -> list[int]:
    """The tokens of GenAI's continuous batching for a prompt, in float32."""
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.num_kv_blocks = 16
    pipeline = openvino_genai.ContinuousBatchingPipeline(str(folder), scheduler, "CPU", comparison.EXACT)
    config = openvino_genai.GenerationConfig(max_new_tokens=ANSWER, ignore_eos=True)
    handle = pipeline.add_request(0, openvino.Tensor(prompt), config)
    while pipeline.has_non_finished_requests():
        pipeline.step()
    token_ids: list[int] = []
    while handle.can_read():
        for output in handle.read().values():
            token_ids += output.generated_ids
    return token_ids


def test_optimum_intel_converts_every_listed_architecture(converted: Path) -> None:
    """Each is also a language model of the converter's transformers: none needs code from its repository."""
    assert set(json.loads((converted / "listed.json").read_text())) >= suitability.OPTIMUM
