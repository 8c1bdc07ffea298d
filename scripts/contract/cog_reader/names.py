"""What the names in annotations stand for. Source: Cog 0.22, pkg/schema/types.go."""

from __future__ import annotations

from typing import Any

from scripts.contract.cog_reader.annotation import Annotation
from scripts.contract.cog_reader.file import TYPING, File, Import
from scripts.contract.cog_reader.syntax import Unsupported

PRIMITIVES: dict[str, dict[str, Any]] = {
    "bool": {"type": "boolean"},
    "float": {"type": "number"},
    "int": {"type": "integer"},
    "str": {"type": "string"},
    "Path": {"type": "string", "format": "uri"},
    "File": {"type": "string", "format": "uri"},
    "Secret": {"type": "string", "format": "password", "writeOnly": True, "x-cog-secret": True},
    "Any": {"type": "object"},
}


def bare(name: str, file: File) -> str:
    """A name without the module before it."""
    qualified = file.qualified(name)
    return qualified[0] if qualified else name


def unresolved(name: str, file: File, source: Import, classes: str) -> Unsupported:
    """The error for a name that Cog cannot resolve; `classes`: the kinds of classes that it accepts here."""
    source = source if source.module else file.imports.get(name, source)
    if source.module and source.module != "builtins":
        return Unsupported(
            f"Cog does not follow {name} into {source.module}: make it a {classes} of this file, or "
            f"Annotated[{name}, Opaque]"
        )
    return Unsupported(f"the type {name}: use {', '.join(PRIMITIVES)}, dict, list[...] or a {classes} of this file")


def is_annotated(name: str, file: File) -> bool:
    """Whether a name is typing's Annotated."""
    return _from_typing(name, file) == "Annotated"


def container(name: str, file: File) -> str:
    """list, List, Optional or Union if a name is Python's or typing's own; otherwise ""."""
    if file.imports.get(name) == Import("builtins", "list"):
        return "list"
    found = _from_typing(name, file)
    return found if found in ("List", "Optional", "Union") else ""


def opaque(annotation: Annotation, file: File) -> Annotation | None:
    """X of Annotated[X, Opaque]; None for anything else."""
    if annotation.kind != "generic" or not is_annotated(annotation.name, file):
        return None
    marks = [mark.name for mark in annotation.arguments[1:] if mark.kind == "name"]
    return annotation.arguments[0] if any(_is_opaque(mark, file) for mark in marks) else None


def optional(annotation: Annotation) -> Annotation | None:
    """X of X | None, Optional[X] and Union[X, None]; None for anything else."""
    arguments = annotation.arguments
    if annotation.kind == "generic" and annotation.name == "Optional" and len(arguments) == 1:
        return arguments[0]
    is_union = annotation.kind == "union" or (annotation.kind == "generic" and annotation.name == "Union")
    return _beside_none(arguments) if is_union and len(arguments) == 2 else None


def opaque_optional(annotation: Annotation, file: File) -> Annotation | None:
    """The same, also under the file's own names for typing's Optional and Union."""
    if annotation.kind == "generic":
        found, arguments = container(annotation.name, file), annotation.arguments
        if not found:
            return None
        if found == "Optional" and len(arguments) == 1:
            return arguments[0]
        if found == "Union" and len(arguments) == 2 and _beside_none(arguments):
            return _beside_none(arguments)
    return optional(annotation)


def _beside_none(arguments: tuple[Annotation, ...]) -> Annotation | None:
    first, second = arguments
    return second if first.is_none else first if second.is_none else None


def _from_typing(name: str, file: File) -> str:
    """The name in typing of what the file calls `name`; "" if it does not come from typing."""
    qualified = file.qualified(name)
    if qualified:
        rest, source = qualified
        return rest if source.module in TYPING and source.original == source.module else ""
    source = file.imports.get(name, Import("", ""))
    return source.original if source.module in TYPING else ""


def _is_opaque(name: str, file: File) -> bool:
    qualified = file.qualified(name)
    if qualified:
        return qualified[0] == "Opaque" and qualified[1].module == "cog"
    return file.imports.get(name) == Import("cog", "Opaque")
