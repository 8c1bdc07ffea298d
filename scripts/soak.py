"""python -m scripts.soak [--minutes 10] [--seed 1]

Lets many clients use this project's Cog server in every way at once: full answers of random lengths, cancellations,
dropped connections, bad requests, more requests than slots. Succeeds if every accepted prediction was answered or
cancelled, memory stopped growing after the first part, and the server is as fast as at the start.
"""

import itertools
import json
import random
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
import psutil
import typer
from httpx_sse import EventSource
from rich.progress import Progress
from rich.table import Table

from models import manifest, runtimes
from models.errors import TemplateError
from models.manifest import Manifest
from scripts import tasks
from scripts.benchmark.load import Load, run
from scripts.cli import command, connection, console
from scripts.contract import meaning, schema
from scripts.conversion import weights
from scripts.fuzzing import cases
from scripts.serving import local_server

CLIENTS = 20
SETTLING_SECONDS = 60  # or half of a shorter soak; after that, caches are full and memory must not grow
GROWTH = 1.02
SLOWER = 0.9


@dataclass(frozen=True)
class _Uses:
    """What clients send. `varied` makes an input; `bad`: inputs that are refused; `streams`: whether the class does."""

    varied: Callable[[random.Random], Mapping[str, Any]]
    bad: Sequence[Mapping[str, Any]]
    streams: bool


def main(argv: list[str]) -> int:
    return command.run(soak, argv, "scripts.soak")


def soak(minutes: Annotated[float, typer.Option(min=0.1)] = 10, seed: int = 1) -> None:
    """Use the server in every way at once, for some minutes."""
    model = manifest.selected()
    load = tasks.load(model)
    weights.ensure(model, runtimes.choose(model))
    with local_server.running(model) as (address, process):
        before, uses = _speed(address, load), _uses_of(model)
        watch = _Memory(psutil.Process(process.pid))
        outcomes = _all_clients(address, uses, minutes * 60, seed, watch)
        _wait_until_idle(address, model.examples[0].input, schema.max_concurrency(schema.served_class(model)))
        after = _speed(address, load)
    _judge(outcomes, watch, before, after, load.unit)


def _uses_of(model: Manifest) -> _Uses:
    """Bad inputs are those that the schema forbids, and those that the task's file lists."""
    document = schema.generate(schema.served_class(model))
    examples = [example.input for example in model.examples]
    forbidden = [case.input for case in cases.cases(document, examples, mixed=0) if case.expect == "invalid"]
    varied = tasks.attribute(model, "varied", lambda model, choices: choices.choice(examples))
    return _Uses(
        varied=lambda choices: varied(model, choices),
        bad=[*forbidden, *tasks.attribute(model, "REFUSED", [])],
        streams=meaning.read(document).streams,
    )


class _Memory:
    """The largest resident memory of the server and its workers, in the settling part and after it (bytes)."""

    def __init__(self, server: psutil.Process) -> None:
        self._server = server
        self.settling = self.settled = 0

    def look(self, is_settled: bool) -> None:
        try:
            family = [self._server, *self._server.children(recursive=True)]
            resident = sum(process.memory_info().rss for process in family)
        except psutil.NoSuchProcess:
            return  # another check finds out whether the server has ended
        if is_settled:
            self.settled = max(self.settled, resident)
        else:
            self.settling = max(self.settling, resident)


