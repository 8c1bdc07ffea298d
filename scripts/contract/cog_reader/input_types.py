"""The type of an input, as JSON schema. Source: Cog 0.22, pkg/schema/types.go and openapi_spec.go."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

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
    unresolved,
)
from scripts.contract.cog_reader.syntax import Unsupported

_NESTED = "Cog takes no lists of lists, of unions or of optional values as inputs"


@dataclass(frozen=True)
class InputType:
    """`name`: of a primitive, or `Any`; `parts`: the type of a list's items, or a union's members."""

    kind: Literal["primitive", "list", "union"]
    name: str = "Any"
    parts: tuple[InputType, ...] = ()
    nullable: bool = False

    @property
    def primitive(self) -> str:
        """The primitive of a value or of a list's items; otherwise `Any`."""
        return self.parts[0].name if self.kind == "list" and self.parts[0].kind == "primitive" else self.name

    def schema(self) -> dict[str, Any]:
        if self.kind == "list":
            described: dict[str, Any] = {"type": "array", "items": self.parts[0].schema()}
        elif self.kind == "union":
            described = {"anyOf": [replace(part, nullable=self.nullable).schema() for part in self.parts]}
        else:
            described = dict(PRIMITIVES[self.name])
        return described | ({"nullable": True} if self.nullable else {})


def resolve(annotation: Annotation, models: Models) -> InputType:
    """The type of an input with this annotation.

    Raises:
        Unsupported: Cog takes no such input.
    """
    inside = opaque(annotation, models.file)
    if inside:
        return _opaque(inside, models)
    match annotation.kind:
        case "name":
            return _named(annotation.name, models)
        case "union":
            return _union(annotation.arguments, models)
    return _generic(annotation, models)


def _named(name: str, models: Models) -> InputType:
    if name in models.typed_dicts:
        return InputType("primitive")
    source = Import("", "")
    qualified = models.file.qualified(name)
    if qualified:
        name, source = qualified
    is_typed_dict = name in models.typed_dicts or f"{source.original}.{name}" in models.typed_dicts
    if is_typed_dict or name in ("dict", "Dict"):
        return InputType("primitive")
    if name not in PRIMITIVES:
        raise unresolved(name, models.file, source, "TypedDict")
    return InputType("primitive", name)


def _generic(annotation: Annotation, models: Models) -> InputType:
    outer, arguments = bare(annotation.name, models.file), annotation.arguments
    if outer in ("dict", "Dict"):
        return InputType("primitive")
    if outer == "Optional" and len(arguments) == 1:
        return replace(resolve(arguments[0], models), nullable=True)
    if outer == "Union":
        return _union(arguments, models)
    if is_annotated(annotation.name, models.file):
        return resolve(arguments[0], models)
    if outer in ("list", "List") and len(arguments) == 1:
        items = resolve(arguments[0], models)
        if items.nullable or items.kind != "primitive":
            raise Unsupported(_NESTED)
        return InputType("list", parts=(items,))
    raise Unsupported(f"Cog takes no inputs of the type {annotation}")


def _union(arguments: tuple[Annotation, ...], models: Models) -> InputType:
    kinds = [argument for argument in arguments if not argument.is_none]
    if any(kind.kind == "union" or (kind.kind == "generic" and kind.name == "Union") for kind in kinds):
        raise Unsupported("Cog takes no unions of unions as inputs")
    parts = tuple(resolve(kind, models) for kind in kinds)
    if any(part.kind == "union" for part in parts):
        raise Unsupported("Cog takes no unions of unions as inputs")
    if not parts:
        raise Unsupported("Cog takes no inputs that are always None")
    nullable = len(kinds) < len(arguments)
    if len(parts) == 1:
        return replace(parts[0], nullable=parts[0].nullable or nullable)
    for part in parts:
        if part.nullable:
            raise Unsupported("Cog takes no None inside of a member of a union")
        if part.primitive in ("Path", "File", "Secret"):
            raise Unsupported(f"Cog takes no {part.primitive} in a union")
    return InputType("union", parts=parts, nullable=nullable)


def _opaque(annotation: Annotation, models: Models) -> InputType:
    """Inside Annotated[..., Opaque], Cog only looks whether it is a list and whether it may be None."""
    file = models.file
    inside = opaque(annotation, file)
    if inside:
        return _opaque(inside, models)
    if annotation.kind in ("name", "generic") and container(annotation.name, file) in ("list", "List"):
        return InputType("list", parts=(InputType("primitive"),))
    maybe = opaque_optional(annotation, file)
    return replace(_opaque(maybe, models), nullable=True) if maybe else InputType("primitive")
