"""`name=value` on a command line, read like `cog predict -i`, with the inputs of the real schema."""

import re
from pathlib import Path
from typing import Any

import pytest

from scripts.calling import inputs
from scripts.cli.command import UsageError
from scripts.contract import document, schema
from scripts.contract.document import Node

REAL = document.parse(schema.generate("TextGeneration"))[0].properties
COUNTS = Node.model_validate({"type": "array", "items": {"type": "integer"}})
PROPERTIES = REAL | {"counts": COUNTS, "options": Node(type="object")}


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
