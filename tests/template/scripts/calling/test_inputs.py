"""`name=value` on a command line, read like `cog predict -i`: the real schema's inputs, and one of every kind."""

import io
import re
from pathlib import Path
from typing import Any

import pytest

from scripts.calling import inputs
from scripts.cli.command import UsageError
from scripts.contract import document, schema
from scripts.contract.document import Node
from tests.schemas import cog

REAL = document.parse(schema.generate("TextGeneration"))[0].properties
COUNTS = Node.model_validate({"type": "array", "items": {"type": "integer"}})
PROPERTIES = REAL | {"counts": COUNTS, "options": Node(type="object")}
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


@pytest.mark.parametrize(
    ("pairs", "given"),
    [
        (["prompt=Why is the sea salty?"], {"prompt": "Why is the sea salty?"}),
        (["prompt=a=b=c"], {"prompt": "a=b=c"}),
        (["prompt="], {"prompt": ""}),
        (["prompt=caf\udcc3\udca9"], {"prompt": "café"}),  # as Python reads é in an ASCII locale
        (["prompt=42"], {"prompt": "42"}),
        (["prompt=first", "prompt=second"], {"prompt": "second"}),
        (["max_tokens=5", "temperature=0"], {"max_tokens": 5, "temperature": 0}),
        (["temperature=0.5"], {"temperature": 0.5}),
        (["raw=true"], {"raw": True}),
        (["raw=false"], {"raw": False}),
        (["stop=one"], {"stop": ["one"]}),
        (["stop=one", "stop=two"], {"stop": ["one", "two"]}),
        (['stop=["one", "two"]', "stop=three"], {"stop": ["one", "two", "three"]}),
        (["stop=3"], {"stop": ["3"]}),
        (["counts=3", "counts=4"], {"counts": [3, 4]}),
        (['messages=[{"role": "user", "content": "Hi"}]'], {"messages": [{"role": "user", "content": "Hi"}]}),
        (['options={"a": 1}'], {"options": {"a": 1}}),
        ([], {}),
    ],
)
def test_values_are_parsed_as_the_schema_says(pairs: list[str], given: dict[str, Any]) -> None:
    assert inputs.parse(pairs, PROPERTIES) == given


def test_an_at_sign_reads_a_file(tmp_path: Path) -> None:
    (tmp_path / "prompt.txt").write_text("sea\nsalt é", encoding="utf-8")
    assert inputs.parse([f"prompt=@{tmp_path}/prompt.txt"], PROPERTIES) == {"prompt": "sea\nsalt é"}


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ("prompt", "prompt: write name=value"),
        ("promt=Hi", "there is no input 'promt' (did you mean prompt?)"),
        ("zzz=Hi", "there is no input 'zzz' (known: prompt, messages, system_prompt"),
        ("max_tokens=many", "max_tokens=many: must be an integer"),
        ("max_tokens=1.5", "max_tokens=1.5: must be an integer"),
        ("max_tokens=true", "max_tokens=true: must be an integer"),
        ("temperature=hot", "temperature=hot: must be a number"),
        ("temperature=true", "temperature=true: must be a number"),
        ("temperature=NaN", "temperature=NaN: must be a number"),
        ("temperature=1e999", "temperature=1e999: must be a number"),
        ('options={"a": "\\ud83d"}', 'options={"a": "\\ud83d"}: must be an object'),
        ("raw=1", "raw=1: must be a boolean"),
        ("options=[1]", "options=[1]: must be an object"),
        ("counts=many", "counts=many: must be a list of integers"),
        ('counts=[1, "2"]', 'counts=[1, "2"]: must be a list of integers'),
        ("stop=[1]", "stop=[1]: must be a list of strings"),
        ("prompt=@/nowhere", "prompt=@/nowhere: cannot read the file: "),
        ("prompt=\udce9", "prompt: the value is not UTF-8 text"),
    ],
)
def test_the_error_for_an_invalid_pair_says_why(pair: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}"):
        inputs.parse([pair], PROPERTIES)


def test_a_binary_file_as_a_text_input_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "prompt.txt").write_bytes(b"caf\xe9")
    with pytest.raises(UsageError, match=r"prompt\.txt: cannot read the file: .*utf-8"):
        inputs.parse([f"prompt=@{tmp_path}/prompt.txt"], PROPERTIES)


@pytest.mark.parametrize(
    ("pairs", "environment", "all_pairs"),
    [
        ([], {"PROMPT": 'say "$HOME"\n'}, ['prompt=say "$HOME"\n']),
        (["seed=1"], {"PROMPT": "Hi"}, ["seed=1", "prompt=Hi"]),
        (["prompt=typed"], {"PROMPT": "Hi"}, ["prompt=typed"]),
        (["seed=1"], {}, ["seed=1"]),
        ([], {"PROMPT": ""}, ["prompt="]),
    ],
)
def test_the_variable_prompt_is_used_unless_the_command_line_has_a_prompt(
    pairs: list[str], environment: dict[str, str], all_pairs: list[str]
) -> None:
    assert inputs.with_prompt(pairs, environment, PROPERTIES) == all_pairs


def test_a_call_without_input_is_wrong_usage_if_a_prompt_is_required() -> None:
    with pytest.raises(UsageError, match="say something: PROMPT="):
        inputs.with_prompt([], {}, PROPERTIES)
    assert inputs.with_prompt([], {}, {"count": Node(type="integer")}) == []
    assert inputs.with_prompt([], {}, {"prompt": Node(type="string", default="a cat")}) == []


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
def test_the_error_for_an_invalid_choice_or_file_says_why(pair: str, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(message)}"):
        parse(pair)


def test_a_missing_value_is_named() -> None:
    inputs.require({"prompt": "a", "images": []}, FIELDS.required)
    with pytest.raises(UsageError, match=r"^images is missing: write images="):
        inputs.require({"prompt": "a"}, FIELDS.required)
    with pytest.raises(UsageError, match=r"^prompt, images are missing"):
        inputs.require({}, FIELDS.required)
