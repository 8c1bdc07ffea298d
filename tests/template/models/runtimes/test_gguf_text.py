"""A GGUF's tokenizer, templates and end tokens are written like those in the model's own repository."""

import json
from pathlib import Path
from typing import Any

import pytest
import transformers
from tokenizers import Regex, pre_tokenizers

from models import weights
from models.errors import EngineError
from models.runtimes.gguf import splits
from models.runtimes.gguf import text as gguf_text
from models.tasks.text_generation import model_files
from models.tasks.text_generation.tokenizer import Tokenizer
from models.weights import gguf_format
from tests import tiny_models, tiny_tokenizers
from tests.template.models.tasks.text_generation.engines.helpers import MODEL, TEXT

DEFAULT_IDS = [504, 3426, 506, 216, 34, 32, 36, 37, 15486, 46494, 17097, 137, 112, 36518, 8866, 1924]
TEXTS = [
    "The capital of France is Paris.",
    "  two  spaces",
    "12 345",
    "naïve 漢字 👩‍👧",
    "a<|end|>b</s>",
    "one\n\n\ttwo ",
    "",
]


def written(folder: Path, tokenizer: str = "byte-level", **metadata: Any) -> Path:
    """The text files of a tiny GGUF."""
    file = tiny_models.gguf(folder / "model.gguf", "llama", tokenizer, **metadata)
    gguf_text.write(gguf_format.read(file), folder)
    return folder


def read(folder: Path) -> Tokenizer:
    return Tokenizer(model_files.read(folder))


@pytest.mark.parametrize("kind", tiny_tokenizers.KINDS)
def test_a_text_gets_the_tokens_of_the_model_s_own_tokenizer(tmp_path: Path, kind: str) -> None:
    tokenizer, own = read(written(tmp_path, kind)), tiny_tokenizers.build(kind)
    for text in TEXTS:
        token_ids = own.encode(text, add_special_tokens=False).ids
        assert tokenizer.encode(text) == token_ids
        assert tokenizer.decode(token_ids) == own.decode(token_ids)


@pytest.mark.parametrize("kind", ["byte-level", "byte-fallback"])
def test_a_text_gets_the_tokens_of_transformers_own_conversion(tmp_path: Path, kind: str) -> None:
    tokenizer = read(written(tmp_path, kind))
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path, gguf_file="model.gguf")
    for text in [text for text in TEXTS if not text.startswith(" ")]:
        assert tokenizer.encode(text) == theirs.encode(text, add_special_tokens=False)


def test_the_default_model_s_text_gets_its_tokens() -> None:
    """The expected tokens are those of OpenVINO's own reader for this GGUF and of Hugging Face's tokenizer."""
    tokenizer = read(weights.folder(MODEL.slug, "openvino"))
    assert tokenizer.encode("The sea's 2045 naïve 漢字\n\n  words") == DEFAULT_IDS
    assert len(tokenizer.encode(TEXT)) == 2045


@pytest.mark.parametrize("pattern", sorted({pattern for split in splits._KINDS for pattern in split.patterns}))
def test_the_library_supports_every_split_pattern(pattern: str) -> None:
    text = "I'll say 2045: naïve 漢字。  \n  Done"
    cut = pre_tokenizers.Split(Regex(pattern), behavior="isolated").pre_tokenize_str(text)
    assert "".join(word for word, _ in cut) == text
    assert len(cut) > 1


@pytest.mark.parametrize(("name", "words"), [("wonderful-bpe", 2), ("llama-bpe", 1)])
def test_digits_are_split_as_the_pre_tokenizer_s_name_says(tmp_path: Path, name: str, words: int) -> None:
    if name == "wonderful-bpe":
        with pytest.raises(EngineError, match=r"^the GGUF names the pre-tokenizer 'wonderful-bpe', which is not known"):
            written(tmp_path, pre=name)
        return
    cut = read(written(tmp_path, pre=name))._tokenizer.pre_tokenizer.pre_tokenize_str("123")
    assert len(cut) == words


def test_a_gguf_that_names_no_split_or_an_unknown_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"^the GGUF names no pre-tokenizer \(tokenizer\.ggml\.pre\): use a newer"):
        written(tmp_path, pre=None)
    with pytest.raises(EngineError, match=r"^the GGUF has a tokenizer of the kind 'rwkv', and gpt2, llama, t5, bert"):
        written(tmp_path, model="rwkv")


def test_the_end_tokens_are_the_file_s_eos_eot_and_eom(tmp_path: Path) -> None:
    assert _json(written(tmp_path, eot_token_id=3, eom_token_id=9), "generation_config")["eos_token_id"] == [2, 3, 9]
    assert _json(written(tmp_path, eos_token_id=None), "generation_config")["eos_token_id"] is None
    assert _json(written(tmp_path, eos_token_id=99_999), "generation_config")["eos_token_id"] is None


@pytest.mark.parametrize(
    ("kind", "metadata", "begins"),
    [
        ("byte-level", {}, False),
        ("byte-level", {"add_bos_token": True}, True),
        ("byte-level", {"pre": "llama-bpe"}, True),
        ("byte-level", {"pre": "llama-bpe", "add_bos_token": False}, False),
        ("byte-fallback", {}, True),
        ("byte-fallback", {"add_bos_token": False}, False),
        ("unigram", {}, False),
    ],
)
def test_the_begin_token_follows_the_file_or_the_default_of_its_tokenizer(
    tmp_path: Path, kind: str, metadata: dict[str, Any], begins: bool
) -> None:
    tokenizer = read(written(tmp_path, kind, **metadata))
    plain = tokenizer.encode("The sea")
    assert tokenizer.encode_beginning("The sea") == ([1, *plain] if begins else plain)


def test_sampling_settings_and_templates_are_written(tmp_path: Path) -> None:
    more = {"temp": 0.5, "penalty_repeat": 1.25, "min_p": 0.25}
    named = {f"general.sampling.{name}": value for name, value in more.items()}
    written(tmp_path, **named, **{"tokenizer.chat_template.tool_use": "tools"})
    config = _json(tmp_path, "generation_config")
    assert (config["temperature"], config["repetition_penalty"], config["min_p"]) == (0.5, 1.25, 0.25)
    assert model_files.read(tmp_path).templates == {"default": tiny_tokenizers.CHAT_TEMPLATE, "tool_use": "tools"}


def test_repeated_empty_or_invalid_tokens_do_not_move_the_others(tmp_path: Path) -> None:
    own = tiny_tokenizers.build("byte-level")
    tokens: list[Any] = [own.id_to_token(token_id) for token_id in range(own.get_vocab_size())]
    tokens += ["The", "", b"\xa1\xff"]
    tokenizer = read(written(tmp_path, tokens=tokens, token_type=None))
    assert tokenizer.encode("The sea") == own.encode("The sea").ids
    assert tokenizer.count == len(tokens)


def _json(folder: Path, stem: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / f"{stem}.json").read_text())
    return content
