"""What the fuzz says of a response: judged by its case, with a curl command that sends it again."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from scripts import fuzz as script
from scripts.contract import meaning
from scripts.fuzzing import cases as fuzz
from scripts.fuzzing import probe
from tests.schemas import cog

OUTPUT = meaning.read(cog({}, {"type": "array", "items": {"type": "string"}})).output
VALID = fuzz.Case("text: x", {}, "valid")
ODD = fuzz.Case("text: x", {}, "valid", may_refuse=True)
GUESS = fuzz.Case("text: x", {}, "valid", may_refuse=True, is_guess=True)
LONG = fuzz.Case("count: x", {}, "valid", is_long=True)
WRONG = fuzz.Case("text: x", {}, "invalid", may_refuse=True)
EITHER = fuzz.Case("text: x", {}, "either")


def prediction(status: str, **more: Any) -> str:
    return json.dumps({"status": status, **more})


def failed(error: str) -> str:
    return prediction("failed", error=error)


@pytest.mark.parametrize(
    ("case", "status", "text", "outcome", "problem"),
    [
        (VALID, 200, prediction("succeeded", output=["a"]), "succeeded", None),
        (EITHER, 200, prediction("succeeded", output=[]), "succeeded", None),
        (EITHER, 422, "{}", "422", None),
        (WRONG, 422, "{}", "422", None),
        (ODD, 200, failed("Prediction failed: InputError: too long"), "refused", None),
        (GUESS, 200, failed("Prediction failed: KeyError: 'role'"), "failed", None),
        (GUESS, 500, "oops", "wrong", "answered with 500"),
        (LONG, 200, prediction("canceled"), "canceled", None),
        (VALID, 422, "{}", "422", "refused with 422"),
        (ODD, 422, "{}", "422", "refused with 422"),
        (VALID, 500, "oops", "wrong", "answered with 500, not 200: oops"),
        (EITHER, 500, "oops", "wrong", "answered with 500"),
        (WRONG, 500, "oops", "wrong", "answered with 500, not 422: oops"),
        (WRONG, 200, failed("InputError: no"), "wrong", "answered with 200, not 422"),
        (VALID, 409, "full", "wrong", "answered with 409"),
        (VALID, 200, "<html>", "wrong", "other than a prediction"),
        (VALID, 200, "[]", "wrong", "other than a prediction"),
        (VALID, 200, failed("InputError: too long"), "failed", "failed: InputError: too long"),
        (EITHER, 200, failed("InputError: too long"), "failed", "failed: InputError"),
        (ODD, 200, failed("Prediction failed: ValueError: too long"), "failed", "failed: "),
        (ODD, 200, failed("InputError: too long\n  File x.py"), "failed", "failed: "),
        (ODD, 200, failed("InputError: "), "failed", "failed: "),
        (ODD, 200, prediction("failed", error=None), "failed", "failed: None"),
        (VALID, 200, prediction("canceled"), "wrong", "ended as canceled"),
        (VALID, 200, prediction("succeeded", output="a"), "wrong", "not of type array"),
        (VALID, 200, prediction("succeeded", output=["a", 5]), "wrong", "not of type array"),
        (VALID, 200, prediction("succeeded"), "wrong", "not of type array"),
    ],
)
def test_a_response_is_judged(case: fuzz.Case, status: int, text: str, outcome: str, problem: str | None):
    found, reason = probe.judge(case, status, text, OUTPUT)
    assert found == outcome
    assert (reason is None) if problem is None else (problem in (reason or ""))


@pytest.mark.parametrize("text", ['it\'s "quoted" $HOME `id` \\ \n \x00 😀', "word " * 5000])
def test_the_curl_command_contains_the_complete_input(text: str):
    words = shlex.split(probe.curl_of("http://127.0.0.1:1", fuzz.Case("text: x", {"text": text}, "valid")))
    body = words[words.index("--data-binary") + 1]
    content = Path(body[1:]).read_text() if body.startswith("@") else body
    assert words[:3] == ["curl", "-sS", "http://127.0.0.1:1/predictions"]
    assert json.loads(content) == {"input": {"text": text}}
    assert len(" ".join(words)) < 2500


def test_a_missing_server_is_an_error_and_a_wrong_option_is_wrong_usage(capsys: pytest.CaptureFixture[str]):
    assert script.main(["--url", "http://127.0.0.1:9"]) == 1
    assert "no Cog server answers at http://127.0.0.1:9" in capsys.readouterr().err
    assert script.main(["--cases", "-1"]) == 2
