"""Shows a prediction's output: text, saved files, label scores as a table, everything else as JSON."""

import json
import mimetypes
import re
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from models.errors import TemplateError
from scripts.calling.display import Display
from scripts.cli import connection, console
from scripts.contract.document import Node

_OTHER_SUFFIXES = {"audio/wav": ".wav", "image/webp": ".webp", "audio/flac": ".flac", "application/octet-stream": ""}
_NUMBERS = re.compile(r"\[\n([\s\d.,eE+-]+)\]")  # a JSON string never contains a line feed
_HEADER_BYTES = 1_000_000  # a JPEG's size comes after its metadata
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class OutputError(TemplateError):
    """An output file cannot be fetched or written."""


@dataclass(frozen=True)
class Saved:
    """A saved output file. `kind`: its media type; `size`: in bytes."""

    path: Path
    kind: str
    size: int

    def preview(self) -> str:
        """Its name, bytes and media type, and width x height in pixels if its header has them."""
        with open(self.path, "rb") as file:
            pixels = dimensions(file.read(_HEADER_BYTES))
        parts = [str(self.path), f"{self.size:,} bytes", self.kind, *([f"{pixels[0]} x {pixels[1]}"] if pixels else [])]
        return " · ".join(parts)


@dataclass
class Saver:
    """Saves files as FOLDER/ID-INDEX.SUFFIX, without overwriting any; `authorized`: the headers for fetching a URL."""

    folder: Path
    id: str
    authorized: Callable[[str], dict[str, str]] = lambda url: {}
    saved: list[Saved] = field(default_factory=list)

    def with_paths(self, output: Any, node: Node) -> Any:
        """Save every file, and return the output with paths in place of their URIs; `node`: the output's schema.

        Raises:
            OutputError: a file cannot be fetched or written.
        """
        kinds = node.alternatives()
        if isinstance(output, str):
            return self._save(output) if _is_file(output, kinds) else output
        if isinstance(output, list):
            items = next((kind.items for kind in kinds if kind.items), Node())
            return [self.with_paths(item, items) for item in output]
        if isinstance(output, dict):
            known = {name: child for kind in kinds for name, child in kind.properties.items()}
            return {name: self.with_paths(value, known.get(name, Node())) for name, value in output.items()}
        return output

    def _save(self, uri: str) -> str:
        try:
            with _opened(uri, self.authorized(uri)) as (chunks, kind):
                path, file = self._new(_suffix(kind, uri))
                size = _written(chunks, file, path)
        except OSError as error:
            raise OutputError(f"cannot save an output in {self.folder}: {error.strerror or error}") from error
        self.saved.append(Saved(path, kind, size))
        return str(path)

    def _new(self, suffix: str) -> tuple[Path, IO[bytes]]:
        self.folder.mkdir(parents=True, exist_ok=True)
        stem = f"{re.sub(r'[^A-Za-z0-9_-]', '_', self.id)}-{len(self.saved)}"
        for number in count(1):
            path = self.folder / f"{stem}{'' if number == 1 else f'-{number}'}{suffix}"
            try:
                return path, open(path, "xb")
            except FileExistsError:
                continue
        raise AssertionError("unreachable: count() does not end")


def show(prediction: dict[str, Any], schema: Node, saver: Saver, display: Display) -> None:
    """Print a prediction's output: text, a line for each file, label scores as a table, anything else as JSON."""
    output = as_shown(prediction.get("output"), schema, saver)
    paths = [str(saved.path) for saved in saver.saved]
    is_files = bool(paths) and output in (paths, paths[0])
    if is_text(schema):
        display.text_up_to(joined(output))
        display.end_line()
    elif is_scores(output):
        _print_scores([output])
    elif isinstance(output, list) and output and all(map(is_scores, output)):
        _print_scores(output)
    elif output is not None and not is_files:
        print(as_json(output, indent=2))
    for saved in saver.saved:
        if is_files:
            print(saved.preview())
        else:
            display.say(saved.preview())


def as_shown(output: Any, schema: Node, saver: Saver) -> Any:
    """A text in one piece; anything else with its files saved and replaced by their paths."""
    if output is None:
        return None
    return joined(output) if is_text(schema) else saver.with_paths(output, schema)


