"""Inputs of a call, read with a model's schema: choices, files, lists of them, unions, null, and standard input."""

import io
import re
from pathlib import Path
from typing import Any

import pytest

from scripts.calling import inputs
from scripts.cli.command import UsageError
from scripts.contract import document
from tests.schemas import cog

URI = {"type": "string", "format": "uri"}
FIELDS = document.parse(
    cog(
        {
            "prompt": {"type": "string"},
            "negative_prompt": {"type": "string", "default": ""},
            "size": {"allOf": [{"$ref": "#/components/schemas/size"}], "default": 512},
            "scheduler": {"allOf": [{"$ref": "#/components/schemas/scheduler"}], "default": "DDIM"},
            "images": {"type": "array", "items": URI},
            "mask": {**URI, "nullable": True},
            "seed": {"type": "integer", "nullable": True},
            "strength": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "width": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
            "source": {"anyOf": [URI, {"type": "string"}]},
            "pages": {"anyOf": [URI, {"type": "array", "items": URI}]},
            "stops": {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "string"}}]},
            "points": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
            "messages": {"type": "array", "items": {"type": "object"}},
            "key": {"type": "string", "format": "password", "nullable": True},
            "mode": {"allOf": [{"$ref": "#/components/schemas/scheduler"}], "nullable": True},
        },
        required=("prompt", "images"),
        size={"enum": [512, 768], "type": "integer"},
        scheduler={"enum": ["DDIM", "K_EULER"], "type": "string"},
    )
)[0]


def parse(*pairs: str, typed: bytes = b"") -> dict[str, Any]:
    return inputs.parse(pairs, FIELDS.properties, stdin=io.BytesIO(typed))


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("size=768", 768),
        ("scheduler=K_EULER", "K_EULER"),
        ("seed=null", None),
        ("strength=0.5", 0.5),
        ("width=8", 8),
        ("width=full", "full"),
        ('width="8"', "8"),
        ("strength=null", None),
        ("mask=null", None),
        ("mode=null", None),
        ("key=null", "null"),
        ("key=r8_secret", "r8_secret"),
        ("source=a.png", "a.png"),
        ("source=https://example.com/a.png", "https://example.com/a.png"),
        ("pages=https://example.com/a.png", "https://example.com/a.png"),
        ('pages=["https://example.com/a.png"]', ["https://example.com/a.png"]),
        ("stops=3", 3),
        ("stops=end", ["end"]),
        ("points=[[0.5, 1], [2, 3]]", [[0.5, 1], [2, 3]]),
        ('messages={"role": "user"}', [{"role": "user"}]),
        ("mask=https://example.com/a.png", "https://example.com/a.png"),
        ("mask=data:image/png;base64,AAAA", "data:image/png;base64,AAAA"),
        ("images=https://example.com/a.png", ["https://example.com/a.png"]),
        ('images=["https://example.com/a.png"]', ["https://example.com/a.png"]),
        ("prompt=-1", "-1"),
    ],
)
def test_values_have_the_types_of_the_schema(pair: str, value: Any) -> None:
    assert list(parse(pair).values()) == [value]


def test_files_become_uris_and_a_repeated_name_a_list(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x00\xff")
    (tmp_path / "b").write_bytes(b"b")
    assert parse(f"images=@{tmp_path}/a.png", f"images=@{tmp_path}/b", f"mask=@{tmp_path}/a.png") == {
        "images": ["data:image/png;base64,AP8=", "data:application/octet-stream;base64,Yg=="],
        "mask": "data:image/png;base64,AP8=",
    }
    assert parse(f'images=["@{tmp_path}/b", "https://a.example/b"]', f"source=@{tmp_path}/b") == {
        "images": ["data:application/octet-stream;base64,Yg==", "https://a.example/b"],
        "source": "data:application/octet-stream;base64,Yg==",
    }
    (tmp_path / "messages.json").write_text('[{"role": "user"}]')
    assert parse(f"messages=@{tmp_path}/messages.json") == {"messages": [{"role": "user"}]}


def test_standard_input_is_a_text_or_a_file() -> None:
    assert parse("prompt=-", typed=b"two\nlines\n") == {"prompt": "two\nlines"}
    assert parse("seed=-", typed=b"7\n") == {"seed": 7}
    assert parse("mask=-", typed=b"\xff\n") == {"mask": "data:application/octet-stream;base64,/wo="}
    assert inputs.parse(["prompt=-"], FIELDS.properties) == {"prompt": "-"}


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("size=1024", "size=1024: is not one of the choices (known: 512, 768)"),
        ("scheduler=K_EULR", "scheduler=K_EULR: is not one of the choices (did you mean K_EULER?)"),
        ("strength=high", "strength=high: must be a number"),
        ("mode=fast", "mode=fast: is not one of the choices (known: DDIM, K_EULER)"),
        ("points=[[1, true]]", "points=[[1, true]]: must be a list of arrays"),
        ("messages=hello", "messages=hello: must be a list of objects"),
        ('images=["a.png"]', "images=a.png: must be a file, as images=@PATH, or a URL"),
        ("images=a.png", "images=a.png: must be a file, as images=@PATH, or a URL"),
    ],
)
def test_the_error_for_an_invalid_input_says_why(pair: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}"):
        parse(pair)


def test_a_missing_value_is_named() -> None:
    inputs.require({"prompt": "a", "images": []}, FIELDS.required)
    with pytest.raises(UsageError, match=r"^images is missing: write images="):
        inputs.require({"prompt": "a"}, FIELDS.required)
    with pytest.raises(UsageError, match=r"^prompt, images are missing"):
        inputs.require({}, FIELDS.required)
