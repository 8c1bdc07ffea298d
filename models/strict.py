"""Reads YAML files that people write, strictly: the error for an unknown key names the file and the nearest known key.

The manifest of a model is such a file; scripts/ reads others in the same way.
"""

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import TemplateError


class Strict(BaseModel):
    """A section of such a file: it accepts only known keys, and cannot change after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


Section = TypeVar("Section", bound=Strict)


def read(path: Path, kind: type[Section], error: type[TemplateError]) -> Section:
    """The file at `path` as a `kind`.

    Raises:
        TemplateError: as `content` and `check` raise it.
    """
    return check(path, content(path, error), kind, error)


def content(path: Path, error: type[TemplateError]) -> Any:
    """The content of the YAML file at `path`.

    Raises:
        TemplateError: of the class `error`, if the file is not YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as cause:
        raise error(f"{path} is not YAML: {' '.join(str(cause).split())}") from cause


def check(path: Path, content: Any, kind: type[Section], error: type[TemplateError]) -> Section:
    """The `content` of the file at `path` as a `kind`.

    Raises:
        TemplateError: of the class `error`, with one line per fault: the file, the key and the remedy.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as cause:
        raise error("\n".join(_explain(path, kind, problem) for problem in cause.errors())) from cause


def suggestion(word: str, known: Sequence[str]) -> str:
    """A hint in brackets: the known word nearest to `word`, or all known words if none is near."""
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
    """The keys of the section at `location`, which also holds the keys of mappings and the indexes of lists."""
    section: Any = kind
    for part in location:
        if isinstance(part, str) and part in getattr(section, "model_fields", {}):
            section = _section_in(section.model_fields[part].annotation)
    return list(section.model_fields)


def _section_in(annotation: Any) -> Any:
    """The section class in an annotation such as `list[Example]` or `dict[str, Offer]`."""
    inner = [_section_in(argument) for argument in getattr(annotation, "__args__", ())]
    return next((one for one in inner if hasattr(one, "model_fields")), annotation)
