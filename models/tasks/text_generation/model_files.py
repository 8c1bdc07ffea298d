"""What a model's files say of its text: end and begin tokens, special tokens, chat templates.

The files are those of a repository of the Hub; for a GGUF models/runtimes/gguf/text.py writes them.
https://huggingface.co/docs/transformers/main_classes/tokenizer
https://huggingface.co/docs/transformers/main_classes/text_generation
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import WeightsError

TOKENIZER = "tokenizer.json"
_SPECIAL = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclass(frozen=True)
class ModelFiles:
    """The JSON files beside a model's weights, each empty where there is none, and its chat templates by name."""

    folder: Path
    config: dict[str, Any]
    generation_config: dict[str, Any]
    tokenizer_config: dict[str, Any]
    special_tokens: dict[str, str]
    """Texts by name: `bos_token`, `eos_token` and others, as chat templates use them."""
    templates: dict[str, str]


def read(folder: Path) -> ModelFiles:
    """Read them all.

    Raises:
        WeightsError: a file is not JSON, or there is no tokenizer.json; says what to do.
    """
    if not (folder / TOKENIZER).is_file():
        raise WeightsError(
            f"{folder} has no {TOKENIZER}, which is how a tokenizer is read: with transformers and sentencepiece "
            "installed, AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) makes one from the files that "
            "the model has; put it beside the weights at their source, then: make weights-lock"
        )
    tokenizer_config = _json(folder / "tokenizer_config.json")
    named = _json(folder / "special_tokens_map.json") | tokenizer_config
    special = {name: text for name in _SPECIAL if (text := _text(named.get(name))) is not None}
    return ModelFiles(
        folder=folder,
        config=_json(folder / "config.json"),
        generation_config=_json(folder / "generation_config.json"),
        tokenizer_config=tokenizer_config,
        special_tokens=special,
        templates=_templates(folder, tokenizer_config),
    )


def end_ids_of(files: ModelFiles) -> set[int]:
    """The end tokens that generation_config.json and config.json name, one id or a list."""
    places = [files.generation_config, files.config, files.config.get("text_config") or {}]
    named = [place.get("eos_token_id") for place in places]
    ids = [token_id for name in named for token_id in (name if isinstance(name, list) else [name])]
    return {token_id for token_id in ids if isinstance(token_id, int) and token_id >= 0}


def _templates(folder: Path, tokenizer_config: dict[str, Any]) -> dict[str, str]:
    """Chat templates by name, in the order in which transformers prefers their places."""
    templates: dict[str, str] = {}
    for places in (tokenizer_config, _json(folder / "chat_template.json")):
        said = places.get("chat_template")
        if isinstance(said, str):
            templates["default"] = said
        elif isinstance(said, list):
            templates |= {entry["name"]: entry["template"] for entry in said}
    if (file := folder / "chat_template.jinja").is_file():
        templates["default"] = file.read_text(encoding="utf-8")
    for file in sorted((folder / "additional_chat_templates").glob("*.jinja")):
        templates[file.stem] = file.read_text(encoding="utf-8")
    return templates


def _text(token: Any) -> str | None:
    """A special token is its text, or an object with its text as `content`."""
    said = token.get("content") if isinstance(token, dict) else token
    return said if isinstance(said, str) else None


def _json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise WeightsError(f"{file} is not JSON ({error}): mend it at its source, then: make weights-lock") from error
    return content if isinstance(content, dict) else {}
