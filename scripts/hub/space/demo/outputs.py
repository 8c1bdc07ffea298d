"""Shows a prediction's output in suitable components: text, label scores, a table, media files, JSON."""

import base64
import mimetypes
import re
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr

from .facts import Display
from .inputs import media_kind

HOUR = 3600
_SCORE = "score"


class Output:
    """The components of one kind of output. `show(value)`: an update for each; None empties them."""

    def __init__(self, display: Display) -> None:
        make, self.show = _DISPLAYS[display]
        self.components: list[Any] = make()

    def kept(self) -> list[Any]:
        """Updates that leave the components unchanged."""
        return [gr.skip() for _ in self.components]


def joined(output: Any) -> str:
    """A text, complete or in pieces, as one string."""
    return "".join(map(str, output)) if isinstance(output, list) else str(output or "")


def _text() -> list[Any]:
    return [gr.Textbox(label="Output", lines=8, max_lines=24, interactive=False, elem_id="output", buttons=["copy"])]


def _labels() -> list[Any]:
    return [
        gr.Label(label="Output", num_top_classes=10, elem_id="output"),
        gr.Dataframe(label="Output", interactive=False, visible=False, elem_id="output-table"),
    ]


def _show_labels(output: Any) -> list[Any]:
    """The scores of one text, or a table with a row for each of several texts."""
    texts = output if isinstance(output, list) and output and isinstance(output[0], list) else [output]
    if len(texts) == 1:
        return [gr.update(value=scores(texts[0]) or None, visible=True), gr.update(visible=False)]
    rows = [{"text": number} | scores(text) for number, text in enumerate(texts, start=1)]
    return [gr.update(visible=False), gr.update(value=_rows(rows), visible=True)]


def scores(output: Any) -> dict[str, float]:
    """Scores by label, from {label: score}, or from one or several {"label": ..., "score": ...}."""
    if isinstance(output, list):
        return {label: score for part in output for label, score in scores(part).items()}
    if isinstance(output, dict) and _SCORE in output:
        return {str(output.get("label")): float(output[_SCORE])}
    return {str(label): float(score) for label, score in (output or {}).items()}


def _table() -> list[Any]:
    return [gr.Dataframe(label="Output", interactive=False, wrap=True, elem_id="output")]


def _rows(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows in the table's format, with a column for each name."""
    headers = list(dict.fromkeys(name for row in rows for name in row))
    return {"headers": headers, "data": [[row.get(name) for name in headers] for row in rows]}


def _json() -> list[Any]:
    return [gr.JSON(label="Output", open=True, elem_id="output")]


def _files() -> list[Any]:
    return [
        gr.Gallery(label="Output", columns=2, object_fit="contain", elem_id="output-images"),
        gr.Audio(label="Output", interactive=False, visible=False, elem_id="output-audio"),
        gr.Video(label="Output", interactive=False, visible=False, elem_id="output-video"),
        gr.File(label="Output", file_count="multiple", interactive=False, visible=False, elem_id="output-files"),
    ]


def _show_files(output: Any) -> list[Any]:
    """Images in a gallery, the first audio and the first video to play, and everything else to download."""
    uris = [uri for uri in (output if isinstance(output, list) else [output]) if isinstance(uri, str)]
    found: dict[str, list[str]] = {"image": [], "audio": [], "video": [], "file": []}
    for uri in uris:
        found[media_kind(_media_type(uri))].append(_shown(uri))
    found["file"] += found["audio"][1:] + found["video"][1:]
    return [
        gr.update(value=found["image"], visible=bool(found["image"]) or not uris),
        *(gr.update(value=next(iter(found[kind]), None), visible=bool(found[kind])) for kind in ("audio", "video")),
        gr.update(value=found["file"], visible=bool(found["file"])),
    ]


def _media_type(uri: str) -> str:
    if uri.startswith("data:"):
        return re.split("[;,]", uri.removeprefix("data:"), maxsplit=1)[0]
    return mimetypes.guess_type(urlsplit(uri).path)[0] or ""


def _shown(uri: str) -> str:
    """A URL unchanged; the content of a data: URI as a file."""
    if not uri.startswith("data:"):
        return uri
    head, _, content = uri.partition(",")
    suffix = mimetypes.guess_extension(_media_type(uri)) or ""
    with tempfile.NamedTemporaryFile(suffix=suffix, dir=_folder(), delete=False) as file:
        file.write(base64.b64decode(content) if head.endswith(";base64") else content.encode())
    return file.name


def _folder() -> str:
    """The process's own folder of files to show. Gradio copies them at once; those over an hour old are removed."""
    folder = _made().name
    for file in Path(folder).iterdir():
        with suppress(FileNotFoundError):  # another prediction removed it
            if time.time() - file.stat().st_mtime > HOUR:
                file.unlink()
    return folder


@cache
def _made() -> tempfile.TemporaryDirectory[str]:
    """It is removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix="demo-outputs-")


_DISPLAYS: dict[Display, tuple[Callable[[], list[Any]], Callable[[Any], list[Any]]]] = {
    "text": (_text, lambda output: [joined(output)]),
    "labels": (_labels, _show_labels),
    "table": (_table, lambda output: [gr.update(value=_rows(output or []))]),
    "files": (_files, _show_files),
    "json": (_json, lambda output: [output]),
}
