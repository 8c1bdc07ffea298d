"""A task gets a whole number as an int, in whatever form JSON had it."""

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from models.inputs import whole_numbers


@dataclass
class Input:
    """Stands for Cog's Input in the signature."""

    default: Any = None


class Sample:
    @whole_numbers
    def predict(
        self,
        count: int = Input(1),
        seed: int | None = Input(None),
        sizes: list[int] = Input(None),
        scale: float = Input(1.0),
        text: str = Input("x"),
    ) -> tuple[Any, ...]:
        return count, seed, sizes, scale, text

    @whole_numbers
    async def awaited(self, count: int = Input(7)) -> int:
        return count


def is_same(given: Any, wanted: Any) -> bool:
    return repr(given) == repr(wanted)  # 3 and 3.0 are equal


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"count": 3.0}, (3, None, None, 1.0, "x")),
        ({"seed": 3.0, "scale": 3.0}, (1, 3, None, 3.0, "x")),
        ({"sizes": [1.0, 2]}, (1, None, [1, 2], 1.0, "x")),
        ({"text": "3.0"}, (1, None, None, 1.0, "3.0")),
    ],
)
def test_a_whole_number_becomes_an_int_and_everything_else_is_unchanged(
    given: dict[str, Any], wanted: tuple[Any, ...]
) -> None:
    assert is_same(Sample().predict(**given), wanted)


def test_an_async_method_stays_async() -> None:
    assert is_same(asyncio.run(Sample().awaited()), 7)
    assert is_same(asyncio.run(Sample().awaited(count=8.0)), 8)
