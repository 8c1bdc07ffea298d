"""What Cog's inputs are before a task gets them."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar, get_args

Method = TypeVar("Method", bound=Callable[..., Any])


def whole_numbers(predict: Method) -> Method:
    """A decorator of predict(): an input of the type int is an int, also where 3.0 was sent.

    JSON Schema allows that, and Cog hands it on as it came, as a float.
    https://json-schema.org/understanding-json-schema/reference/numeric
    """
    parameters = inspect.signature(predict).parameters.values()
    whole = {one.name for one in parameters if _is_whole(one.annotation)}
    # Cog puts an input's default in the place of Input(...) only in the function that it finds, which is the one below.
    defaults = {one.name: one.default.default for one in parameters if hasattr(one.default, "default")}

    def read(given: dict[str, Any]) -> dict[str, Any]:
        return {name: _whole(value) if name in whole else value for name, value in (defaults | given).items()}

    @functools.wraps(predict)
    async def awaited(self: Any, **inputs: Any) -> Any:
        return await predict(self, **read(inputs))

    @functools.wraps(predict)
    def called(self: Any, **inputs: Any) -> Any:
        return predict(self, **read(inputs))

    return awaited if inspect.iscoroutinefunction(predict) else called  # type: ignore[return-value]


def _is_whole(annotation: Any) -> bool:
    kinds = {annotation, *get_args(annotation)}
    return bool(kinds & {int, list[int]}) and float not in kinds


def _whole(value: Any) -> Any:
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
