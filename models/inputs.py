"""Prepares Cog's inputs for a task."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, get_args

Method = TypeVar("Method", bound=Callable[..., Any])


def whole_numbers(predict: Method) -> Method:
    """A decorator of predict(): an input of the type int arrives as an int, even if 3.0 was sent.

    JSON Schema allows 3.0 for an integer, and Cog passes it on as a float.
    https://json-schema.org/understanding-json-schema/reference/numeric
    """
    parameters = inspect.signature(predict).parameters.values()
    whole = {one.name for one in parameters if _is_whole(one.annotation)}
    # Cog replaces Input(...) by the input's default only in the function that it finds, which is the wrapper below
    # (docs/upgrading.md).
    defaults = {one.name: one.default.default for one in parameters if hasattr(one.default, "default")}

    def converted(given: dict[str, Any]) -> dict[str, Any]:
        return {name: _as_whole(value) if name in whole else value for name, value in (defaults | given).items()}

    @functools.wraps(predict)
    async def awaited(self: Any, **inputs: Any) -> Any:
        return await predict(self, **converted(inputs))

    @functools.wraps(predict)
    def called(self: Any, **inputs: Any) -> Any:
        return predict(self, **converted(inputs))

    return awaited if inspect.iscoroutinefunction(predict) else called  # type: ignore[return-value]


def _is_whole(annotation: Any) -> bool:
    kinds = {annotation, *get_args(annotation)}
    return bool(kinds & {int, list[int]}) and float not in kinds


def _as_whole(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
