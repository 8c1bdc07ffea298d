"""A model's files are followed: where an answer ends, how a text begins, how tokens are chosen."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import transformers

from models.errors import InputError, WeightsError
from models.tasks.text_generation import model_files
from models.tasks.text_generation.manifest import SamplingChoice
from models.tasks.text_generation.model_text import ModelText
from models.tasks.text_generation.tokenizer import Tokenizer
from tests import tiny_tokenizers
from tests.template.models.tasks.text_generation.texts import END, byte_text, real_text

USER = [{"role": "user", "content": "Hi"}]
PLAIN = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


@pytest.mark.parametrize(
    ("contents", "ends"),
    [
        ({}, {END}),
        ({"generation_config": {"eos_token_id": 7}}, {7, END}),
        ({"generation_config": {"eos_token_id": [7, 8]}, "config": {"eos_token_id": 9}}, {7, 8, 9, END}),
        ({"config": {"text_config": {"eos_token_id": [9]}}}, {9, END}),
        ({"generation_config": {"eos_token_id": None}, "config": {"eos_token_id": -1}}, {END}),
        ({"tokenizer_config": {"eos_token": {"content": "</s>", "lstrip": False}}}, {END}),
        ({"tokenizer_config": {"eos_token": None}}, set()),
    ],
)
def test_an_answer_ends_at_every_token_that_a_file_names(
    tmp_path: Path, contents: dict[str, Any], ends: set[int]
) -> None:
    assert byte_text(tmp_path, PLAIN, **contents).end_ids == ends


def test_the_special_token_that_the_template_writes_after_an_answer_ends_it(tmp_path: Path) -> None:
    """For a GGUF or a repository whose files name only the token that ends a text."""
    text = real_text(tmp_path, "byte-fallback")
    assert {text.tokenizer.text_of(token_id) for token_id in text.end_ids} == {"</s>", "<|end|>"}


def test_a_model_without_end_tokens_refuses_chats_and_continues_raw_prompts(tmp_path: Path) -> None:
    text = byte_text(tmp_path, PLAIN, tokenizer_config={"eos_token": None})
    with pytest.raises(InputError, match=r"^this model names no token that ends an answer, .* send prompt with raw"):
        text.chat_ids(USER, None, {}, "prompt")
    assert text.raw_ids("Hi") == [*b"Hi"]


def test_a_model_without_a_template_refuses_chats_and_continues_raw_prompts(tmp_path: Path) -> None:
    text = byte_text(tmp_path, None)
    with pytest.raises(InputError, match=r"^this model has no chat template: send prompt with raw=true to continue it"):
        text.chat_ids(USER, None, {}, "prompt")
    assert text.raw_ids("Hi") == [*b"Hi"]


@pytest.mark.parametrize("kind", ["byte-level", "byte-fallback", "unigram"])
@pytest.mark.parametrize("asked", [None, True, False])
@pytest.mark.parametrize("adds", [True, False])
def test_a_raw_prompt_begins_with_the_same_tokens_as_in_transformers(
    tmp_path: Path, kind: str, asked: bool | None, adds: bool
) -> None:
    config = {} if asked is None else {"add_bos_token": asked}
    text = real_text(tmp_path, kind, tokenizer_config=config)
    if adds:
        _add_begin_token(tmp_path / "tokenizer.json")
        text = ModelText(tmp_path, text._manifest)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    if asked is None:
        assert text.raw_ids("The sea") == theirs.encode("The sea")
    begins = adds if asked is None else asked
    assert (text.raw_ids("The sea")[0] == 1) == begins
    assert text.raw_ids("<s>The sea")[:2].count(1) == 1


def test_a_rendered_template_gets_no_second_begin_token(tmp_path: Path) -> None:
    text = real_text(tmp_path, "byte-fallback", tokenizer_config={"add_bos_token": True})
    token_ids = text.chat_ids(USER, None, {}, "prompt")
    assert token_ids.count(1) == 1
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert token_ids == theirs.apply_chat_template(USER, add_generation_prompt=True, return_dict=False)


HERE = {"temperature": 0.7, "top_p": 0.95, "top_k": 50, "repetition_penalty": 1.0}


@pytest.mark.parametrize(
    ("generation_config", "manifest", "sampling"),
    [
        ({}, {}, {}),
        ({"temperature": 0.6, "top_k": 20}, {}, {"temperature": 0.6, "top_k": 20}),
        ({"temperature": None}, {}, {}),
        ({"do_sample": False, "temperature": 0.6}, {}, {"temperature": 0}),
        ({"do_sample": True, "top_k": 64}, {}, {"temperature": 1, "top_p": 1, "top_k": 64}),
        ({"top_k": -1, "repetition_penalty": 1.1}, {}, {"top_k": 0, "repetition_penalty": 1.1}),
        ({"temperature": 0.6, "top_p": 0.8}, {"temperature": 0.2}, {"temperature": 0.2, "top_p": 0.8}),
        ({"do_sample": False}, {"temperature": 0.2}, {"temperature": 0.2}),
    ],
)
def test_sampling_defaults_come_from_the_manifest_then_the_model_then_this_template(
    tmp_path: Path, generation_config: dict[str, Any], manifest: dict[str, Any], sampling: dict[str, float]
) -> None:
    text = byte_text(tmp_path, generation_config=generation_config, sampling=SamplingChoice(**manifest))
    assert text.sampling == {**HERE, **sampling}


def test_the_log_names_settings_that_are_not_honoured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = {
        "min_p": 0.05,
        "num_beams": 4,
        "typical_p": 1.0,
        "max_new_tokens": 2048,
        "temperature": 0.6,
        "use_cache": True,
    }
    byte_text(tmp_path, generation_config=config).describe()
    log = capsys.readouterr().out
    assert "generation_config.json also has max_new_tokens, min_p, num_beams, which is not honoured" in log
    assert "an answer ends at </s>" in log
    assert "temperature 0.6" in log


def test_truncation_and_padding_of_the_tokenizer_are_off(tmp_path: Path) -> None:
    tiny_tokenizers.save("byte-level", tmp_path)
    described = json.loads((tmp_path / "tokenizer.json").read_text())
    described["truncation"] = {"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    described["padding"] = {
        "strategy": {"Fixed": 64},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "<unk>",
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(described))
    text = "The capital of France is Paris, and the sea is salty."
    assert Tokenizer(model_files.read(tmp_path)).encode(text) == tiny_tokenizers.build("byte-level").encode(text).ids


def test_a_model_without_tokenizer_json_is_refused_with_the_command_that_makes_one(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.model").write_bytes(b"sentencepiece")
    with pytest.raises(WeightsError, match=r"has no tokenizer\.json, .*AutoTokenizer\.from_pretrained\(FOLDER\)"):
        Tokenizer(model_files.read(tmp_path))


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "generation_config.json"])
@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_file_that_is_not_a_json_object_is_named(tmp_path: Path, name: str, content: str) -> None:
    text = byte_text(tmp_path)
    (tmp_path / name).write_text(content)
    with pytest.raises(WeightsError, match=rf"{name}"):
        ModelText(tmp_path, text._manifest)


def test_templates_are_found_in_every_file_that_may_have_them(tmp_path: Path) -> None:
    tiny_tokenizers.save("byte-level", tmp_path, chat_template=None)
    assert model_files.read(tmp_path).templates == {}
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": "of a processor"}))
    assert model_files.read(tmp_path).templates == {"default": "of a processor"}
    (tmp_path / "chat_template.jinja").write_text("of a file")
    (tmp_path / "additional_chat_templates").mkdir()
    (tmp_path / "additional_chat_templates" / "tool_use.jinja").write_text("for tools")
    assert model_files.read(tmp_path).templates == {"default": "of a file", "tool_use": "for tools"}
    shutil.rmtree(tmp_path / "additional_chat_templates")


def _add_begin_token(file: Path) -> None:
    """Add a begin token as in Llama's tokenizer.json."""
    described = json.loads(file.read_text())
    begin = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    described["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [begin, text],
        "pair": [begin, text, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
    }
    file.write_text(json.dumps(described))
