"""Fixtures of a fork's tests: Cog's real server of the selected model, on each engine that can run here."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from models import manifest, runtimes
from models.errors import EngineError
from models.manifest import Manifest
from scripts import tasks
from scripts.cli import connection
from scripts.contract import meaning, schema
from scripts.fuzzing import cases
from scripts.serving import predicting
from tests.serving import serving

connection.bypass_proxies_locally()
MODEL = manifest.selected()
CLASS = schema.served_class(MODEL)


@dataclass(frozen=True)
class Served:
    """A server that is ready. `long`: an input that takes long, None if the class has none."""

    address: str
    engine: str
    document: Mapping[str, Any]
    long: Mapping[str, Any] | None

    @property
    def streams(self) -> bool:
        """Whether the class sends its output in pieces."""
        return meaning.read(self.document).streams

    @property
    def slots(self) -> int:
        """The number of predictions that run at once."""
        return schema.max_concurrency(CLASS)

    def predict(self, inputs: Mapping[str, Any]) -> httpx.Response:
        """The response to a prediction, sent once the last one has returned its slot."""
        predicting.wait_until_ready(self.address)
        return self.send(inputs)

    def send(self, inputs: Mapping[str, Any]) -> httpx.Response:
        """The response to a prediction, which is sent whether a slot is free or not."""
        return connection.ask("POST", f"{self.address}/predictions", json={"input": inputs}, timeout=600)


def engines() -> list[str]:
    """The engines of the manifest whose device and packages are present, by name."""
    found = []
    for name in dict.fromkeys(choice.engine for choice in MODEL.engines):
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("ENGINE", name)
            try:
                runtimes.choose(MODEL)
            except EngineError:
                continue
        found.append(name)
    return sorted(found)


def pytest_report_header() -> str:
    """Report which engines are tested, and which cannot be."""
    named, here = sorted({choice.engine for choice in MODEL.engines}), engines()
    left_out = [name for name in named if name not in here]
    return f"{MODEL.slug} on {', '.join(here) or 'no engine'}" + (
        f"; not here: {', '.join(left_out)}" if left_out else ""
    )


@pytest.fixture(scope="session")
def model() -> Manifest:
    return MODEL


@pytest.fixture(scope="package", params=engines())
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    """A server on each engine in turn."""
    with serving(MODEL, request.param) as address:
        document = connection.ask("GET", f"{address}/openapi.json").json()
        limits = tasks.attribute(MODEL, "LIMITS", cases.NO_LIMITS)
        yield Served(address, request.param, document, cases.longest(document, MODEL.examples[-1].input, limits))
