"""Outputs of a call: text, files that are saved under their own names, and their headers."""

import base64
import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from scripts.calling import outputs
from scripts.calling.display import Display
from scripts.calling.outputs import OutputError, Saver
from scripts.contract.document import Node
from tests.services.http import Fault, Service
from tests.services.http_messages import Request, Response

URI = {"type": "string", "format": "uri"}


def png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (width, height), "grey").save(file, "PNG")
    return file.getvalue()


def uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize(
    ("schema", "is_text"),
    [
        ({"type": "string"}, True),
        ({"type": "array", "items": {"type": "string"}, "x-cog-array-display": "concatenate"}, True),
        ({"type": "array", "items": {"type": "string"}}, False),
        ({"type": "array", "items": URI}, False),
        (URI, False),
        ({"type": "object"}, False),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, False),
    ],
)
def test_the_schema_decides_which_output_is_one_text(schema: dict[str, Any], is_text: bool) -> None:
    assert outputs.is_text(Node.model_validate(schema)) is is_text


def test_files_are_saved_with_the_suffix_of_their_type_and_never_overwrite_another(tmp_path: Path) -> None:
    node = Node.model_validate({"type": "array", "items": URI})
    sent = [uri(png(3, 2), "image/png"), uri(b"RIFF", "audio/wav"), uri(b"?", "application/x-unknown")]
    first = Saver(tmp_path / "new", "p1").with_paths(sent, node)
    assert [Path(path).name for path in first] == ["p1-0.png", "p1-1.wav", "p1-2.bin"]
    second = Saver(tmp_path / "new", "p1")
    assert [Path(path).name for path in second.with_paths(sent[:1], node)] == ["p1-0-2.png"]
    assert Path(first[0]).read_bytes() == Path(second.saved[0].path).read_bytes() == png(3, 2)
    assert second.saved[0].preview().endswith(f"p1-0-2.png · {len(png(3, 2))} bytes · image/png · 3 x 2")


def test_only_outputs_that_the_schema_declares_as_files_are_files(tmp_path: Path) -> None:
    node = Node.model_validate(
        {"type": "object", "properties": {"image": URI, "link": {"type": "string"}, "score": {"type": "number"}}}
    )
    values = {"image": uri(b"x", "image/jpeg"), "link": "https://example.com/", "score": 0.5}
    saver = Saver(tmp_path, "../../p")
    assert saver.with_paths(values, node) == values | {"image": str(tmp_path / "______p-0.jpg")}
    assert Saver(tmp_path, "any").with_paths([uri(b"x", "text/plain"), 3, None], Node()) == [
        str(tmp_path / "any-0.txt"),
        3,
        None,
    ]


FILE = uri(b"x", "text/plain")
SAVED = "p-{}.txt · 1 bytes · text/plain\n"
TEXTS = {"type": "array", "items": {"type": "string"}}
PIECES = TEXTS | {"x-cog-array-type": "iterator", "x-cog-array-display": "concatenate"}
SCORE = {"type": "object", "properties": {"label": {"type": "string"}, "score": {"type": "number"}}}
SCORES = {"type": "array", "items": SCORE}
TABLE = "label   score\nsea    0.9100\nsky    0.0900\n"
MIXED = {"type": "object", "properties": {"image": URI, "score": {"type": "number"}}}


