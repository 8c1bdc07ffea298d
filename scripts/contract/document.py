"""The OpenAPI document of a Cog model as it was written, checked, its references put in place.

Only what matters to callers is read. Sources: Cog 0.22, pkg/schema/openapi_spec.go; Cog 0.9 to 0.14,
python/cog/server/http.py and helpers.py.
"""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from models.errors import TemplateError


class ContractError(TemplateError):
    """A document that is no schema of a Cog model."""


class Node(BaseModel):
    """One place of a schema. What Cog never writes is here where other tools write it for the same meaning."""

    model_config = ConfigDict(alias_generator=to_camel)

    all_of: list[Node] = []
    any_of: list[Node] = Field(default=[], validation_alias=AliasChoices("anyOf", "oneOf"))
    type: str | list[str] | None = None
    format: str | None = None
    enum: list[Any] | None = None
    const: Any = None
    items: Node | None = None
    properties: dict[str, Node] = {}
    required: list[str] = []
    additional_properties: bool | Node | None = None
    nullable: bool = False
    default: Any = None
    description: str = ""
    title: str = ""
    deprecated: bool = False
    order: int | None = Field(default=None, validation_alias="x-order")
    array_type: str | None = Field(default=None, validation_alias="x-cog-array-type")
    array_display: str | None = Field(default=None, validation_alias="x-cog-array-display")
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: bool | float | None = None
    exclusive_maximum: bool | float | None = None
    min_length: int | None = None
    max_length: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    pattern: str | None = None
    multiple_of: float | None = None
    unique_items: bool | None = None
    accept: str | None = Field(default=None, validation_alias="x-cog-accept")

    def over(self, base: Node) -> Node:
        """`base`, with what this node says itself in its place."""
        own = self.model_fields_set - {"all_of", "any_of"}
        return base.model_copy(update={name: getattr(self, name) for name in own})

    def alternatives(self) -> list[Node]:
        """The nodes of a single type that this one allows, without allOf and anyOf; several for a union."""
        return [Node(type=kind).over(node) for node in self._merged() for kind in _types(node)]

    def _merged(self) -> list[Node]:
        nodes = [Node()]
        for part in self.all_of:
            nodes = [node.over(base) for base in nodes for node in part._merged()]
        if self.any_of:
            nodes = [node.over(base) for base in nodes for part in self.any_of for node in part._merged()]
        return [self.over(base) for base in nodes]


def _types(node: Node) -> list[str]:
    """The JSON types of a node; like Cog 0.22, `object` where the schema names none."""
    if node.type:
        return [node.type] if isinstance(node.type, str) else node.type
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
    choices = node.enum or ([] if node.const is None else [node.const])
    return sorted({kinds.get(type(choice), "object") for choice in choices if choice is not None}) or ["object"]


class _Components(BaseModel):
    schemas: dict[str, dict[str, Any]]


class _Operation(BaseModel):
    streams: bool = Field(default=False, validation_alias="x-cog-streaming")


class _Route(BaseModel):
    post: _Operation = _Operation()


class _Document(BaseModel):
    components: _Components
    paths: dict[str, _Route] = {}


def parse(document: Any) -> tuple[Node, Node, bool]:
    """The input, the output, and whether the server sends pieces as server-sent events.

    Raises:
        ContractError: there is no input or output, or something has the wrong form; names the place.
    """
    try:
        whole = _Document.model_validate(document)
        schemas = whole.components.schemas
        missing = [name for name in ("Input", "Output") if name not in schemas]
        if missing:
            raise ContractError(f"no schema of a Cog model: it has no components.schemas.{missing[0]}")
        given, returned = (
            Node.model_validate(_in_place(schemas[name], schemas, (name,))) for name in ("Input", "Output")
        )
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        raise ContractError(f"no schema of a Cog model: {place}: {first['msg']}") from error
    return given, returned, any(route.post.streams for route in whole.paths.values())


def _in_place(raw: Any, schemas: dict[str, dict[str, Any]], within: tuple[str, ...]) -> Any:
    """`raw` with each `$ref` replaced by what it names; like Cog 0.22, a type inside itself is an opaque object."""
    if isinstance(raw, list):
        return [_in_place(part, schemas, within) for part in raw]
    if not isinstance(raw, dict):
        return raw
    own = {key: _in_place(part, schemas, within) for key, part in raw.items() if key != "$ref"}
    if not isinstance(raw.get("$ref"), str):
        return own
    name = raw["$ref"].rpartition("/")[2]
    if name not in schemas:
        raise ContractError(f"no schema of a Cog model: it refers to {raw['$ref']}, which it does not have")
    named = {"type": "object"} if name in within else _in_place(schemas[name], schemas, (*within, name))
    return {**_without_its_name(named), **own}


def _without_its_name(named: dict[str, Any]) -> dict[str, Any]:
    """A component's title and docstring describe it, not the place that refers to it; Cog 0.14's choices do."""
    is_theirs = "enum" in named and named.get("description") != "An enumeration."
    return {key: part for key, part in named.items() if key != "title" and (key != "description" or is_theirs)}
