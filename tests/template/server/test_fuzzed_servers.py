"""The fuzz finds bugs planted in a small predictor in Cog's real server, and finds nothing in a correct one."""

import json
import shlex
import shutil
import subprocess
from typing import Any

import pytest

from models import manifest
from scripts import fuzz as script
from scripts import tasks
from scripts.contract import schema
from scripts.fuzzing import cases as fuzz_cases
from scripts.fuzzing import files, probe
from scripts.release import proof
from tests.template.server.live_server import LiveServer
from tests.template.server.planted import Fuzz

# Every form of input: each has the type in its annotation, or the prediction fails.
FORMS = """
import re, wave
from typing import Any
from cog import BaseRunner, File, Input, Path, Secret

def is_a(kind, path):
    return isinstance(path, Path) and path.read_bytes().startswith(kind)

class Planted(BaseRunner):
    def run(
        self,
        photos: list[Path],
        photo: Path | None = Input(default=None, accept="image/png,.jpg"),
        voice: Path | None = Input(default=None, accept="audio/*"),
        thing: Path | None = None,
        notes: File | None = Input(default=None, accept=".txt"),
        key: Secret | None = None,
        messages: list[dict] | None = None,
        options: dict = Input(default={"a": 1}),
        sizes: list[int] | None = None,
        width: int | str = "full",
        stops: str | list[str] | None = None,
        size: int = Input(default=512, choices=[256, 512]),
        ratio: str = Input(default="16:9", regex="^[0-9]+:[0-9]+$"),
        code: str = Input(default="abc", min_length=2, max_length=4),
        share: float = Input(default=0.5, ge=0, le=1),
        max_tokens: int = Input(default=256, ge=16, le=1024),
    ) -> Any:
        assert all(is_a(b"\\x89PNG", path) for path in photos)
        assert photo is None or is_a((b"\\x89PNG", b"\\xff\\xd8"), photo)
        assert voice is None or wave.open(str(voice)).getnframes()
        assert thing is None or thing.stat().st_size
        assert notes is None or notes.read().decode()
        assert key is None or isinstance(key, Secret)
        assert [message["role"] for message in messages or []] == []
        assert isinstance(options, dict) and sum(sizes or []) is not None
        assert isinstance(width, int | float | str) and isinstance(stops, str | list | None)
        assert size in (256, 512) and re.fullmatch("[0-9]+:[0-9]+", ratio) and 2 <= len(code) <= 4
        return {"photos": len(photos), "share": share} if photos else "nothing"
"""
ITERATOR = """
from typing import Iterator
from cog import BasePredictor, streaming

class Planted(BasePredictor):
    {decorator}
    def predict(self, text: str) -> Iterator[str]:
        {bug}
        yield text
"""
# Each bug, the cases that trigger it, and a text in their failure.
BUGS = {
    "if count == 10: raise IndexError('past the end')": (["count: the maximum 10"], "IndexError: past the end"),
    "if hold == 599: raise MemoryError": (["hold: one inside the maximum"], "MemoryError"),
    "if seed == 0: 1 / seed": (["seed: the minimum 0", "seed: minus zero"], "ZeroDivisionError"),
    "text[0]": (["text: empty"], "IndexError"),
    "if stop is not None: stop[0]": (["stop: an empty list"], "IndexError"),
    "[text.split(part) for part in stop or []]": (["stop: a list with an empty text"], "ValueError: empty separator"),
    "range(count)": (["count: a whole number as a fraction"], "TypeError"),
    "if style == 'bold': raise ValueError('no bold')": (["style: the choice 'bold'"], "ValueError: no bold"),
    "if text == 'ho': raise InputError('no ho')": (["example 2"], "InputError: no ho"),
    "if len(text) > 50000: raise InputError('a' + chr(10) + 'b')": (["text: 100,000 characters"], "InputError: a"),
    "if scale == 0: return 5": (["scale: the minimum 0", "scale: minus zero"], "not of type string: 5"),
    "if scale == 2: return None": (["scale: the maximum 2"], "not of type string: null"),
    "if scale == 1.5: return float('nan')": (["scale: a fraction"], "Failed to parse output JSON"),
    "if scale == 1e-9: return chr(0xd800)": (["scale: just inside the minimum"], "Failed to parse output JSON"),
    "if count == 1: raise asyncio.CancelledError": (["count: the minimum 1"], "ended as canceled"),
}