def _all_clients(address: str, uses: _Uses, seconds: float, seed: int, watch: _Memory) -> "Counter[str]":
    """The number of requests with each outcome.

    Raises:
        ServerError: the server will not answer any more.
    """
    outcomes: Counter[str] = Counter()
    until = time.monotonic() + seconds
    threads = [
        threading.Thread(
            target=_client, args=(address, uses, random.Random(seed * 1000 + number), until, outcomes), daemon=True
        )
        for number in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    with Progress(console=console.stderr(), transient=True) as progress:
        task = progress.add_task("soaking", total=seconds)
        while any(thread.is_alive() for thread in threads):
            time.sleep(1)
            local_server.check_answers(address)
            left = max(until - time.monotonic(), 0)
            progress.update(task, completed=seconds - left, description=f"{sum(outcomes.values())} requests")
            watch.look(is_settled=seconds - left > min(SETTLING_SECONDS, seconds / 2))
    return outcomes


def _client(address: str, uses: _Uses, choices: random.Random, until: float, outcomes: "Counter[str]") -> None:
    predict = _stream if uses.streams else _predict
    with connection.client(address, timeout=120) as client:
        while time.monotonic() < until:
            is_bad = bool(uses.bad) and choices.random() < 0.1
            try:
                outcome = (
                    _send_bad(client, choices.choice(uses.bad))
                    if is_bad
                    else predict(client, uses.varied(choices), choices)
                )
            except httpx.HTTPError as error:
                outcome = f"LOST: {type(error).__name__}"
            outcomes[outcome] += 1
            if outcome == "full: 409" and not is_bad:
                time.sleep(choices.uniform(0.05, 0.2))


def _send_bad(client: httpx.Client, inputs: Mapping[str, Any]) -> str:
    response = client.post("/predictions", json={"input": inputs})
    if response.status_code == 409:
        return "full: 409"
    refused = response.status_code == 422 or response.json().get("status") == "failed"
    return "bad request refused" if refused else f"BAD REQUEST ANSWERED: {response.text[:100]}"


def _predict(client: httpx.Client, inputs: Mapping[str, Any], choices: random.Random) -> str:
    """One prediction with one answer: awaited, started and cancelled, or started and abandoned."""
    what = choices.choices(["read", "cancel", "drop"], [6, 2, 2])[0]
    url, headers = f"/predictions/{uuid.uuid4().hex}", {} if what == "read" else {"Prefer": "respond-async"}
    response = client.put(url, json={"input": inputs}, headers=headers)
    if response.status_code == 409:
        return "full: 409"
    if response.status_code not in (200, 202):
        return f"REFUSED WITH {response.status_code}"
    if what == "cancel":
        time.sleep(choices.uniform(0, 0.1))
        return "canceled" if client.post(f"{url}/cancel").status_code in (200, 404) else "NOT CANCELLED"
    if what == "drop":
        return "dropped"
    answer = response.json()
    return "succeeded" if answer["status"] == "succeeded" else f"FAILED: {answer.get('error')}"


def _stream(client: httpx.Client, inputs: Mapping[str, Any], choices: random.Random) -> str:
    """One prediction over SSE: read to its end, cancelled, or dropped, after a random number of events."""
    what = choices.choices(["read", "cancel", "drop"], [6, 2, 2])[0]
    after, url = choices.randrange(2, 40), f"/predictions/{uuid.uuid4().hex}"
    with client.stream("PUT", url, json={"input": inputs}, headers={"Accept": "text/event-stream"}) as response:
        if response.status_code != 200:
            return "full: 409" if response.status_code == 409 else f"REFUSED WITH {response.status_code}"
        for number, event in enumerate(EventSource(response).iter_sse()):
            if event.event == "completed":
                status = json.loads(event.data)["status"]
                return status if status in ("succeeded", "canceled") else f"FAILED: {event.data[:200]}"
            if number == after and what == "drop":
                return "dropped"
            if number == after and what == "cancel":
                client.post(f"{url}/cancel")
    return "ENDED WITHOUT AN ANSWER"


def _speed(address: str, load: Load) -> float:
    """The best of four runs of eight streams, in units a second."""
    inputs = list(itertools.islice(itertools.cycle(load.inputs), 32))
    return max(run(address, inputs[first : first + 8], load).per_second for first in range(0, 32, 8))


def _wait_until_idle(address: str, inputs: Mapping[str, Any], slots: int) -> None:
    """Wait until every slot is free again, so that `slots` predictions are accepted at once.

    Raises:
        TemplateError: a slot stays taken.
    """
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answers: list[int] = []
        threads = [threading.Thread(target=_one_slot, args=(address, inputs, answers)) for _ in range(slots)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if answers == [200] * slots:
            return
        local_server.check_answers(address)
        time.sleep(1)
    raise TemplateError(f"a slot leaked: of {slots} predictions at once, some are still refused after a minute")


def _one_slot(address: str, inputs: Mapping[str, Any], answers: list[int]) -> None:
    with suppress(httpx.HTTPError):  # then it has no slot either
        answers.append(connection.ask("POST", f"{address}/predictions", json={"input": inputs}, timeout=60).status_code)


def _judge(outcomes: "Counter[str]", watch: _Memory, before: float, after: float, unit: str) -> None:
    """Print what happened, and check it.

    Raises:
        TemplateError: an accepted prediction was lost, memory grew, or the server became slower.
    """
    table = Table("what happened", "how often")
    for outcome, count in outcomes.most_common():
        table.add_row(outcome, str(count))
    table.add_row("memory, at most, while settling", f"{watch.settling / 1e6:.0f} MB")
    table.add_row("memory, at most, afterwards", f"{watch.settled / 1e6:.0f} MB")
    table.add_row("8 streams, before and after", f"{before:.0f} and {after:.0f} {unit}/s")
    console.stdout().print(table)
    wrong = [outcome for outcome in outcomes if outcome[:3].isupper()]
    if watch.settled > watch.settling * GROWTH:
        wrong.append("memory grew")
    if after < before * SLOWER:
        wrong.append("the server became slower")
    if wrong:
        raise TemplateError("; ".join(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
