"""Encoders on transformers: tokens, padding and pooling give the results of the libraries that made the models."""

import json
from pathlib import Path
from typing import Any

import numpy
import pytest

from models.encoders import pooling
from models.encoders.tokens import Tokenizer, Tokens
from models.encoders.transformers import TransformersEncoder
from models.engine import EngineChoice
from models.errors import EngineError, InputError, WeightsError
from tests import tiny_encoders

CHOICE = EngineChoice(engine="transformers", device="cpu", dtype="float32")
TEXTS = ["the sea is salty", "a cat", "rivers carry salt and the sea has it", "海は塩辛い", "川が塩を運ぶ。", "Salt"]


@pytest.mark.parametrize(
    ("build", "mode"),
    [
        (tiny_encoders.bert, "mean_tokens"),
        (tiny_encoders.multilingual, "mean_tokens"),
        (tiny_encoders.xlm_roberta, "mean_tokens"),
        (tiny_encoders.xlm_roberta, "cls_token"),
        (tiny_encoders.xlm_roberta, "max_tokens"),
        (tiny_encoders.xlm_roberta, "mean_sqrt_len_tokens"),
    ],
)
def test_vectors_are_those_of_sentence_transformers(build: Any, mode: str, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    folder = build(tmp_path / "model")
    tiny_encoders.sentence_transformer(folder, mode)
    expected = SentenceTransformer(str(folder), device="cpu").encode(TEXTS)
    texts = Tokenizer(folder, None).encode(TEXTS, "texts", cuts=False)
    computed = pooling.of(folder)(TransformersEncoder(CHOICE, folder).run(texts), pooling.lengths(texts))
    numpy.testing.assert_allclose(computed, expected, atol=1e-5)


def test_last_token_pooling_uses_the_last_token_of_each_text() -> None:
    hidden = numpy.arange(2 * 3 * 1, dtype=numpy.float32).reshape(2, 3, 1)
    assert pooling._last(hidden, numpy.array([3, 1])).tolist() == [[2], [3]]


def test_padding_changes_no_vector(tmp_path: Path) -> None:
    encoder = TransformersEncoder(CHOICE, tiny_encoders.xlm_roberta(tmp_path))
    texts = Tokenizer(tmp_path, None).encode(TEXTS, "texts", cuts=False)
    together = encoder.run(texts)
    for row, one in enumerate(texts):
        numpy.testing.assert_allclose(together[row, : len(one.ids)], encoder.run([one])[0], atol=1e-5)


@pytest.mark.parametrize(("build", "limit"), [(tiny_encoders.bert, 64), (tiny_encoders.xlm_roberta, 64)])
def test_the_limit_follows_from_the_positions(build: Any, limit: int, tmp_path: Path) -> None:
    assert Tokenizer(build(tmp_path), None).limit == limit
    (tmp_path / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 16}))
    assert Tokenizer(tmp_path, None).limit == 16
    assert Tokenizer(tmp_path, 8).limit == 8


def test_a_text_that_is_too_long_is_cut_or_refused(tmp_path: Path) -> None:
    tokenizer = Tokenizer(tiny_encoders.bert(tmp_path), 8)
    short, long = tokenizer.encode(["a cat", "salt " * 50], "texts", cuts=True)
    assert (len(short.ids), short.is_cut, len(long.ids), long.is_cut) == (6, False, 8, True)
    assert long.ids[-1] == short.ids[-1] == 3  # its end is kept
    with pytest.raises(InputError, match=r"text 2 of texts has 202 tokens, and the model reads 8: .*truncate"):
        tokenizer.encode(["a cat", "salt " * 50], "texts", cuts=False)


def test_only_the_first_text_of_a_pair_is_cut(tmp_path: Path) -> None:
    tokenizer = Tokenizer(tiny_encoders.bert(tmp_path), 12)
    (pair,) = tokenizer.encode([("salt " * 50, "a cat")], "texts", cuts=True)
    (alone,) = tokenizer.encode(["a cat"], "texts", cuts=True)
    assert (pair.is_cut, pair.ids[-5:], pair.types[-5:]) == (True, alone.ids[1:], [1] * 5)
    with pytest.raises(InputError, match="has more tokens than the model reads"):
        tokenizer.encode([("salt", "cat " * 50)], "texts", cuts=True)


def test_a_sentence_transformer_with_do_lower_case_gets_lower_case(tmp_path: Path) -> None:
    tiny_encoders.xlm_roberta(tmp_path)
    (tmp_path / "sentence_bert_config.json").write_text(json.dumps({"do_lower_case": True}))
    upper, lower = Tokenizer(tmp_path, None).encode(["A CAT", "a cat"], "texts", cuts=True)
    assert upper == lower == Tokens(lower.ids, lower.types)


def test_a_multilingual_model_reads_japanese_and_keeps_capitals(tmp_path: Path) -> None:
    tokenizer = Tokenizer(tiny_encoders.multilingual(tmp_path), None)
    japanese, wide, upper, lower = tokenizer.encode(["海は塩辛い", "\uff53alt", "Salt", "salt"], "texts", cuts=True)
    unknown = 3
    assert unknown not in japanese.ids
    assert wide == lower  # its tokenizer.json asks for NFKC
    assert upper != lower
    assert set(japanese.types) == {0}


def test_an_unsupported_pooling_is_refused_by_name(tmp_path: Path) -> None:
    tiny_encoders.bert(tmp_path)
    tiny_encoders.sentence_transformer(tmp_path, "weightedmean_tokens")
    with pytest.raises(EngineError, match="pools by weightedmean, which is not supported: one of mean, cls"):
        pooling.of(tmp_path)
    (tmp_path / "1_Pooling" / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"add 1_Pooling/config\.json to weights\.files"):
        pooling.of(tmp_path)


def test_an_unsupported_module_is_refused_by_name(tmp_path: Path) -> None:
    tiny_encoders.sentence_transformer(tiny_encoders.bert(tmp_path), "mean_tokens", "Dense")
    with pytest.raises(EngineError, match="with Dense, which is not supported"):
        pooling.of(tmp_path)


def test_a_model_with_missing_tensors_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    tiny_encoders.bert(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    save_file(
        {name: tensor for name, tensor in tensors.items() if "layer.1" not in name}, tmp_path / "model.safetensors"
    )
    with pytest.raises(EngineError, match=r"not a complete model: \d+ tensors are missing \(encoder\.layer\.1"):
        TransformersEncoder(CHOICE, tmp_path)


def test_the_error_for_a_missing_tokenizer_json_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no tokenizer\.json.*save_pretrained"):
        Tokenizer(tmp_path, None)
