"""python -m tests.template.scripts.contract.forms

Every form in which an input, an output or a class can be written, as stubs. cog_answers.json, beside this file, has
what the real `cog` makes of each, and this command writes it anew. A container test asks `cog` again.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.contract.openapi_frame import document

ANSWERS = Path(__file__).with_name("cog_answers.json")
_FRAME = document({}, streams=False)["components"]["schemas"]

_HEAD = """import cog
import typing
import torch
from typing import Annotated, Any, Dict, Iterator, List, Optional, TypedDict, Union
from typing import Optional as Maybe
from cog import (AsyncConcatenateIterator, BaseModel, BasePredictor, BaseRunner, ConcatenateIterator, File, Input,
    Opaque, Path, Secret, concurrent, streaming)
from cog import Input as Given
from shapes import Shape
import shapes
from base import Parent
HIGHEST = 9
NAMED: int = 7
COLORS = ["red", "green"]
PAIR = ("x", "y")
SIZES = {"small": 1, "large": 2}
TEXT = "words"
CLASSES = {"a": torch.x, "b": 1}
class Request(TypedDict, total=False):
    size: int
class Answer(BaseModel):
    text: str
    score: Optional[float] = None
    parts: "list[Answer]"
    raw: Annotated[torch.Tensor, Opaque]
class Shared:
    steps = Input(description="How many", default=3, ge=1)
    @staticmethod
    def scale(default: float, le: float = 5) -> Input:
        return Input(default=default, le=le, ge=0)
