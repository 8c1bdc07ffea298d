"""`name=value` from a command line to a prediction's inputs, read as `cog predict -i` reads them."""

import base64
import difflib
import json
import mimetypes
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from scripts.command import UsageError
from scripts.release.document import Node


def data_uri(content: bytes, name: str) -> str:
    """A file's content as a data: URI; its media type is guessed from its name."""
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


@dataclass(frozen=True)
class Reading:
    """How a command line is read.

    `option`: what stands before a pair; `to_uri`: what makes a URI of a file's content and name; `stdin`: what the
    value `-` stands for, where it is not itself; the line end after a text is left out.
    """

    option: str = "-i "
    to_uri: Callable[[bytes, str], str] = data_uri
    stdin: IO[bytes] | None = None


_AS_COG = Reading()


def parse(pairs: Sequence[str], properties: Mapping[str, Any], reading: Reading = _AS_COG) -> dict[str, Any]:
    """The inputs that `pairs` give; `properties` are the Input component's of the schema.

    `@file` reads the value from a file, a repeated name makes a list, and JSON is read where the schema wants it. A
    file input takes a file or a URL.

    Raises:
        UsageError: no such input, or its value has the wrong form.
    """
    nodes = {name: _node(field) for name, field in properties.items()}
    inputs: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"{reading.option}{pair}: write name=value")
        if name not in nodes:
            raise UsageError(f"there is no input {name!r}{suggestion(name, list(nodes))}")
        value = _value(_Given(name, text, reading), nodes[name])
        if name in inputs and isinstance(value, list):
            inputs[name] += value
        else:
            inputs[name] = value
    return inputs


def require(inputs: Mapping[str, Any], needed: Iterable[str]) -> None:
    """See that every input which has no default is given.

    Raises:
        UsageError: some are not; names them.
    """
    missing = [name for name in needed if name not in inputs]
    if missing:
        raise UsageError(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing: write {missing[0]}=...")


def suggestion(word: str, known: Sequence[str]) -> str:
    """The nearest known word, or where none is near, all of them."""
    near = difflib.get_close_matches(word, known, n=1)
    return f": did you mean {near[0]}?" if near else f": there are {', '.join(known)}"


def _node(field: Any) -> Node:
    """A field whose references are in place; one that says no type of its own is taken for a text."""
    return Node.model_validate(field if isinstance(field, Node) else {"type": "string"} | field)


class _Given:
    """One pair: what was typed, and what it stands for."""

    def __init__(self, name: str, typed: str, reading: Reading) -> None:
        self.name, self.typed, self.reading = name, typed, reading

    def wrong(self, why: str) -> UsageError:
        return UsageError(f"{self.reading.option}{self.name}={self.typed}: {why}")

    def content(self) -> bytes | None:
        """What a file or standard input holds; None where the value itself was typed."""
        if self.typed == "-" and self.reading.stdin:
            return self.reading.stdin.read()
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
        """What Python could not read by the locale's encoding, it keeps as half characters."""
        try:
            has_all = not re.search("[\ud800-\udfff]", self.typed)
            return self.typed if has_all else os.fsencode(self.typed).decode()
        except UnicodeError:
            raise UsageError(f"{self.reading.option}{self.name}: the value is not UTF-8 text") from None

    def uri(self) -> str:
        content = self.content()
        if content is not None:
            return self.reading.to_uri(content, Path(self.typed[1:]).name)
        if not re.match(r"data:|[a-z][a-z0-9+.-]*://", self.typed):
            raise self.wrong(f"must be a file, as {self.name}=@PATH, or a URL")
        return self.typed


def _value(given: _Given, node: Node) -> Any:
    kinds = [kind for kind in node.alternatives() if kind.type != "null"]
    strings = [kind for kind in kinds if kind.type == "string"]
    if len(strings) == len(kinds):
        return _chosen(given, strings[0], given.uri() if strings[0].format == "uri" else given.text())
    files = [kind for kind in kinds if kind.type == "array" and kind.items and kind.items.format == "uri"]
    if files and not given.typed.startswith("["):
        return [given.uri()]
    text = given.text()
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()  # NaN and half characters cannot be sent
    except ValueError:
        value = text
    for kind in kinds:
        if kind.type == "array":
            return value if isinstance(value, list) else [text if _is_text(kind.items) else value]
        if _fits(value, kind.type):
            return _chosen(given, kind, value)
    if value is None and node.nullable:
        return None
    if strings:
        return text
    raise given.wrong(f"must be {' or '.join(_with_article(str(kind.type)) for kind in kinds)}")


def _chosen(given: _Given, kind: Node, value: Any) -> Any:
    """The value, where it is one of the schema's choices or the schema names none."""
    if kind.enum and value not in kind.enum:
        known = [str(choice) for choice in kind.enum]
        raise given.wrong(f"is none of the choices{suggestion(str(value), known)}")
    return value


def _fits(value: Any, kind: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    fits = {
        "integer": is_number and isinstance(value, int),
        "number": is_number,
        "boolean": isinstance(value, bool),
        "object": isinstance(value, dict),
    }
    return fits.get(kind, False)


def _is_text(items: Node | None) -> bool:
    return items is not None and items.type == "string"


def _with_article(kind: str) -> str:
    return f"{'an' if kind[0] in 'aeio' else 'a'} {kind}"
