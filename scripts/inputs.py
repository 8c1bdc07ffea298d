"""`name=value` from a command line to a prediction's inputs, read as `cog predict -i` reads them."""

import difflib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scripts.command import UsageError


def parse(pairs: Sequence[str], properties: dict[str, Any]) -> dict[str, Any]:
    """The inputs that `pairs` give; `properties` are the Input component's of the schema.

    `@file` reads the value from a file, a repeated name makes a list, and JSON is read where the schema wants it.

    Raises:
        UsageError: no such input, or its value has the wrong form.
    """
    inputs: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"-i {pair}: write name=value")
        if name not in properties:
            raise UsageError(f"there is no input {name!r}{_suggestion(name, list(properties))}")
        value = _value(name, _text(name, text), properties[name])
        if name in inputs and isinstance(value, list):
            inputs[name] += value
        else:
            inputs[name] = value
    return inputs


def _text(name: str, text: str) -> str:
    if text.startswith("@"):
        try:
            return Path(text[1:]).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"-i {name}={text}: cannot read the file: {error}") from error
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise UsageError(f"-i {name}: the value is not UTF-8 text")
    return text


def _value(name: str, text: str, field: dict[str, Any]) -> Any:
    kind = field.get("type", "string")
    if kind == "string":
        return text
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if kind == "array":
        return value if isinstance(value, list) else [text if field["items"]["type"] == "string" else value]
    fits = {
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
        "object": isinstance(value, dict),
    }
    if not fits[kind]:
        raise UsageError(f"-i {name}={text}: must be {'an' if kind[0] in 'aeio' else 'a'} {kind}")
    return value


def _suggestion(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f": did you mean {near[0]}?" if near else f": there are {', '.join(known)}"