"""
_FILES = {
    "shapes.py": "from pydantic import BaseModel\nclass Shape(BaseModel):\n    sides: int\n",
    "base.py": "from cog import BaseRunner\nclass Parent(BaseRunner):\n    def run(self, inherited: int) -> str: ...\n",
}
# Forms that both Cog and the reader accept, or that both refuse.
INPUTS = {
    **{kind: f"x: {kind}" for kind in ("str", "int", "float", "bool", "dict", "list", "Any", "Path", "File", "Secret")},
    **{kind: f"x: {kind}" for kind in ("cog.Path", "typing.List[int]", "List[Path]", "list[dict]", "list[Request]")},
    **{
        kind: f"x: {kind} = None"
        for kind in ("Optional[int]", "Maybe[int]", "int | None", "None | int", "'int | None'")
    },
    **{
        kind: f"x: {kind}"
        for kind in ("int | str", "Union[int, str]", "str | list[str]", "int | str | None", "int | Path")
    },
    **{
        kind: f"x: {kind}" for kind in ("list[list[int]]", "list[int | None]", "set", "tuple[int, int]", "torch.Tensor")
    },
    **{kind: f"x: {kind}" for kind in ("Request", "Answer", "Dict[str, int]", "Annotated[int, 'x']", "(int)")},
    **{
        kind: f"x: Annotated[{kind}, Opaque]"
        for kind in ("torch.Tensor", "list[torch.Tensor]", "Optional[torch.Tensor]")
    },
    "several lines": "x: List[\n        int\n    ] = [1]",
    "keyword-only": "x: int, *, y: str = 'a'",
    "named by nothing": "*args, **kwargs",
    "no type, but a default": "x=1",
    "a name in two words": "a_b: int, ärger: int",
    "default None": "x: int = Input(default=None)",
    "optional Secret": "x: Secret = Input(default=None)",
    "plain constant": "x: int = HIGHEST",
    "annotated constant": "x: int = Input(default=NAMED)",
    "tuple": "x: list[str] = PAIR",
    "numbers": "x: list[float] = [1_000, 0x10, -1, 1.0, 2.5, 1e3, 1e21, 18446744073709551615.0]",
    "texts": """x: list[str] = ['a', \"\"\"b\"\"\", r"\\d", "é", "<&>"]""",
    "dict": 'x: dict = {"a": None, 1: True}',
    "bounds": "x: float = Input(ge=-1, le=1_000.5)",
    "lengths": "x: str = Input(min_length=1, max_length=3)",
    "rules": r'x: str = Input(regex=r"^\d", deprecated=True)',
    "accept": 'x: Path = Input(accept="image/*")',
    "accept on a text": 'x: str = Input(accept="image/*")',
    "limits on a union": "x: int | str = Input(ge=1)",
    "None for nothing": "x: int = Input(default=1, ge=None, description=None)",
    "default_factory": "x: list = Input(default_factory=list)",
    "a comment in Input": "x: int = Input(\n        # why\n        default=1,  # because\n    )",
    "another name": "x: int = Given(default=1)",
    "cog.Input": "x: int = cog.Input(default=1)",
    "a call": "x: int = max(1, 2)",
    "choices": 'x: str = Input(choices=["a", "b"], default="a")',
    "choices of numbers": "x: int = Input(choices=[1, 2.0, -3])",
    "choices of a list": "x: list[str] = Input(choices=COLORS)",
    "choices of a constant": "x: str | None = Input(choices=PAIR)",
    "choices of keys": "x: str = Input(choices=list(SIZES.keys()))",
    "choices of values": "x: int = Input(choices=list(SIZES.values()))",
    "choices added": 'x: str = Input(choices=COLORS + ["blue"] + list(SIZES.keys()))',
    "choices computed": "x: str = Input(choices=sorted(COLORS))",
    "no choices": "x: str = Input(choices=[])",
    "shared": "x: int = Shared.steps",
    "shared call": "x: float = Shared.scale(1.5, le=3)",
    "unknown share": "x: int = Shared.other",
    "description of a constant": "x: int = Input(description=TEXT)",
    # Descriptions cause only warnings.
    "adjacent strings": 'x: int = Input(description="one " "two")',
    "strings in parentheses": 'x: int = Input(description=("one " "two"))',
    "escapes": r'x: int = Input(description="one\ntwo")',
    "joined strings": 'x: int = Input(description="one " + "two")',
}
OUTPUTS = [
    *(
        "str",
        "None",
        "Any",
        "list",
        "List",
        "dict",
        "Path",
        "Optional[str]",
        "Union[str, int]",
        "list[str]",
        "List[Path]",
    ),
    *(
        "dict[str, list[int]]",
        "Answer",
        "Shape",
        "shapes.Shape",
        "'Answer'",
        "list[Answer]",
        "set[int]",
        "torch.Tensor",
    ),
    *(
        "Iterator[str]",
        "Iterator[Answer]",
        "typing.Iterator[str]",
        "ConcatenateIterator[str]",
        "ConcatenateIterator[int]",
    ),
    *("AsyncConcatenateIterator[str]", "Annotated[list[torch.Tensor], Opaque]"),
]
DECORATORS = [
    "streaming",
    "streaming()",
    "cog.streaming",
    "other.streaming",
    "concurrent(max=4)",
    "concurrent(max=HIGHEST)",
]
CLASSES = {
    "Old": "class Old(BasePredictor):\n    def predict(self, x: int) -> str: ...\n",
    "Inherits": "class Inherits(Old):\n    def setup(self): ...\n",
    "FromFile": "class FromFile(Parent): ...\n",
    "Typed": "class Typed(BaseRunner):\n    def run(self: 'Typed', x: int) -> str: ...\n",
    "Twice": "class Twice(BaseRunner):\n    def run(self, x: int) -> str: ...\n    def run(self, y: int) -> str: ...\n",
    "Silent": "class Silent(BaseRunner):\n    def run(self, x: int): ...\n",
    "Unable": "class Unable(BaseRunner):\n    def setup(self): ...\n",
    "function": "def function(x: int = HIGHEST, *, y: str = 'a') -> str: ...\n",
}
# Forms that Cog accepts and the reader refuses, and the reader's message.
REFUSED = {
    "x: int = Input(le=HIGHEST)": "le=HIGHEST is not a literal to Cog, which would leave it out of the schema",
    "x: int = Input(ge=(1))": "ge=(1) is not a literal to Cog",
    "x: int = Input(ge=- 1)": "ge=- 1 is not a literal to Cog",
    "x: str = Input(min_length=1.5)": "min_length=1.5 is not a literal to Cog",
    "x: str = Input(regex=TEXT)": "regex=TEXT is not a literal to Cog",
    "x: bool = Input(deprecated=not False)": "deprecated=not False is not a literal to Cog",
    "x: int = Input(1)": "Cog would leave 1 out: write default=",
    "x: int = Input(**SIZES)": "Cog would leave **SIZES out: write the keywords",
    "x: int = Input(gt=1)": "Input() has no gt: it has default, choices",
    "x: int = Input(default=(1))": "default=(1) is not a literal to Cog",
    "x: int = Input(default=max(1, 2))": "default=max(1, 2) is not a literal to Cog",
    'x: list[str] = Input(default=["a",  # why\n        "b"])': "remove the comment in it",
    'x: str = "a" "b"': "Cog does not join adjacent strings: write one",
    r'x: str = "a\n"': "Cog does not decode the escapes of",
    r'x: str = Input(regex="\\d")': "Cog does not decode the escapes of",
    'x: str = r"""a"""': "Cog keeps two of the quotes",
    'x: str = Input(choices=["a" "b"])': "Cog does not join adjacent strings: write one",
    "x: str = Input(choices=list(CLASSES.keys()))": 'Cog would leave "a": torch.x out: write the values',
    "x: list[int] = (1, max(1, 2))": "Cog would leave max(1, 2) out",
    "x: dict = {**SIZES}": "Cog would leave **SIZES out",
    "x: float = Shared.scale(HIGHEST)": "Cog cannot read default=HIGHEST in a call",
    "x": "Cog would leave the input x out: give it a type",
    "x: int, /": "Cog's server passes inputs by name, which parameters before / refuse",
}


