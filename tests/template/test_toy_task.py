"""A new task is one class, one folder, one file for the tools, one schema and one catalog entry: then all works."""

import json
from pathlib import Path

import pytest

from tests.template import toy


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("toy")
    toy.copy_project(copy)
    toy.add_to(copy)
    toy.succeed(copy, "make", "render", f"MODEL={toy.SLUG}")
    return copy


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
def test_the_checks_pass(project: Path) -> None:
    toy.succeed(project, "make", "check")


@pytest.mark.slow
def test_make_predict_and_make_call_work(project: Path) -> None:
    assert toy.succeed(project, "make", "predict", "INPUTS=text='one two' times=3") == "6\n"
    assert toy.succeed(project, "make", "call", "WHAT=local", "INPUTS=text=once") == "1\n"


def test_a_wrong_input_is_refused_by_its_name(project: Path) -> None:
    done = toy.run(project, "make", "predict", "INPUTS=text=x times=99")
    assert done.returncode != 0
    assert "times: 99" in done.stderr


@pytest.mark.slow  # a server of its own
def test_the_fuzz_finds_nothing(project: Path) -> None:
    assert "; 0 failures" in toy.succeed(project, *script("fuzz", "--cases", "10"))


@pytest.mark.slow  # starts a server again and again
def test_the_bench_counts_predictions(project: Path) -> None:
    bench = script("bench", "--only", "server", "--streams", "1,2", "--repeats", "1", "--starts", "1")
    assert "predictions a second" in toy.succeed(project, *bench)


@pytest.mark.slow  # six seconds of load
def test_the_soak_loses_nothing(project: Path) -> None:
    done = toy.run(project, *script("soak", "--minutes", "0.1"))
    assert "succeeded" in done.stdout
    assert "bad request refused" in done.stdout
    complaints = set(done.stderr.strip().splitlines()[-1].split("; ")) if done.returncode else set()
    assert complaints <= {"the server became slower", "memory grew"}  # a busy machine in six seconds, not a fault


def test_the_doctor_misses_nothing(project: Path) -> None:
    done = toy.run(project, *script("doctor"))
    assert "packages, plain" in done.stdout
    assert "openvino" not in done.stdout
    assert "make predict can run" in done.stderr


def test_no_weights_are_needed_and_none_are_pinned(project: Path) -> None:
    toy.succeed(project, "make", "weights")
    done = toy.run(project, "make", "weights-lock")
    assert "word-counter has no weights to pin" in done.stderr
