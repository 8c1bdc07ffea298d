"""Reads what a model's files say about its text: begin and end tokens, special tokens, chat templates.

The files are those of a Hub repository; for a GGUF, models/runtimes/gguf/text.py writes them.
https://huggingface.co/docs/transformers/main_classes/tokenizer
https://huggingface.co/docs/transformers/main_classes/text_generation
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.json_files import read_json

_SPECIAL = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclass(frozen=True)
class ModelFiles:
    """The JSON files beside a model's weights, empty if missing, and its chat templates by name."""

    folder: Path
    config: dict[str, Any]
    generation_config: dict[str, Any]
    tokenizer_config: dict[str, Any]
    special_tokens: dict[str, str]
    """The texts of `bos_token`, `eos_token` and others, by name; chat templates use them."""
    templates: dict[str, str]


def read(folder: Path) -> ModelFiles:
    """Read the files of a model.

    Raises:
        WeightsError: a file is not JSON, or not an object; says which.
    """
    tokenizer_config = read_json(folder / "tokenizer_config.json")
    named = read_json(folder / "special_tokens_map.json") | tokenizer_config
    special = {name: text for name in _SPECIAL if (text := _text(named.get(name))) is not None}
    return ModelFiles(
        folder=folder,
        config=read_json(folder / "config.json"),
        generation_config=read_json(folder / "generation_config.json"),
        tokenizer_config=tokenizer_config,
        special_tokens=special,
        templates=_templates(folder, tokenizer_config),
    )


def end_ids_of(files: ModelFiles) -> set[int]:
    """The ids of the end tokens that generation_config.json and config.json name; each has one id or a list."""
    configs = [files.generation_config, files.config, files.config.get("text_config") or {}]
    named = [config.get("eos_token_id") for config in configs]
    ids = [token_id for name in named for token_id in (name if isinstance(name, list) else [name])]
    return {token_id for token_id in ids if isinstance(token_id, int) and token_id >= 0}


def _templates(folder: Path, tokenizer_config: dict[str, Any]) -> dict[str, str]:
    """Chat templates by name. Later files override earlier ones, in the same order as in transformers."""
    templates: dict[str, str] = {}
    for config in (tokenizer_config, read_json(folder / "chat_template.json")):
        found = config.get("chat_template")
        if isinstance(found, str):
            templates["default"] = found
        elif isinstance(found, list):
            templates |= {entry["name"]: entry["template"] for entry in found}
    if (file := folder / "chat_template.jinja").is_file():
        templates["default"] = file.read_text(encoding="utf-8")
    for file in sorted((folder / "additional_chat_templates").glob("*.jinja")):
        templates[file.stem] = file.read_text(encoding="utf-8")
    return templates


def _text(token: Any) -> str | None:
    """The text of a special token, which is written as a string or as an object with `content`."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else None
