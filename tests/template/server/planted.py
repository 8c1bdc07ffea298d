"""Small predictors with planted bugs, for Cog's real server."""

from collections.abc import Callable

from scripts.fuzzing import probe

SLOTS = 2
LIMITS = {"hold": 0.01}
PREDICTOR = """
import asyncio, os, sys, threading, time
from cog import AsyncConcatenateIterator, BasePredictor, Input, concurrent, streaming
from models.errors import InputError

class Planted(BasePredictor):
    def setup(self) -> None:
        self.served = 0

    @concurrent(max=2)
    async def predict(
        self,
        text: str = Input(default="hi there"),
        style: str = Input(default="plain", choices=["plain", "bold"]),
        count: int = Input(default=3, ge=1, le=10),
        scale: float = Input(default=1.0, ge=0.0, le=2.0),
        seed: int | None = Input(default=None, ge=0, le=100),
        stop: list[str] | None = Input(default=None),
        hold: float = Input(default=0, ge=0, le=600),
    ) -> {returns}:
        self.served += 1
        {bug}
        await asyncio.sleep(hold)
        return text * int(count)
"""
# A generator on a thread of its slot, as in text generation, but it ignores the cancel signal.
DEAF = """
        def wait():
            time.sleep({seconds})
            yield text
        return wait()
"""
Fuzz = Callable[..., probe.Report]
