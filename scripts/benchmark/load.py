"""The load: N streams at once against a Cog server, and what each of them saw."""

import http.client
import json
import statistics
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from models.errors import TemplateError
from models.weights import PROJECT
from scripts.serving import local_server

OUTPUT_TOKENS = 128
_CHECK_SECONDS = 5
_RETRY_SECONDS = 0.1  # of several that come at once, coglet was seen to refuse one though slots were free


@dataclass
class Stream:
    """What one stream saw; times in seconds, from when its request was first sent."""

    first: float = 0.0
    arrivals: list[float] = field(default_factory=list)
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True)
class Sample:
    """One run of N streams: tokens a second of all together, and the times that the streams saw (seconds)."""

    tokens_per_second: float
    output_tokens: list[int]
    input_tokens: list[int]
    first_tokens: list[float]
    gaps: list[float]


def prompts() -> list[str]:
    """The prompts of the benchmark: no two begin alike, so that a cache of one helps no other."""
    texts: list[str] = json.loads((PROJECT / "benchmarks" / "prompts.json").read_text(encoding="utf-8"))
    return texts


def inputs_of(prompt: str, output_tokens: int = OUTPUT_TOKENS) -> dict[str, Any]:
    """The same work for every subject: greedy, to the full length."""
    return {"prompt": prompt, "raw": True, "temperature": 0, "max_tokens": output_tokens}


def run(address: str, prompts: Sequence[str], output_tokens: int = OUTPUT_TOKENS) -> Sample:
    """One stream a prompt, all at once; a full server is asked again as soon as one of the others has ended.

    Raises:
        TemplateError: a stream was refused or did not end well; says what the server answered.
    """
    barrier, freed = threading.Barrier(len(prompts) + 1), threading.Condition()
    with ThreadPoolExecutor(len(prompts)) as pool:
        bodies = [json.dumps({"input": inputs_of(prompt, output_tokens)}) for prompt in prompts]
        running = [pool.submit(_stream, address, body, barrier, freed) for body in bodies]
        barrier.wait()
        started = time.perf_counter()
    seconds = time.perf_counter() - started
    return summed([stream.result() for stream in running], seconds)


def summed(streams: Sequence[Stream], seconds: float) -> Sample:
    """The sample of streams that together took `seconds`."""
    return Sample(
        tokens_per_second=sum(stream.output_tokens for stream in streams) / seconds,
        output_tokens=[stream.output_tokens for stream in streams],
        input_tokens=[stream.input_tokens for stream in streams],
        first_tokens=[stream.first for stream in streams],
        gaps=[later - earlier for s in streams for earlier, later in zip(s.arrivals, s.arrivals[1:], strict=False)],
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of `values` lies."""
    if len(values) < 2:
        return values[0] if values else 0.0
    return statistics.quantiles(values, n=1000, method="inclusive")[round(share * 1000) - 1]


def _stream(address: str, body: str, barrier: threading.Barrier, freed: threading.Condition) -> Stream:
    is_secure = urlsplit(address).scheme == "https"
    kind = http.client.HTTPSConnection if is_secure else http.client.HTTPConnection
    barrier.wait()
    try:
        with closing(kind(urlsplit(address).netloc, timeout=600)) as connection:
            return _read(address, connection, body, freed)
    except (OSError, http.client.HTTPException) as error:
        raise TemplateError(f"the connection to {address} broke ({error or type(error).__name__})") from error


def _read(address: str, connection: http.client.HTTPConnection, body: str, freed: threading.Condition) -> Stream:
    stream, started = Stream(), time.perf_counter()
    response = _accepted(address, connection, body, freed)
    received = bytearray()
    while chunk := response.read1(1 << 16):
        now = time.perf_counter() - started
        received += chunk
        if events := chunk.count(b"event: output"):
            stream.first = stream.first or now
            stream.arrivals += [now] * events
    with freed:
        freed.notify()
    _read_completed(bytes(received), stream)
    return stream


def _accepted(
    address: str, connection: http.client.HTTPConnection, body: str, freed: threading.Condition
) -> http.client.HTTPResponse:
    """The response of a server that takes the prediction, however long it is full; but not of one that never will."""
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
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
            local_server.check_answers(address)
            check_at += _CHECK_SECONDS
        with freed:
            freed.wait(_RETRY_SECONDS)


def _read_completed(received: bytes, stream: Stream) -> None:
    _, ended, completed = received.rpartition(b"event: completed\ndata: ")
    if not ended:
        raise TemplateError("the server ended a stream before its prediction was complete")
    prediction = json.loads(completed)
    if prediction["status"] != "succeeded":
        raise TemplateError(f"a prediction ended as {prediction['status']}: {prediction.get('error')}")
    metrics = prediction["metrics"]
    stream.input_tokens = metrics.get("input_token_count", 0)
    stream.output_tokens = metrics.get("output_token_count", len(stream.arrivals))