@pytest.mark.slow
def test_a_correct_predictor_passes(fuzzed: Fuzz):
    report = fuzzed("pass")
    assert report.failures == []
    assert report.sent == sum(report.outcomes.values()) > 100
    assert report.outcomes["canceled"] >= 2
    assert report.outcomes["422"] > 50
    assert report.outcomes["succeeded"] > 50


@pytest.mark.slow
def test_every_form_of_input_gets_valid_values(planted: Any):
    address, document = planted("", slots=1, source=FORMS)
    example = {"photos": [next(files.data_uris(None))[1]]}
    cases = fuzz_cases.cases(document, [example], limits={"max_tokens": 4})
    report = probe.run(address, cases, document, slots=1)
    assert report.failures == []
    guesses = [case.name for case in cases if case.is_guess and case.expect == "valid"]
    assert {"voice: audio/wav", "key: emoji", "messages: a list of nested"} <= {*guesses}
    assert report.outcomes["failed"] == len([name for name in guesses if name.startswith("messages: ")])
    assert {case.input["max_tokens"] for case in cases if case.expect == "valid" and not case.is_long} == {16}


@pytest.mark.parametrize(
    ("decorator", "body", "problem"),
    [
        ("", "yield 'a'", None),
        ("@streaming", "yield 'a'", None),
        ("@streaming", "raise ValueError", "no stream: HTTP 200, events ['start', 'completed']"),
    ],
)
def test_the_proof_requests_events_if_the_class_streams(planted: Any, decorator: str, body: str, problem: str | None):
    source = ITERATOR.replace("{decorator}", decorator)
    address, document = planted(body, slots=1, source=source)
    problems = proof.streams({"text": "a"}, address, document)
    assert problems == [] if problem is None else problems[0].startswith(problem)


@pytest.mark.slow
def test_each_bug_is_found_at_its_value_and_its_curl_command_repeats_it(fuzzed: Fuzz):
    report = fuzzed("\n        ".join(BUGS), examples=[{"text": "hi"}, {"text": "ho"}])
    expected = {case: reason for cases, reason in BUGS.values() for case in cases}
    failures = {failure.case: failure for failure in report.failures}
    assert {name for name in failures if not name.startswith("mixed ")} == set(expected)
    for case, reason in expected.items():
        assert reason in failures[case].reason
    assert all(any(reason in failure.reason for reason in expected.values()) for failure in report.failures)
    for case in expected if shutil.which("curl") else ():
        shown = subprocess.run(shlex.split(failures[case].curl), capture_output=True, text=True, check=True, timeout=30)
        found = json.loads(shown.stdout)
        assert found["status"] != "succeeded" or not isinstance(found["output"], str)


@pytest.fixture(scope="module")
def default_report(openvino_server: LiveServer) -> probe.Report:
    model = manifest.selected()
    document = schema.generate(model.predictor_class)
    examples = [example.input for example in model.examples]
    slots = schema.max_concurrency(model.predictor_class)
    limits = tasks.attribute(model, "LIMITS", {})
    occupy = fuzz_cases.longest(document, examples[-1], limits)
    made = fuzz_cases.cases(document, examples, limits=limits)
    return probe.run(openvino_server.address, made, document, slots, occupy)


@pytest.mark.slow  # some hundred predictions by a real model
def test_the_default_model_passes(default_report: probe.Report):
    assert default_report.failures == []
    assert default_report.outcomes["succeeded"] > 100
    assert default_report.outcomes["refused"] < 20
    assert "failed" not in default_report.outcomes


def test_the_command_prints_a_summary_and_each_failure(planted: Any, capsys: pytest.CaptureFixture[str]):
    address, _ = planted("os.kill(os.getppid(), 9)")
    assert script.main(["--url", address, "--cases", "0"]) == 1
    printed = capsys.readouterr().out
    assert "1 failures" in printed.splitlines()[0]
    assert f"curl -sS {address}/predictions" in printed
