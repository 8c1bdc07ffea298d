"""A new task is one class, one folder, one file for the tools, one schema and one catalog entry: then all works."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.template import toy

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("toy")
    toy.copy_project(copy)
    toy.add_to(copy)
    done = toy.run(copy, "make", "render", f"MODEL={toy.SLUG}")
    assert done.returncode == 0, done.stderr
    return copy


@pytest.fixture
def run(project: Path) -> Run:
    """Runs a command in the project, which must succeed."""

    def succeed(*command: str) -> "subprocess.CompletedProcess[str]":
        done = toy.run(project, *command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    return succeed


def script(name: str, *arguments: str) -> list[str]:
    return [".venv/bin/python", "-m", f"scripts.{name}", *arguments]


def test_after_rendering_it_is_the_selected_model(project: Path) -> None:
    config = (project / "cog.yaml").read_text(encoding="utf-8")
    assert config == (project / "cog.cpu.yaml").read_text(encoding="utf-8")
    assert "gpu: false" in config
    assert "python_requirements: requirements/plain.txt" in config
    assert "predict: predict.py:WordCount" in config
    schema = json.loads((project / "schemas" / "WordCount.json").read_text(encoding="utf-8"))
    assert list(schema["components"]["schemas"]["Input"]["properties"]) == ["text", "times"]


@pytest.mark.slow  # the type checker
def test_the_checks_pass(run: Run) -> None:
    run("make", "check")


@pytest.mark.slow
def test_make_predict_and_make_call_work(run: Run) -> None:
    assert run("make", "predict", "INPUTS=text='one two' times=3").stdout == "6\n"
    assert run("make", "call", "WHAT=local", "INPUTS=text=once").stdout == "1\n"


def test_a_wrong_input_is_refused_by_its_name(project: Path) -> None:
    done = toy.run(project, "make", "predict", "INPUTS=text=x times=99")
    assert done.returncode != 0
    assert "times: 99" in done.stderr


@pytest.mark.slow  # a server of its own
def test_the_fuzz_finds_nothing(run: Run) -> None:
    assert "; 0 failures" in run(*script("fuzz", "--cases", "10")).stdout


@pytest.mark.slow  # starts a server again and again
def test_the_bench_counts_predictions(run: Run) -> None:
    done = run(*script("bench", "--only", "server", "--streams", "1,2", "--repeats", "1", "--starts", "1"))
    assert "predictions a second" in done.stdout


@pytest.mark.slow  # six seconds of load
def test_the_soak_loses_nothing(project: Path) -> None:
    done = toy.run(project, *script("soak", "--minutes", "0.1"))
    assert "succeeded" in done.stdout
    assert "bad request refused" in done.stdout
    complaints = set(done.stderr.strip().splitlines()[-1].split("; ")) if done.returncode else set()
    assert complaints <= {"the server became slower", "memory grew"}  # a busy machine in six seconds, not a fault


def test_the_doctor_misses_nothing(run: Run) -> None:
    done = run(*script("doctor"))
    assert "packages, plain" in done.stdout
    assert "openvino" not in done.stdout
    assert "make predict can run" in done.stderr


def test_no_weights_are_needed_and_none_are_pinned(run: Run, project: Path) -> None:
    run("make", "weights")
    done = toy.run(project, "make", "weights-lock")
    assert "word-counter has no weights to pin" in done.stderr


@pytest.mark.slow  # a server, and all its tests
def test_its_fork_tests_pass(run: Run) -> None:
    assert " passed" in run(".venv/bin/python", "-m", "pytest", "-q", "-m", "not container", "tests/fork").stdout
