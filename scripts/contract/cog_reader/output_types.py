"""The type of the output, as JSON schema. Source: Cog 0.22, pkg/schema/schema_type.go."""

from __future__ import annotations

from typing import Any

from scripts.contract.cog_reader.annotation import Annotation
from scripts.contract.cog_reader.file import Import
from scripts.contract.cog_reader.models import Models
from scripts.contract.cog_reader.names import (
    PRIMITIVES,
    bare,
    container,
    is_annotated,
    opaque,
    opaque_optional,
    optional,
    unresolved,
)
from scripts.contract.cog_reader.syntax import Unsupported

_NEVER_NONE = "Cog takes no output that may be None: return an empty value, or a BaseModel with such a field"


def title(name: str) -> str:
    """A name as a title: the first byte of each word in upper case."""
    return " ".join(_capital(word) for word in name.split("_"))


def resolve(annotation: Annotation, models: Models, within: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The JSON schema of a return annotation; `within`: the classes that contain it.

    Raises:
        Unsupported: Cog takes no such output.
    """
    inside = opaque(annotation, models.file)
    if inside:
        if opaque_optional(inside, models.file):
            raise Unsupported(_NEVER_NONE)
        return _opaque(inside, models)
    if annotation.kind == "name":
        return _named(annotation.name, models, within)
    if annotation.kind == "union":
        raise _refused_union(annotation)
    if is_annotated(annotation.name, models.file):
        return resolve(annotation.arguments[0], models, within)
    return _generic(annotation, models, within)


def _capital(word: str) -> str:
    raw = word.encode()
    return (raw[:1].upper().decode(errors="replace") + raw[1:].decode(errors="replace")) if raw else ""


def _opaque(annotation: Annotation, models: Models) -> dict[str, Any]:
    is_list = annotation.kind != "union" and container(annotation.name, models.file) in ("list", "List")
    is_one = annotation.kind == "name" or len(annotation.arguments) == 1
    return {"type": "array", "items": {"type": "object"}} if is_list and is_one else {"type": "object"}


def _named(name: str, models: Models, within: frozenset[str]) -> dict[str, Any]:
    if name in models.members:
        return _object(name, models, within)
    source, plain = Import("", ""), name
    qualified = models.file.qualified(name)
    if qualified:
        plain, source = qualified
        if f"{source.original}.{plain}" in models.members:
            return _object(f"{source.original}.{plain}", models, within)
    if plain in ("Any", "dict", "Dict"):
        return {"type": "object"}
    if container(name, models.file) in ("list", "List"):
        return {"type": "array", "items": {"type": "object"}}
    if plain not in PRIMITIVES:
        raise unresolved(plain, models.file, source, "BaseModel or TypedDict")
    return dict(PRIMITIVES[plain])


def _generic(annotation: Annotation, models: Models, within: frozenset[str]) -> dict[str, Any]:
    outer, arguments = bare(annotation.name, models.file), annotation.arguments
    if outer in ("dict", "Dict") and len(arguments) == 2:
        return {"type": "object", "additionalProperties": resolve(arguments[1], models, within)}
    if outer in ("Optional", "Union"):
        raise _refused_union(annotation)
    if container(annotation.name, models.file) in ("list", "List") and len(arguments) == 1:
        return {"type": "array", "items": resolve(arguments[0], models, within)}
    if outer in ("Iterator", "AsyncIterator") and len(arguments) == 1:
        return {"type": "array", "items": resolve(arguments[0], models, within), "x-cog-array-type": "iterator"}
    if outer in ("ConcatenateIterator", "AsyncConcatenateIterator"):
        if [str(argument) for argument in arguments] != ["str"]:
            raise Unsupported(f"{outer} joins texts: it takes str alone")
        pieces = {"type": "array", "items": {"type": "string"}, "x-cog-array-type": "iterator"}
        return pieces | {"x-cog-array-display": "concatenate"}
    raise Unsupported(f"Cog takes no output of the type {annotation}")


def _refused_union(annotation: Annotation) -> Unsupported:
    return Unsupported(_NEVER_NONE if optional(annotation) else f"Cog takes no union as output, like {annotation}")


def _object(name: str, models: Models, within: frozenset[str]) -> dict[str, Any]:
    """A class with its fields; inside itself it is an object without declared fields."""
    if name in within:
        return {"type": "object"}
    properties, required = {}, []
    for member in models.members[name]:
        try:
            described, is_required = _member(member.type, models, within | {name})
        except Unsupported as error:
            raise Unsupported(f"{name}.{member.name}: {error}") from error
        properties[member.name] = described | {"title": title(member.name)}
        if (is_required if member.required is None else member.required) and not member.has_default:
            required.append(member.name)
    return {"type": "object", "properties": properties} | ({"required": required} if required else {})


def _member(annotation: Annotation, models: Models, within: frozenset[str]) -> tuple[dict[str, Any], bool]:
    """The JSON schema of a field, and whether it is required."""
    inside = opaque(annotation, models.file)
    if not inside and annotation.kind == "generic" and is_annotated(annotation.name, models.file):
        return _member(annotation.arguments[0], models, within)
    maybe = opaque_optional(inside or annotation, models.file) or optional(inside or annotation)
    kind = maybe or inside or annotation
    described = _opaque(kind, models) if inside else resolve(kind, models, within)
    return described | ({"nullable": True} if maybe else {}), not maybe
