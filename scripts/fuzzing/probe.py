"""Sends the cases of scripts/fuzzing/cases.py to a running Cog server, one after another, and judges what it does.

A prediction may refuse its input: its error is then one line that names InputError, which the models raise on purpose.
An example must not be refused. Any other exception is a bug, except where the schema leaves open what a value means.
"""

import json
import re
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from scripts.calling import curl
from scripts.calling.cancelling import cancel, cancel_once
from scripts.cli import connection, waiting
from scripts.contract import meaning
from scripts.contract.meaning import Value
from scripts.fuzzing.cases import Case
from scripts.fuzzing.values import fits

EVERY = 50
"""The first case's time is measured again after so many cases."""
_STARTED_SECONDS = 0.5  # a cancel works only so long after the start of a prediction (models/cancellation.py says why)
_SLOWER, _SLOWER_SECONDS = 5, 0.5
_LONGEST_EXAMPLE = 600  # seconds, as in the proof
_HANGS = 3
_FULL = "no slot became free, though nothing else runs"
_CURL_CHARACTERS = 2000
_REFUSAL = re.compile(r"(.*: )?InputError: .+")


@dataclass(frozen=True)
class Failure:
    """What went wrong, in which case, and a shell command that reproduces it."""

    case: str
    reason: str
    curl: str


@dataclass(frozen=True)
class Report:
    """`outcomes`: how many cases succeeded, failed, were refused (InputError), cancelled or answered with 422."""

    sent: int
    outcomes: dict[str, int]
    failures: list[Failure]
    seconds: float


class _ServerGone(Exception):
    """The server no longer answers, so the remaining cases would show nothing."""


def run(
    address: str,
    cases: Sequence[Case],
    schema: Mapping[str, Any],
    slots: int,
    occupy: Mapping[str, Any] | None = None,
    timeout: float = 60.0,
    patience: float = 1.0,
    settle: float = 10.0,
    progress: Callable[[int], None] = lambda sent: None,
) -> Report:
    """Send every case, and check after each that the server is still ready and the same process.

    `slots`: predictions at once; `occupy`: an input that holds a slot for some seconds, needed to test that one
    prediction too many is refused; `timeout`: seconds to wait for an answer, more if the first case is slow;
    `patience`: seconds after which a long case is cancelled; `settle`: seconds to wait for a free slot once nothing
    runs. Stops early if the server becomes unusable; a failure then says why.

    Raises:
        httpx.TransportError: there is no server at `address`.
    """
    probe = _Probe(address, schema, slots, occupy or {}, timeout, patience, settle)
    started, sent = time.monotonic(), 0
    with probe.client:
        probe.setup = probe.health()["setup"]["started_at"]
        try:
            usual = probe.seconds_of(cases[0])
            probe.client.timeout = max(timeout, usual * _SLOWER)
            for sent, case in enumerate(cases, start=1):
                probe.check(case)
                progress(sent)
                if sent % EVERY == 0 or sent == len(cases):
                    probe.check_speed(cases[0], usual)
            probe.check_slots(cases[0])
        except _ServerGone as reason:
            probe.fail(cases[max(sent - 1, 0)], f"{reason}: stopped after {sent} of {len(cases)} cases")
    return Report(sent, dict(probe.outcomes), probe.failures, time.monotonic() - started)


def judge(case: Case, status: int, text: str, output: Value) -> tuple[str, str | None]:
    """The outcome of an answer, and what is wrong with it, if anything; `output`: its type in the schema."""
    if status == 422:
        return "422", f"was refused with 422: {text[:300]}" if case.expect == "valid" else None
    if case.expect == "invalid" or status != 200:
        return "wrong", f"was answered with {status}, not {422 if case.expect == 'invalid' else 200}: {text[:300]}"
    try:
        prediction = json.loads(text)
        ended = prediction["status"]
    except (ValueError, TypeError, KeyError):
        return "wrong", f"was answered with something other than a prediction: {text[:300]}"
    if ended == "failed":
        if case.may_refuse and _REFUSAL.fullmatch(prediction.get("error") or ""):
            return "refused", None
        return "failed", None if case.is_guess else f"failed: {prediction.get('error')}"
    if ended == "canceled" and case.is_long:
        return "canceled", None
    if ended != "succeeded":
        return "wrong", f"ended as {ended}"
    if not fits(prediction.get("output"), output, is_output=True):
        wanted = " or ".join(form.type for form in output.forms)
        return "wrong", f"has an output that is not of type {wanted}: {json.dumps(prediction.get('output'))[:300]}"
    return "succeeded", None