def as_json(value: Any, indent: int | None = None) -> str:
    """JSON, with escapes if standard output is not UTF-8; with `indent`, a list of numbers still takes one line."""
    is_utf8 = sys.stdout.encoding.lower() in ("utf-8", "utf8")
    written = json.dumps(value, indent=indent, ensure_ascii=not is_utf8)
    return _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", written)


def is_text(node: Node) -> bool:
    """Whether an output is one text, complete or in pieces."""

    def is_it(kind: Node) -> bool:
        if kind.type == "array" and kind.items:
            return kind.array_display == "concatenate" and is_text(kind.items)
        return kind.type == "string" and kind.format != "uri"

    return all(is_it(kind) for kind in node.alternatives())


def is_scores(output: Any) -> bool:
    """Whether an output is a list of labels with scores, like that of a classifier."""
    return (
        isinstance(output, list)
        and bool(output)
        and all(isinstance(item, dict) and item.keys() == {"label", "score"} for item in output)
    )


def _print_scores(texts: list[list[dict[str, Any]]]) -> None:
    """Print a table for each text, with the text's number if there are several."""
    from rich.table import Table

    for number, scores in enumerate(texts, start=1):
        table = Table("label" if len(texts) == 1 else f"label of text {number}", box=None, pad_edge=False)
        table.add_column("score", justify="right")
        for item in scores:
            table.add_row(str(item["label"]), f"{item['score']:.4f}")
        console.stdout().print(table)


def joined(output: Any) -> str:
    """A text output in one piece; "" if there is none yet."""
    return "".join(map(str, output)) if isinstance(output, list) else str(output or "")


def dimensions(header: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG or JPEG, in pixels; None for anything else. https://www.w3.org/TR/png-3/#11IHDR"""
    if header.startswith(b"\x89PNG\r\n\x1a\n") and len(header) >= 24:
        width, height = struct.unpack(">II", header[16:24])
        return width, height
    return _jpeg_dimensions(header) if header.startswith(b"\xff\xd8") else None


def _jpeg_dimensions(header: bytes) -> tuple[int, int] | None:
    """From the first start-of-frame segment. https://www.w3.org/Graphics/JPEG/itu-t81.pdf, B.2.2"""
    at = 2
    while at + 9 <= len(header) and header[at] == 0xFF:
        marker, length = header[at + 1], int.from_bytes(header[at + 2 : at + 4], "big")
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack(">HH", header[at + 5 : at + 9])
            return width, height
        at += 1 if marker == 0xFF else 2 + length
    return None


def _is_file(output: str, kinds: list[Node]) -> bool:
    """Whether the schema says so; if the schema allows anything, a data: URI counts as a file too."""
    is_any = any(kind.type == "object" and not kind.properties for kind in kinds)
    return any(kind.format == "uri" for kind in kinds) or (is_any and output.startswith("data:"))


def _suffix(kind: str, uri: str) -> str:
    """The suffix for the media type, or else that of the URL's path."""
    suffix = _OTHER_SUFFIXES[kind] if kind in _OTHER_SUFFIXES else mimetypes.guess_extension(kind)
    named = Path(urlsplit(uri).path).suffix if uri.startswith("http") else ""
    return suffix or (named if re.fullmatch(r"\.\w{1,8}", named) else ".bin")


def _written(chunks: Iterator[bytes], file: IO[bytes], path: Path) -> int:
    """Write a file's bytes and count them; an incomplete file is removed."""
    with file:
        try:
            return sum(file.write(chunk) for chunk in chunks)
        except BaseException:
            path.unlink()
            raise


@contextmanager
def _opened(uri: str, headers: dict[str, str]) -> Iterator[tuple[Iterator[bytes], str]]:
    """The content in pieces, and its media type."""
    from urllib.request import urlopen

    import httpx

    if uri.startswith("data:"):
        with urlopen(uri) as response:
            yield iter([response.read()]), response.headers.get_content_type()
        return
    try:
        with connection.stream("GET", uri, headers=headers, follow_redirects=True, timeout=60) as answer:
            answer.raise_for_status()
            yield answer.iter_bytes(), answer.headers.get("content-type", "").partition(";")[0].strip()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        why = connection.reason(error)
        if isinstance(error, httpx.HTTPStatusError):
            why = f"its host answers {error.response.status_code}"
        raise OutputError(f"cannot fetch the output {uri.partition('?')[0]}: {why}") from error
