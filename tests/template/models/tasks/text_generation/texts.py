"""A model's text files in a folder. Its tokens are the bytes of UTF-8, or those of a small real tokenizer."""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from models import manifest
from models.tasks.text_generation import Request
from models.tasks.text_generation.model_text import ModelText
from scripts.contract import schema
from tests import tiny_tokenizers

END = 256
"""The id of </s> if tokens are bytes; a byte is its own id."""

TEMPLATE = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}"


def byte_text(folder: Path, template: Any = TEMPLATE, **changes: Any) -> ModelText:
    """A model whose tokens are bytes. `changes`: JSON files by their stem, and keys of the manifest."""
    spell = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer = Tokenizer(models.BPE(vocab=_bytes_vocabulary(), merges=[]))
    tokenizer.pre_tokenizer, tokenizer.decoder = spell, decoders.ByteLevel()
    tokenizer.add_special_tokens(["</s>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"eos_token": "</s>", "chat_template": template}
    return _model_text(folder, config, changes)


def real_text(folder: Path, kind: str, **changes: Any) -> ModelText:
    """A model with one of tests/tiny_tokenizers.py."""
    tiny_tokenizers.save(kind, folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    return _model_text(folder, config, changes)


def _model_text(folder: Path, tokenizer_config: dict[str, Any], changes: dict[str, Any]) -> ModelText:
    tokenizer_config = tokenizer_config | changes.pop("tokenizer_config", {})
    files = {"tokenizer_config": {key: value for key, value in tokenizer_config.items() if value is not None}}
    files |= {name: changes.pop(name) for name in ("generation_config", "config") if name in changes}
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return ModelText(folder, manifest.selected().model_copy(update={"system_prompt": None, **changes}))


def _bytes_vocabulary() -> dict[str, int]:
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {chr(byte): byte for byte in visible} | {chr(256 + number): byte for number, byte in enumerate(hidden)}


def request(**given: Any) -> Request:
    """A request with these inputs, and predict.py's defaults for the others."""
    properties = schema.generate("TextGeneration")["components"]["schemas"]["Input"]["properties"]
    return Request(**{name: described.get("default") for name, described in properties.items()} | given)
