"""The fuzz finds servers that die, hang, lose slots, become slow, or do not check their inputs."""

import re
from typing import Any

import httpx
import pytest

from scripts.calling.cancelling import cancel
from tests.template.server.planted import DEAF, SLOTS, Fuzz

# Only for the first example's value, and only later.
SLOW = "self.served > 30 and (text, style, count, scale, seed, stop) == ('hi', 'plain', 3, 1, None, None)"
SLOW = f"await asyncio.sleep(1 if {SLOW} else 0)"


@pytest.mark.parametrize(
    ("bug", "case"),
    [
        ("if chr(0) in text: os._exit(3)", "text: a NUL"),
        ("if seed == 0: os.kill(os.getpid(), 11)", "seed: the minimum 0"),
        ("if chr(0) in text: os.kill(os.getppid(), 9)", "text: a NUL"),
    ],
)
def test_the_value_that_kills_the_process_is_named(fuzzed: Fuzz, bug: str, case: str):
    report = fuzzed(bug)
    assert report.failures[-1].case == case
    assert {failure.case for failure in report.failures} == {case}
    assert f"stopped after {report.sent} of" in report.failures[-1].reason


@pytest.mark.slow
def test_a_prediction_that_never_ends_is_reported_and_its_slot_is_freed(fuzzed: Fuzz):
    report = fuzzed("if count == 10: await asyncio.sleep(600)", timeout=0.7)
    failures = {failure.case: failure.reason for failure in report.failures}
    assert failures.pop("count: the maximum 10") == "got no answer in 0.7 s"
    assert all(name.startswith("mixed ") for name in failures)


@pytest.mark.slow
def test_a_value_that_stops_the_event_loop_is_found(fuzzed: Fuzz):
    """Cog's server still reports that it is ready."""
    report = fuzzed("if seed == 0: sys.exit()", timeout=0.7)
    assert report.failures[0].case == "seed: the minimum 0"
    assert "3 cases got no answer: stopped after" in report.failures[-1].reason


@pytest.mark.slow
def test_a_slow_leak_of_slots_is_found(fuzzed: Fuzz):
    """Every 20th prediction keeps its slot and ignores the cancel."""
    leak = f"if self.served % 20 == 0:{DEAF.format(seconds=60)}".replace("\n        ", "\n            ")
    report = fuzzed(leak, timeout=0.7)
    assert report.failures[0].reason == "got no answer in 0.7 s"
    assert "no slot became free, though nothing else runs: stopped after" in report.failures[-1].reason


@pytest.mark.slow
def test_an_ignored_cancel_is_found(fuzzed: Fuzz):
    report = fuzzed(f"if hold > 0.5:{DEAF.format(seconds=30)}".replace("\n        ", "\n            "), timeout=1)
    assert report.failures[0].case.startswith("hold: ")
    assert report.failures[0].reason == "got no answer in 1 s, cancelled"


@pytest.mark.parametrize(("bug", "has_ended"), [("pass", True), (DEAF.format(seconds=30), False)])
def test_cancelling_reports_whether_the_predictions_ended(planted: Any, bug: str, has_ended: bool):
    address, _ = planted(bug)
    urls = [f"{address}/predictions/{number}" for number in range(SLOTS)]
    for url in urls:
        httpx.put(url, json={"input": {"hold": 600}}, headers={"Prefer": "respond-async"}).raise_for_status()
    assert cancel(urls, seconds=1) == has_ended


@pytest.mark.slow
@pytest.mark.parametrize(("slots", "answers"), [(1, "1 with 202, 2 with 409"), (3, "3 with 202")])
def test_a_wrong_number_of_slots_is_found(fuzzed: Fuzz, slots: int, answers: str):
    failures = fuzzed("pass", slots=slots).failures
    assert len(failures) == 1, failures
    failure = failures[0]
    assert failure.reason.startswith("2 slots ")
    assert failure.reason.endswith(f": of 3 predictions at once, it answered {answers}")
    assert failure.curl.startswith("for n in $(seq 3); do curl ")


@pytest.mark.slow
def test_a_server_that_becomes_slow_is_found(fuzzed: Fuzz):
    report = fuzzed(SLOW)
    assert re.search(r"the plain case 'example 1' takes [12]\.\d s, at the start 0\.\d s", report.failures[-1].reason)


@pytest.mark.slow
def test_a_server_that_does_not_check_its_inputs_is_found(fuzzed: Fuzz):
    report = fuzzed("pass", has_schema=False, timeout=0.7)
    reasons = {failure.case: failure.reason for failure in report.failures}
    assert "was answered with 200, not 422" in reasons["count: one past the maximum"]
    assert "was answered with 200, not 422" in reasons["style: a wrong choice"]
