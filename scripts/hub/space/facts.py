"""What the demo shows and needs, read from the manifest and from the class's schema."""

import re
from typing import Any

from models.manifest import Manifest
from scripts.contract import document, schema
from scripts.contract.document import Node
from scripts.hub.space.demo.facts import Display, Example, Facts, Field, Kind
from scripts.serving import local_server

_PLAIN: tuple[Kind, ...] = ("string", "integer", "number", "boolean", "array", "object")


def of(model: Manifest, what: str) -> Facts:
    """The facts of a model whose predictions run on `what`: see Facts.

    Raises:
        TemplateError: predict.py has no class for it, or `what` cannot be reached; says why.
    """
    if what == "own":
        return described(model, what, schema.generate(schema.served_class(model)))
    return described(model, *_elsewhere(what))


def described(model: Manifest, what: str, contract: dict[str, Any]) -> Facts:
    """The facts of a model whose class has the OpenAPI document `contract`."""
    given, output, streams = document.parse(contract)
    properties = sorted(given.properties.items(), key=lambda named: named[1].order or 0)
    return Facts(
        title=model.title,
        summary=model.summary,
        links=_links(model, what),
        what=what,
        server=local_server.variables_of(model) if what == "own" else {},
        slots=schema.max_concurrency(schema.served_class(model)),
        fields=[_field(name, node, name in given.required) for name, node in properties],
        display=_display(output),
        streams=streams,
        examples=[Example(name=example.name, input=example.input) for example in model.examples],
    )


def _elsewhere(what: str) -> tuple[str, dict[str, Any]]:
    """`what` with the id of a model's latest version, and the OpenAPI document found there."""
    from scripts.calling import client, remote
    from scripts.calling.display import Display as Terminal
    from scripts.replicate.client import connect

    if re.fullmatch(r"[\w.-]+/[\w.-]+", what):
        found = remote.get(connect(), f"/v1/models/{what}", f"the model {what}")
        latest = found.get("latest_version") or {}
        what = what if found.get("is_official") or not latest else f"{what}:{latest['id']}"
    with client.opened(what, Terminal()) as opened:
        return what, opened.document


def _links(model: Manifest, what: str) -> dict[str, str]:
    """Model card, licence, and the API of the same model."""
    links = {"Model card": model.card} if model.card else {}
    links[f"Licence: {model.license.id}"] = model.license.link
    if what.startswith("http"):
        return links | {"API": f"{what.rstrip('/')}/openapi.json"}
    called = f"deployment:{model.deployments[0]}" if what == "own" and model.deployments else what
    if called == "own":
        return links
    name = called.removeprefix("deployment:").partition(":")[0]
    kind = "deployments/" if called.startswith("deployment:") else ""
    return links | {"API": f"https://replicate.com/{kind}{name}"}


def _field(name: str, node: Node, is_required: bool) -> Field:
    kinds = node.alternatives()
    known = [kind for kind in kinds if kind.type != "null"]
    first = known[0] if len(known) == 1 else Node()
    is_nullable = not is_required and (node.nullable or any(kind.nullable or kind.type == "null" for kind in kinds))
    return Field(
        name=name,
        kind=_kind(first) if len(known) == 1 else "any",
        description=node.description,
        default=node.default,
        is_required=is_required,
        is_nullable=is_nullable or (not is_required and node.default is None),
        choices=[choice for choice in first.enum or [] if choice is not None],
        bounds=(first.minimum, first.maximum),
        items=_items(first),
        accept=node.accept or "",
    )


def _kind(node: Node) -> Kind:
    if node.type == "string" and node.format in ("uri", "password"):
        return "file" if node.format == "uri" else "secret"
    return next((kind for kind in _PLAIN if kind == node.type), "any")


def _items(node: Node) -> Kind:
    kinds = node.items.alternatives() if node.items else []
    return _kind(kinds[0]) if len(kinds) == 1 else "any"


def _display(node: Node) -> Display:
    """How an output is shown, by its type."""
    kinds = [kind for kind in node.alternatives() if kind.type != "null"]
    if len(kinds) != 1:
        return "json"
    kind = kinds[0]
    if kind.type == "array" and kind.items:
        if kind.array_display == "concatenate":
            return "text"
        inner = _display(kind.items)
        return inner if inner in ("files", "labels") else "table" if _is_row(kind.items) else "json"
    if kind.type == "string":
        return "files" if kind.format == "uri" else "text"
    return "labels" if _are_scores(kind) else "json"


def _is_row(node: Node) -> bool:
    """Whether an object has only simple values, so that it fits a row of a table."""
    return bool(node.properties) and all(
        part.type in ("string", "integer", "number", "boolean")
        for value in node.properties.values()
        for part in value.alternatives()
    )


def _are_scores(node: Node) -> bool:
    """{"label": ..., "score": ...}, or an object of numbers by label."""
    if set(node.properties) >= {"label", "score"}:
        return True
    values = node.additional_properties
    return isinstance(values, Node) and not node.properties and values.type == "number"