class _Probe:
    """One run: the connection, the findings, and what must not change (`setup`: when the model was loaded)."""

    def __init__(
        self,
        address: str,
        schema: Mapping[str, Any],
        slots: int,
        occupy: Mapping[str, Any],
        timeout: float,
        patience: float,
        settle: float,
    ) -> None:
        self.address, self.slots, self.occupy = address.rstrip("/"), slots, occupy
        self.patience, self.settle = patience, settle
        self.client = connection.client(self.address, timeout=max(timeout, _LONGEST_EXAMPLE))
        self.output = meaning.read(schema).output
        self.outcomes: Counter[str] = Counter()
        self.failures: list[Failure] = []
        self.setup = ""
        self.hangs = 0

    def fail(self, case: Case, reason: str, curl: str | None = None) -> None:
        self.failures.append(Failure(case.name, reason, curl or curl_of(self.address, case)))

    def check(self, case: Case) -> None:
        """Send a case and judge the answer.

        Raises:
            _ServerGone: the server cannot answer further cases.
        """
        try:
            response = self._answer(case)
        except httpx.TimeoutException:
            self.outcomes["wrong"] += 1
            self.fail(case, f"got no answer in {self.client.timeout.read:g} s{', cancelled' * case.is_long}")
            self.hangs += 1
            if self.hangs == _HANGS:
                raise _ServerGone(f"{_HANGS} cases got no answer") from None
        except httpx.TransportError as error:
            raise _ServerGone(f"the connection broke: {error}") from error
        else:
            outcome, problem = judge(case, response.status_code, response.text, self.output)
            self.outcomes[outcome] += 1
            if problem:
                self.fail(case, problem)
            if response.status_code == 409:
                self._check_health()
                raise _ServerGone(_FULL)
        self._check_health()

    def health(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.get("/health-check").json()
        return answer

    def seconds_of(self, case: Case) -> float:
        """The shortest of three answer times (s).

        Raises:
            _ServerGone: the server does not answer.
        """
        times = []
        try:
            for _ in range(3):
                started = time.monotonic()
                self._answer(case)
                times.append(time.monotonic() - started)
        except httpx.TransportError as error:
            raise _ServerGone(f"the plain case {case.name!r} got no answer: {error}") from error
        return min(times)

    def check_speed(self, case: Case, usual: float) -> None:
        """Compare the time of the plain case with what it `usual`ly takes (s)."""
        now = self.seconds_of(case)
        if now > usual * _SLOWER + _SLOWER_SECONDS:
            raise _ServerGone(f"the plain case {case.name!r} takes {now:.1f} s, at the start {usual:.1f} s")

    def check_slots(self, case: Case) -> None:
        """All slots can be taken, and no more; the same again after those predictions were cancelled."""
        wanted = [202] * self.slots + [409] * bool(self.occupy)
        body = {"input": self.occupy or case.input}
        for when in ("at the end", "after the predictions in them were cancelled"):
            deadline = time.monotonic() + self.settle
            while (found := self._fill(body)[: len(wanted)]) != wanted:
                if time.monotonic() > deadline:
                    answers = ", ".join(f"{number} with {status}" for status, number in sorted(Counter(found).items()))
                    reason = f"{self.slots} slots {when}: of {len(wanted)} predictions at once, it answered {answers}"
                    self.fail(case, reason, _curl_of_slots(self.address, body, len(found)))
                    return
        self._check_health()

    def _answer(self, case: Case) -> httpx.Response:
        """The answer to a case; sent again for some seconds while the server says that it is full."""
        url = f"/predictions/fuzz-{uuid.uuid4().hex}"
        answered = threading.Event()
        if case.is_long:
            threading.Thread(target=self._cancel_until, args=(url, answered), daemon=True).start()
        sent: list[httpx.Response] = []

        def has_slot() -> bool:
            sent.append(self._put(url, {"input": case.input}))
            return sent[-1].status_code != 409

        try:
            waiting.until(has_slot, self.settle)
            return sent[-1]
        except httpx.TimeoutException:
            cancel_once(f"{self.address}{url}")
            raise
        finally:
            answered.set()

    def _put(self, url: str, body: Mapping[str, Any], **headers: str) -> httpx.Response:
        content = json.dumps(body, allow_nan=False)
        return self.client.put(url, content=content, headers={"Content-Type": "application/json", **headers})

    def _cancel_until(self, url: str, answered: threading.Event) -> None:
        """Cancel repeatedly: Cog loses a cancel that arrives before the prediction has started."""
        while not answered.wait(self.patience):
            cancel_once(f"{self.address}{url}")

    def _fill(self, body: Mapping[str, Any]) -> list[int]:
        """Start one prediction more than there are slots, cancel them, and return the status of each answer."""
        urls = [f"/predictions/slot-{uuid.uuid4().hex}" for _ in range(self.slots + 1)]
        found = [self._put(url, body, Prefer="respond-async").status_code for url in urls]
        time.sleep(_STARTED_SECONDS)
        cancel([f"{self.address}{url}" for url, status in zip(urls, found, strict=True) if status == 202], self.settle)
        return found

    def _check_health(self) -> None:
        try:
            waiting.until(lambda: self.health()["status"] != "BUSY", self.settle)
            health = self.health()
            if health["status"] != "READY":
                raise _ServerGone(_FULL if health["status"] == "BUSY" else f"the server reports {health['status']}")
        except (httpx.TransportError, ValueError) as error:
            raise _ServerGone(f"the server's health check failed: {error}") from error
        if health["setup"]["started_at"] != self.setup:
            raise _ServerGone("the server restarted")


def curl_of(address: str, case: Case) -> str:
    """A command that sends `case` again; a body too long to paste is written to a temporary file."""
    body = json.dumps({"input": case.input})
    if len(body) > _CURL_CHARACTERS:
        path = Path(tempfile.mkdtemp(prefix="fuzz-")) / "body.json"
        path.write_text(body, encoding="ascii")
        body = f"@{path}"
    return curl.command(address, body)


def _curl_of_slots(address: str, body: Mapping[str, Any], count: int) -> str:
    command = curl.command(address, json.dumps(body), "Prefer: respond-async")
    return f"for n in $(seq {count}); do {command}; done"
