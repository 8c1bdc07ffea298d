"""The verbs of the Makefile and the commands of scripts/, with their descriptions."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from models.manifest import PROJECT

_VERB = re.compile(r"^([a-z-]+):.*?## (?:\[([a-z ]+)\] )?(.+)$", re.MULTILINE)
_VARIABLE = re.compile(r'\b[A-Z][A-Z_]*=(?:"[^"]*"|[^\s;)"]*[^\s,;:)"])?')


class Verb(NamedTuple):
    """`group`: its heading in the output of `make`; "" for a verb that only `make help-all` shows."""

    name: str
    group: str
    what: str


def verbs() -> list[Verb]:
    """Every verb, in the Makefile's order."""
    return [Verb(*found) for found in _VERB.findall((PROJECT / "Makefile").read_text(encoding="utf-8"))]


def by_group() -> dict[str, list[Verb]]:
    """The everyday verbs by group, in the order in which `make` shows them."""
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    names = re.findall(r'"([a-z ]+)"', re.search(r"^GROUPS := (.*)$", makefile, re.MULTILINE)[1])  # type: ignore[index]
    return {name: [verb for verb in verbs() if verb.group == name] for name in names}


def commands() -> Iterator[tuple[str, str]]:
    """Each command line of scripts/, and its description: the first sentence of its docstring."""
    for path in sorted([*PROJECT.glob("scripts/*.py"), *PROJECT.glob("scripts/*/__main__.py")]):
        if typed := _typed(path):
            yield typed


def _typed(path: Path) -> tuple[str, str] | None:
    command, _, rest = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")
    sentence = re.split(r"(?<=[.:])\s", " ".join(rest.split()), maxsplit=1)[0].rstrip(".:")
    return (command, sentence) if command.startswith("python -m ") else None


def table() -> str:
    """The everyday verbs as a table for README, with a heading for each group."""
    lines = ["| | |", "| --- | --- |"]
    for group, members in by_group().items():
        lines.append(f"| **{group}** | |")
        lines += [f"| `make {verb.name}` | {_VARIABLE.sub(_as_code, verb.what)} |" for verb in members]
    return "\n".join(lines)


def _as_code(found: re.Match[str]) -> str:
    return f"`{found[0]}`"
