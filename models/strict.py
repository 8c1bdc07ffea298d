"""YAML files that people write, read strictly: an unknown key is an error with the file, the key and the nearest one.

The manifest of a model is one; those of scripts/ use the same.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import TemplateError


class Strict(BaseModel):
    """A section of such a file: every key is known, and nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Section = TypeVar("Section", bound=Strict)


def read(path: Path, kind: type[Section], error: type[TemplateError]) -> Section:
    """The file at `path` as a `kind`.

    Raises:
        TemplateError: as of `content` and `check`.
    """
    return check(path, content(path, error), kind, error)


def content(path: Path, error: type[TemplateError]) -> Any:
    """What the YAML file at `path` holds.

    Raises:
        TemplateError: of the class `error`, if it is not YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as cause:
        raise error(f"{path} is not YAML: {' '.join(str(cause).split())}") from cause


def check(path: Path, said: Any, kind: type[Section], error: type[TemplateError]) -> Section:
    """What the file at `path` says, as a `kind`.

    Raises:
        TemplateError: of the class `error`, a line for each thing that is wrong: the file, the key, the remedy.
    """
    try:
        return kind.model_validate(said)
    except ValidationError as cause:
        raise error("\n".join(_explain(path, kind, problem) for problem in cause.errors())) from cause


def suggestion(word: str, known: Sequence[str]) -> str:
    """Which of the known words was perhaps meant, in brackets; all of them where none is near."""
    near = difflib.get_close_matches(word, known, n=1)
    return f" (did you mean {near[0]}?)" if near else f" (known: {', '.join(known)})"


def _explain(path: Path, kind: type[Strict], problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = _known_keys(kind, problem["loc"][:-1])
        return f"{path}: unknown key {where}{suggestion(str(problem['loc'][-1]), known)}"
    what = str(problem["msg"]).removeprefix("Value error, ")
    return f"{path}: {where or 'the file'}: {what}"


def _known_keys(kind: type[Strict], location: tuple[Any, ...]) -> list[str]:
    """The keys of the section at `location`; in a mapping or a list the location has a key or a number of its own."""
    section: Any = kind
    for part in location:
        if isinstance(part, str) and part in getattr(section, "model_fields", {}):
            section = _section_in(section.model_fields[part].annotation)
    return list(section.model_fields)


def _section_in(annotation: Any) -> Any:
    """The section that an annotation such as `list[Example]` or `dict[str, Offer]` is made of."""
    inner = [_section_in(argument) for argument in getattr(annotation, "__args__", ())]
    return next((one for one in inner if hasattr(one, "model_fields")), annotation)
