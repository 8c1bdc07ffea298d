"""OpenAPI schemas as Cog writes them, from one line of code."""

from typing import Any


def cog(
    inputs: dict[str, Any], output: dict[str, Any] | None = None, required: tuple[str, ...] = (), **more: Any
) -> Any:
    """A schema with these inputs and components."""
    given = {"title": "Input", "type": "object", "properties": inputs, "required": list(required)}
    return {"components": {"schemas": {"Input": given, "Output": output or {"type": "string"}, **more}}}
