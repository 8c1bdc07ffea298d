"""Converts `name=value` from a command line to a prediction's inputs, like `cog predict -i`."""

import base64
import json
import mimetypes
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from models.strict import suggestion
from scripts.cli.command import UsageError
from scripts.contract.document import Node

ToUri = Callable[[bytes, str], str]


def data_uri(content: bytes, name: str) -> str:
    """A file's content as a data: URI; its media type is guessed from its name."""
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def parse(
    pairs: Sequence[str], properties: Mapping[str, Node], to_uri: ToUri = data_uri, stdin: IO[bytes] | None = None
) -> dict[str, Any]:
    """The inputs in `pairs`; `properties`: of the schema's input, from document.parse.

    `@file` reads the value from a file, and `-` from `stdin` without the last line end. A repeated name makes a list.
    JSON is read if the schema expects it. A file input takes a file or a URL; `to_uri` makes a URL from a file's
    content and name. If there are several types, text in JSON quotes is a string.

    Raises:
        UsageError: there is no such input, or its value has the wrong form.
    """
    inputs: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"{pair}: write name=value")
        if name not in properties:
            raise UsageError(f"there is no input {name!r}{suggestion(name, list(properties))}")
        value = _value(_Given(name, text, to_uri, stdin), properties[name])
        if isinstance(inputs.get(name), list) and isinstance(value, list):
            inputs[name] += value
        else:
            inputs[name] = value
    return inputs


def with_prompt(pairs: Sequence[str], environment: Mapping[str, str], properties: Mapping[str, Node]) -> list[str]:
    """The pairs, with the variable PROMPT as the input `prompt` unless they have one.

    Raises:
        UsageError: nothing is given, and the model needs a prompt.
    """
    if "PROMPT" in environment and not any(pair.startswith("prompt=") for pair in pairs):
        return [*pairs, f"prompt={environment['PROMPT']}"]
    if not pairs and "prompt" in properties and properties["prompt"].default is None:
        raise UsageError('say something: PROMPT="Why is the sea salty?", or prompt=...')
    return list(pairs)


def require(inputs: Mapping[str, Any], needed: Iterable[str]) -> None:
    """Check that all `needed` inputs are given.

    Raises:
        UsageError: some are missing; names them.
    """
    missing = [name for name in needed if name not in inputs]
    if missing:
        raise UsageError(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing: write {missing[0]}=...")


@dataclass(frozen=True)
class _Given:
    """One pair: the typed value, and how to read it."""

    name: str
    typed: str
    to_uri: ToUri
    stdin: IO[bytes] | None

    def wrong(self, why: str) -> UsageError:
        return UsageError(f"{self.name}={self.typed}: {why}")

    def content(self) -> bytes | None:
        """The content of a file or of standard input; None if the value itself was typed."""
        if self.typed == "-" and self.stdin:
            return self.stdin.read()
        if not self.typed.startswith("@"):
            return None
        try:
            return Path(self.typed[1:]).read_bytes()
        except OSError as error:
            raise self.wrong(f"cannot read the file: {error}") from error

    def text(self) -> str:
        content = self.content()
        if content is None:
            return self._typed_text()
        try:
            return content.decode().removesuffix("\n") if self.typed == "-" else content.decode()
        except UnicodeDecodeError as error:
            raise self.wrong(f"cannot read the file: {error}") from error

    def _typed_text(self) -> str:
        """Decode as UTF-8 what Python could not decode with the locale's encoding and keeps as surrogates."""
        try:
            has_all = not re.search("[\ud800-\udfff]", self.typed)
            return self.typed if has_all else os.fsencode(self.typed).decode()
        except UnicodeError:
            raise UsageError(f"{self.name}: the value is not UTF-8 text") from None

    def is_file(self) -> bool:
        is_content = self.typed.startswith("@") or (self.typed == "-" and self.stdin is not None)
        return is_content or re.match(r"data:|[a-z][a-z0-9+.-]*://", self.typed) is not None

    def uri(self) -> str:
        if not self.is_file():
            raise self.wrong(f"must be a file, as {self.name}=@PATH, or a URL")
        content = self.content()
        return self.typed if content is None else self.to_uri(content, Path(self.typed[1:]).name)


def _value(given: _Given, node: Node) -> Any:
    kinds = [kind for kind in node.alternatives() if kind.type != "null"]
    texts = [kind for kind in kinds if kind.type == "string" and kind.format != "uri"]
    if given.typed == "null" and _is_nullable(node) and all(kind.enum for kind in texts):
        return None
    files = [kind for kind in kinds if _is_file(kind) or _is_file(kind.items)]
    if files and not given.typed.startswith("[") and (given.is_file() or len(files) == len(kinds)):
        return given.uri() if any(_is_file(kind) for kind in files) else [given.uri()]
    if len(texts) == len(kinds):
        return _chosen(given, texts[0], given.text())
    return _read_as_json(given, kinds, texts)


def _read_as_json(given: _Given, kinds: Sequence[Node], texts: Sequence[Node]) -> Any:
    """The value as JSON if one of the types allows that, or else as text, or as the only item of a list."""
    text = given.text()
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # NaN and surrogates cannot be sent
    except ValueError:
        value = text
    for kind in kinds:
        if kind.type == "array" and _is_file(kind.items) and isinstance(value, list):
            return [replace(given, typed=str(item)).uri() for item in value]
        if _fits(value, kind):
            return _chosen(given, kind, value)
    if texts:
        return _chosen(given, texts[0], text)
    for kind in kinds:
        only = [text if _is_text(kind.items) else value]
        if not isinstance(value, list) and _fits(only, kind):
            return only
    raise given.wrong(f"must be {' or '.join(_described(kind) for kind in kinds)}")


def _chosen(given: _Given, kind: Node, value: Any) -> Any:
    """The value, which must be one of the schema's choices if there are any."""
    if kind.enum and value not in kind.enum:
        known = [str(choice) for choice in kind.enum if choice is not None]
        raise given.wrong(f"is not one of the choices{suggestion(str(value), known)}")
    return value


def _fits(value: Any, kind: Node) -> bool:
    if kind.type == "array":
        return isinstance(value, list) and all(_fits_any(item, kind.items or Node()) for item in value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        "string": isinstance(value, str),
        "integer": is_number and isinstance(value, int),
        "number": is_number,
        "boolean": isinstance(value, bool),
        "object": isinstance(value, dict),
        "null": value is None,
    }
    return fits.get(str(kind.type), False)


def _fits_any(value: Any, node: Node) -> bool:
    return any(_fits(value, kind) for kind in node.alternatives()) or (value is None and _is_nullable(node))


def _is_nullable(node: Node) -> bool:
    return node.nullable or any(kind.nullable or kind.type == "null" for kind in node.alternatives())


def _is_file(node: Node | None) -> bool:
    return node is not None and node.type == "string" and node.format == "uri"


def _is_text(items: Node | None) -> bool:
    return items is not None and items.type == "string"


def _described(kind: Node) -> str:
    if kind.type == "array" and kind.items:
        return f"a list of {' or '.join(f'{one.type}s' for one in kind.items.alternatives())}"
    return _with_article(str(kind.type))


def _with_article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeio' else 'a'} {kind}"
