"""The task without a server: prefixes, refusals, and the expectations of examples."""

import asyncio
import re
from pathlib import Path
from typing import Any

import numpy
import pytest

from models import manifest
from models.encoders.sentences import SentenceEncoder
from models.encoders.transformers import TransformersEncoder
from models.engine import EngineChoice
from models.errors import InputError, ManifestError
from models.tasks.text_embedding import Request, TextEmbedding
from models.tasks.text_embedding import adapter as task
from models.tasks.text_embedding.manifest import Expectation, Manifest, Nearest
from tests import tiny_encoders

DEFAULTS: dict[str, Any] = {
    "text": None,
    "texts": None,
    "input_type": "passage",
    "normalize": True,
    "dimensions": None,
    "truncate": True,
    "output_format": "json",
}

CHOICE = EngineChoice(engine="transformers", device="cpu", dtype="float32")


def adapter(folder: Path, **changes: Any) -> TextEmbedding:
    model = manifest.load("all-minilm-l6-v2").model_copy(update=changes)
    assert isinstance(model, Manifest)
    return TextEmbedding(SentenceEncoder(TransformersEncoder(CHOICE, folder), None), model)


def embed(model: TextEmbedding, *texts: str, **inputs: Any) -> Any:
    return numpy.array(
        asyncio.run(model.embed(Request(**DEFAULTS | {"texts": list(texts)} | inputs), lambda *metric: None)).embeddings
    )


def test_a_query_and_a_passage_get_their_prefixes(tmp_path: Path) -> None:
    tiny_encoders.xlm_roberta(tmp_path)
    (tmp_path / "config_sentence_transformers.json").write_text('{"prompts": {"query": "sea ", "document": "cat "}}')
    plain, files = adapter(tmp_path, query_prefix="", passage_prefix=""), adapter(tmp_path)
    changed = adapter(tmp_path, query_prefix="川 ")
    assert changed.prefixes == {"query": "川 ", "passage": "cat "}
    for model, kind, text in ((files, "query", "sea a"), (files, "passage", "cat a"), (changed, "query", "川 a")):
        numpy.testing.assert_allclose(embed(model, "a", input_type=kind), embed(plain, text), atol=1e-6)


def test_different_japanese_texts_get_different_vectors(tmp_path: Path) -> None:
    found = embed(adapter(tiny_encoders.xlm_roberta(tmp_path)), "海は塩辛い", "猫が眠る", "海は塩辛い")
    assert numpy.allclose(found[0], found[2], atol=1e-6)
    assert found[0] @ found[1] < 0.999


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> TextEmbedding:
    return adapter(tiny_encoders.xlm_roberta(tmp_path_factory.mktemp("small")))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "send either text or texts"),
        ({"text": "a", "texts": ["b"]}, "text and texts exclude each other"),
        ({"text": "  "}, "text is empty"),
        ({"texts": []}, "texts is empty: send at least one"),
        ({"texts": ["a", ""]}, "text 2 of texts is empty"),
        ({"text": "a", "dimensions": 33}, "dimensions is 33, and the model's vectors have 32"),
        ({"texts": ["a"] * 100_000}, "texts has 100000 texts, and a call takes at most 20000"),
        ({"texts": ["a" * 6_000_000] * 2}, "texts have 12000000 characters, and a call takes at most 10000000"),
        ({"texts": ["a"] * 4}, "4 vectors of 32 numbers are too many for one JSON answer: set output_format to npy"),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_bad_input_is_refused_with_one_sentence(
    small: TextEmbedding, monkeypatch: pytest.MonkeyPatch, inputs: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr(task, "_MOST_NUMBERS", 100)
    with pytest.raises(InputError, match=re.escape(message)):
        asyncio.run(small.embed(Request(**DEFAULTS | inputs), lambda *metric: None))


@pytest.mark.parametrize(
    ("expected", "broken"),
    [
        (Expectation(count=2, dimensions=2, nearest=[Nearest(of=0, to=1)]), []),
        (Expectation(count=3), ["has 2 vectors, not 3"]),
        (Expectation(dimensions=3), ["has vectors of 2 dimensions, not 3"]),
        (Expectation(nearest=[Nearest(of=0, to=2)]), ["has 2 vectors, none at 2"]),
        (Expectation(nearest=[Nearest(of=1, to=1)]), ["has the vector 0 nearest to 1, not 1"]),
    ],
)
def test_an_expectation_names_each_failure(expected: Expectation, broken: list[str]) -> None:
    assert expected.failures({"embeddings": [[1.0, 0.0], [0.9, 0.1]]}, {}) == broken
    assert expected.failures({"embeddings": None, "file": "data:"}, {}) == ["has no embeddings"]


def test_a_model_of_another_task_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL", "smollm2-135m-instruct")
    with pytest.raises(ManifestError, match="is a model for text-generation"):
        manifest.selected_as(Manifest)