# The class of each form, by the form's name.
CLASS_OF = {name: name for name in CLASSES}
_TEXTS = [_HEAD, *CLASSES.values()]


def _add(form: str, parameters: str, output: str = "str", decorator: str = "") -> None:
    CLASS_OF[form] = f"Form{len(CLASS_OF)}"
    decorated = f"    @{decorator}\n" if decorator else ""
    _TEXTS.append(
        f"class {CLASS_OF[form]}(BaseRunner):\n{decorated}    async def run(self, {parameters}) -> {output}: ...\n"
    )


for form, parameters in (INPUTS | {parameters: parameters for parameters in REFUSED}).items():
    _add(form, parameters)
for output in OUTPUTS:
    _add(f"-> {output}", "", output)
for decorator in DECORATORS:
    _add(f"@{decorator}", "", "Iterator[str]", decorator)


def write(folder: Path) -> None:
    for name, text in (_FILES | {"predict.py": "".join(_TEXTS)}).items():
        (folder / name).write_text(text, encoding="utf-8")


def ask_cog(folder: Path, name: str) -> dict[str, Any] | None:
    """The real cog's result for a class, without a build: it writes the schema before it misses the Dockerfile.

    None if it refuses the class.
    """
    config = f"build: {{python_version: '3.11'}}\nrun: predict.py:{name}\n"
    (folder / "cog.yaml").write_text(config, encoding="utf-8")
    schema = folder / ".cog" / "openapi_schema.json"
    schema.unlink(missing_ok=True)
    command = ["cog", "build", "--dockerfile", "missing", "-t", "asked"]
    errors = subprocess.run(command, cwd=folder, capture_output=True, text=True).stderr
    if schema.is_file():
        return said_of(json.loads(schema.read_bytes()))
    assert "image build failed: image build failed" in errors or "predict" in errors, errors
    return None


def said_of(schema: dict[str, Any]) -> dict[str, Any]:
    """The part of a schema that describes the class itself."""
    components = {name: part for name, part in schema["components"]["schemas"].items() if name not in _FRAME}
    return components | {"streams": schema["paths"]["/predictions"]["post"].get("x-cog-streaming", False)}


def main() -> int:
    """Run cog on every form, and record its results."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder)
        answers = {form: ask_cog(folder, called) for form, called in CLASS_OF.items()}
    record(answers)
    return 0


def record(answers: Mapping[str, Any]) -> None:
    """Write the results, a form a line."""
    lines = (json.dumps({form: said}, ensure_ascii=False)[1:-1] for form, said in answers.items())
    ANSWERS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