@pytest.mark.parametrize(
    ("schema", "output", "printed", "errors"),
    [
        ({"type": "string"}, "two\nlines", "two\nlines\n", ""),
        (PIECES, ["two", "\nlines\n"], "two\nlines\n", ""),
        (TEXTS, ["é"], '[\n  "é"\n]\n', ""),
        ({"type": "integer"}, 0, "0\n", ""),
        ({"type": "object"}, {"a": [None]}, '{\n  "a": [\n    null\n  ]\n}\n', ""),
        (URI, FILE, SAVED.format(0), ""),
        (TEXTS | {"items": URI}, [FILE, FILE], SAVED.format(0) + SAVED.format(1), ""),
        (MIXED, {"image": FILE, "score": 1}, '{\n  "image": "p-0.txt",\n  "score": 1\n}\n', SAVED.format(0)),
        (SCORES, [{"label": "sea", "score": 0.91}, {"label": "sky", "score": 0.09}], TABLE, ""),
        (
            {"type": "array", "items": SCORES},
            [[{"label": "sea", "score": 1}], [{"label": "sky", "score": 0.5}]],
            "label of text 1   score\nsea              1.0000\nlabel of text 2   score\nsky              0.5000\n",
            "",
        ),
        (
            {"type": "object"},
            {"embeddings": [[1.5, -2e-05], []], "said": "[\n1]"},
            '{\n  "embeddings": [\n    [1.5, -2e-05],\n    []\n  ],\n  "said": "[\\n1]"\n}\n',
            "",
        ),
        ({"type": "object"}, None, "", ""),
    ],
)
def test_every_form_of_output_is_shown(
    schema: dict[str, Any],
    output: Any,
    printed: str,
    errors: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    node = Node.model_validate(schema)
    monkeypatch.chdir(tmp_path)
    outputs.show({"output": output}, node, Saver(Path(), "p"), Display(shows_text=outputs.is_text(node)))
    assert capsys.readouterr() == (printed, errors)


@pytest.fixture
def host() -> Iterator[tuple[Service, str]]:
    """A host with an image at every path but /none, and the media type in the path; the body of /cut ends early."""

    def respond(request: Request) -> Response:
        kind = "image/png" if request.path.startswith("/typed") else "application/octet-stream"
        return Response(404 if request.path.startswith("/none") else 200, {"Content-Type": kind}, png(7, 5))

    with Service() as service:
        service.faults.append(Fault("/cut", "cut", after=20))
        yield service, f"http://127.0.0.1:{service.serve('outputs', respond)}"


def test_urls_are_downloaded_and_named_by_their_type_or_path(host: tuple[Service, str], tmp_path: Path) -> None:
    service, address = host
    node = Node.model_validate({"type": "array", "items": URI})
    saver = Saver(tmp_path, "p", lambda url: {"Authorization": "Bearer t"} if "/typed" in url else {})
    urls = [f"{address}/typed/a", f"{address}/other/b.webp?x=1", f"{address}/other/c"]
    assert [Path(path).name for path in saver.with_paths(urls, node)] == ["p-0.png", "p-1.webp", "p-2.bin"]
    assert saver.saved[0].preview().endswith("image/png · 7 x 5")
    assert [request.authorization for request in service.requests] == ["Bearer t", None, None]
    with pytest.raises(OutputError, match=r"^cannot fetch the output http.*/none: its host answers 404$"):
        saver.with_paths([f"{address}/none?signature=s3cret"], node)
    with pytest.raises(OutputError, match=r"^cannot fetch the output http.*/cut: peer closed connection"):
        saver.with_paths([f"{address}/cut"], node)
    assert len(list(tmp_path.iterdir())) == 3


def test_failed_downloads_and_writes_are_reported(tmp_path: Path) -> None:
    node = Node.model_validate(URI)
    with pytest.raises(OutputError, match=r"cannot fetch the output http://127.0.0.1:1/a: "):
        Saver(tmp_path, "p").with_paths("http://127.0.0.1:1/a?signature=s3cret", node)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match=r"cannot save an output in .*file"):
        Saver(tmp_path / "file", "p").with_paths(uri(b"x", "text/plain"), node)


def test_the_dimensions_of_images_are_read() -> None:
    jpeg = b"\xff\xd8\xff\xe0\x00\x10JFIF\0\1\1\0\0\1\0\1\0\0" + b"\xff\xc0\x00\x0b\x08" + struct.pack(">HH", 480, 640)
    assert outputs.dimensions(png(12, 34)) == (12, 34)
    assert outputs.dimensions(jpeg + b"\x01\x01\x11\x00") == (640, 480)
    for other in (b"", b"GIF89a", jpeg[:20], png(1, 1)[:20], b"\xff\xd8\xff"):
        assert outputs.dimensions(other) is None


def test_a_text_is_never_shown_twice_and_a_gap_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display()
    display.text("a\n")
    display.text_up_to("a\r\nbc")
    display.text_up_to("a\nb")
    display.text_up_to("a\nbcd")
    display.end_line()
    assert capsys.readouterr() == ("a\nbcd\n", "")
    display.text_up_to("something else")
    assert "--json prints all of it" in capsys.readouterr().err


def test_quiet_hides_progress_and_logs_but_no_warning(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display(is_quiet=True)
    display.status("starting")
    display.logs_up_to("50%\n")
    display.warn("failed")
    assert capsys.readouterr() == ("", "failed\n")
