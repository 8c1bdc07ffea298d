"""The OpenAPI document of a Cog model, checked, with its references resolved.

Only the parts that matter to callers are read. Sources: Cog 0.22, pkg/schema/openapi_spec.go; Cog 0.9 to 0.14,
python/cog/server/http.py and helpers.py.
"""

from __future__ import annotations

from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from models.errors import TemplateError


class ContractError(TemplateError):
    """A document that is not the schema of a Cog model."""


class Node(BaseModel):
    """One node of a schema. It also has keywords that Cog never writes but other tools use for the same meaning."""

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
        """`base`, overridden by the keywords that this node sets itself."""
        own = self.model_fields_set - {"all_of", "any_of"}
        return base.model_copy(update={name: getattr(self, name) for name in own})

    def alternatives(self) -> list[Node]:
        """The nodes with a single type, and without allOf and anyOf, that this node stands for; several for a union."""
        return [Node(type=kind).over(node) for node in self._merged() for kind in _types(node)]

    def _merged(self) -> list[Node]:
        nodes = [Node()]
        for part in self.all_of:
            nodes = [node.over(base) for base in nodes for node in part._merged()]
        if self.any_of:
            nodes = [node.over(base) for base in nodes for part in self.any_of for node in part._merged()]
        return [self.over(base) for base in nodes]


def _types(node: Node) -> list[str]:
    """The JSON types of a node; `object` if the schema names none, as in Cog 0.22."""
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
    """The input, the output, and whether the server sends the output in pieces, as server-sent events.

    Raises:
        ContractError: there is no input or output, or something has the wrong form; names the place.
    """
    try:
        whole = _Document.model_validate(document)
        schemas = whole.components.schemas
        missing = [name for name in ("Input", "Output") if name not in schemas]
        if missing:
            raise ContractError(f"not the schema of a Cog model: it has no components.schemas.{missing[0]}")
        given, returned = (
            Node.model_validate(_resolved(schemas[name], schemas, (name,))) for name in ("Input", "Output")
        )
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the document"
        raise ContractError(f"not the schema of a Cog model: {place}: {first['msg']}") from error
    return given, returned, any(route.post.streams for route in whole.paths.values())


def _resolved(raw: Any, schemas: dict[str, dict[str, Any]], within: tuple[str, ...]) -> Any:
    """`raw` with each `$ref` replaced by what it names; a type inside itself becomes an object, as in Cog 0.22."""
    if isinstance(raw, list):
        return [_resolved(part, schemas, within) for part in raw]
    if not isinstance(raw, dict):
        return raw
    own = {key: _resolved(part, schemas, within) for key, part in raw.items() if key != "$ref"}
    if not isinstance(raw.get("$ref"), str):
        return own
    name = raw["$ref"].rpartition("/")[2]
    if name not in schemas:
        raise ContractError(f"not the schema of a Cog model: it refers to {raw['$ref']}, which it does not have")
    named = {"type": "object"} if name in within else _resolved(schemas[name], schemas, (*within, name))
    return {**_without_its_name(named), **own}


def _without_its_name(named: dict[str, Any]) -> dict[str, Any]:
    """Without the component's title and docstring, which do not describe the input; those of Cog 0.14's choices do."""
    is_theirs = "enum" in named and named.get("description") != "An enumeration."
    return {key: part for key, part in named.items() if key != "title" and (key != "description" or is_theirs)}
