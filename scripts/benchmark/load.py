"""The load: N streams at once against a Cog server, with the times that each of them measured."""

import http.client
import itertools
import json
import statistics
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from models.errors import TemplateError
from scripts.cli.connection import reason
from scripts.serving import local_server

_CHECK_SECONDS = 5
_RETRY_SECONDS = 0.1  # coglet was seen to refuse one of several simultaneous requests although slots were free
Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Load:
    """The predictions with which the servers of a task are measured.

    `inputs`: of predictions; `may_repeat`: whether an input may be sent twice, because no cache answers it faster.
    `streams`: whether the class streams; `each`: how often a stream sends its input, one after the other.
    `sizes`: the metric for each size of a prediction; `unit`: what is counted; `counted`: the size with the number of
    units in a prediction, "" if each prediction counts as one.
    """

    inputs: Sequence[Inputs]
    streams: bool
    may_repeat: bool = True
    each: int = 20
    sizes: Mapping[str, str] = field(default_factory=dict)
    unit: str = "predictions"
    counted: str = ""


@dataclass
class Prediction:
    """The result of one prediction; times in seconds since its request was first sent."""

    first: float = 0.0
    arrivals: list[float] = field(default_factory=list)
    sizes: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Sample:
    """One run of N streams: its seconds, total units a second, and each prediction's times and sizes."""

    seconds: float
    per_second: float
    firsts: list[float]
    gaps: list[float]
    sizes: dict[str, list[float]]


def run(address: str, inputs: Sequence[Inputs], load: Load) -> Sample:
    """Run one stream for each of `inputs`, all at once. If the server is full, retry when another stream has ended.

    Raises:
        TemplateError: a prediction was refused or failed; has the server's answer.
    """
    barrier, freed = threading.Barrier(len(inputs) + 1), threading.Condition()
    client = _Client(address, load, freed)
    with ThreadPoolExecutor(len(inputs)) as pool:
        running = [pool.submit(client.stream, json.dumps({"input": one}), barrier) for one in inputs]
        barrier.wait()
        started = time.perf_counter()
    seconds = time.perf_counter() - started
    return summed([one for stream in running for one in stream.result()], seconds, load.counted)


def summed(predictions: Sequence[Prediction], seconds: float, counted: str) -> Sample:
    """The sample of predictions that took `seconds` together."""
    names = dict.fromkeys(name for one in predictions for name in one.sizes)
    made = sum(one.sizes.get(counted, len(one.arrivals)) for one in predictions) if counted else len(predictions)
    return Sample(
        seconds=seconds,
        per_second=made / seconds,
        firsts=[one.first for one in predictions],
        gaps=[later - before for one in predictions for before, later in itertools.pairwise(one.arrivals)],
        sizes={name: [one.sizes[name] for one in predictions if name in one.sizes] for name in names},
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of `values` lies."""
    if len(values) < 2:
        return values[0] if values else 0.0
    return statistics.quantiles(values, n=1000, method="inclusive")[round(share * 1000) - 1]


class _Client:
    """Sends predictions to one server; `freed` is notified when one has ended."""

    def __init__(self, address: str, load: Load, freed: threading.Condition) -> None:
        self._address, self._load, self._freed = address, load, freed

    def stream(self, body: str, barrier: threading.Barrier) -> list[Prediction]:
        is_secure = urlsplit(self._address).scheme == "https"
        kind = http.client.HTTPSConnection if is_secure else http.client.HTTPConnection
        barrier.wait()
        try:
            with closing(kind(urlsplit(self._address).netloc, timeout=600)) as connection:
                return [self._predict(connection, body) for _ in range(self._load.each)]
        except (OSError, http.client.HTTPException) as error:
            raise TemplateError(f"the connection to {self._address} broke ({reason(error)})") from error

    def _predict(self, connection: http.client.HTTPConnection, body: str) -> Prediction:
        found, started = Prediction(), time.perf_counter()
        response = self._accepted(connection, body)
        received = bytearray()
        while chunk := response.read1(1 << 16):
            now = time.perf_counter() - started
            received += chunk
            if events := chunk.count(b"event: output"):
                found.first = found.first or now
                found.arrivals += [now] * events
        response.close()  # if the body has a length, the connection does not notice by itself that it was read
        found.first = found.first or time.perf_counter() - started
        with self._freed:
            self._freed.notify()
        metrics = _metrics(bytes(received), self._load.streams)
        found.sizes = {size: metrics[name] for size, name in self._load.sizes.items() if name in metrics}
        return found

    def _accepted(self, connection: http.client.HTTPConnection, body: str) -> http.client.HTTPResponse:
        """The response once the server accepts the prediction; waits while it is full, unless it never will accept."""
        accept = "text/event-stream" if self._load.streams else "application/json"
        headers = {"Content-Type": "application/json", "Accept": accept}
        check_at = time.monotonic() + _CHECK_SECONDS
        while True:
            connection.request("POST", "/predictions", body, headers)
            response = connection.getresponse()
            if response.status == 200:
                return response
            answer = response.read()
            if response.status != 409:
                raise TemplateError(f"the server answered {response.status}: {answer.decode(errors='replace')[:200]}")
            if time.monotonic() > check_at:
                local_server.check_answers(self._address)
                check_at += _CHECK_SECONDS
            with self._freed:
                self._freed.wait(_RETRY_SECONDS)


def _metrics(received: bytes, streamed: bool) -> dict[str, Any]:
    """The metrics of a successful prediction.

    Raises:
        TemplateError: it failed.
    """
    _, ended, completed = received.rpartition(b"event: completed\ndata: ")
    if streamed and not ended:
        raise TemplateError("the server ended a stream before its prediction was complete")
    prediction = json.loads(completed if streamed else received)
    if prediction["status"] != "succeeded":
        raise TemplateError(f"a prediction ended as {prediction['status']}: {prediction.get('error')}")
    metrics: dict[str, Any] = prediction.get("metrics") or {}
    return metrics
