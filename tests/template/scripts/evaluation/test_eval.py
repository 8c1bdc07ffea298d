"""make eval on the real default model: its files, its continuation, and comparisons on the same lines."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import parse_eval_result_entries

from models import manifest, runtimes
from models.manifest import PROJECT
from models.tasks import text_generation
from scripts import eval as command
from scripts.conversion.weights import ensure
from scripts.evaluation import receipt
from tests.checkout import copied

SLUG = "smollm2-135m-instruct"
SHOTS = "The capital of Spain is Madrid\nThe capital of Kenya is Nairobi\nThe capital of Peru is Lima\n"
CAPITALS = {"Italy": "Rome", "France": "Paris", "Japan": "Tokyo", "Greece": "Athens"}
STORY = {"input": {"prompt": "The sea is", "raw": True}, "expected": " salty.", "metrics": ["perplexity"]}


def capital(country: str, expected: str, **more: Any) -> dict[str, Any]:
    asked = {"prompt": f"{SHOTS}The capital of {country} is", "raw": True, "max_tokens": 4, "stop": ["\n"]}
    return {"input": asked, "expected": expected, "group": "capitals"} | more


def written(path: Path, lines: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def loaded() -> text_generation.TextGeneration:
    """The model, loaded once for all these tests."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MODEL", SLUG)
        environment.setenv("ENGINE", "openvino")
        ensure(manifest.selected(), runtimes.choose(manifest.selected()))
        return text_generation.load()


@pytest.fixture(autouse=True)
def evals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loaded: text_generation.TextGeneration) -> Path:
    monkeypatch.setenv("MODEL", SLUG)
    monkeypatch.setenv("ENGINE", "openvino")
    monkeypatch.setattr(text_generation, "load", lambda: loaded)
    monkeypatch.setattr(receipt, "FOLDER", tmp_path / "evals")
    return tmp_path / "evals" / SLUG


def test_the_receipt_names_the_model_and_the_measurements(
    tmp_path: Path, evals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [capital(country, name) for country, name in CAPITALS.items()]
    lines += [capital("Poland", "Krakow", metrics=["exact_match", "includes"]), STORY]
    path = written(tmp_path / "mine.jsonl", lines)
    options = ["--dataset", "acme/mine@abc123", "--task-id", "capitals"]
    assert command.main(["--data", str(path), *options]) == 0
    found = json.loads((evals / "mine.json").read_text())
    figures = {figure["name"]: figure for figure in found["metrics"]}
    assert figures["exact_match"]["value"] == 4 / 5
    assert figures["exact_match"]["low"] < 4 / 5 < figures["exact_match"]["high"]
    assert (figures["includes"]["value"], figures["includes"]["lines"]) == (0, 1)
    assert found["groups"]["capitals"][0]["lines"] == 5
    assert found["made_by"]["data"] == found["data"]["sha256"]
    assert found["command"] == f"make eval MODEL={SLUG} DATA={path}"
    assert "Exact match         │ 80.0%" in capsys.readouterr().out
    [entry] = parse_eval_result_entries(yaml.safe_load((evals / ".eval_results" / "mine.yaml").read_text()))
    assert (entry.dataset_id, entry.dataset_revision, entry.task_id) == ("acme/mine", "abc123", "capitals")
    assert entry.value == 4 / 5


def test_perplexity_is_computed_over_the_text_s_own_tokens(
    tmp_path: Path, evals: Path, loaded: text_generation.TextGeneration
) -> None:
    whole = "The sky is blue."
    lines = [
        {"input": {"prompt": whole[:cut], "raw": True}, "expected": whole[cut:], "metrics": ["bits_per_byte"]}
        for cut in (3, 10)
    ]
    asked = {"input": {"prompt": "What color is the sky?"}, "metrics": ["perplexity"]}
    lines += [asked | {"expected": text} for text in ("The sky is blue.", "The sky is cheese.")]
    assert command.main(["--data", str(written(tmp_path / "texts.jsonl", lines))]) == 0
    answers = [json.loads(line) for line in (evals / "texts.jsonl").read_text().splitlines()[1:]]
    longer, shorter, blue, cheese = (answer["given"]["likelihood"] for answer in answers)
    count = len(loaded.text.raw_ids(whole))
    assert longer["tokens"] == count - len(loaded.text.raw_ids("The"))
    assert shorter["tokens"] == count - len(loaded.text.raw_ids("The sky is"))
    assert longer["bytes"] == len(whole) - 3
    assert longer["log_probability"] < shorter["log_probability"] < 0
    assert blue["log_probability"] > cheese["log_probability"] + 2


def test_earlier_answers_are_reused_unless_something_changed(
    tmp_path: Path, evals: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "data.jsonl", [capital(country, name) for country, name in CAPITALS.items()])
    assert command.main(["--data", str(path)]) == 0
    answers = (evals / "data.jsonl").read_text().splitlines()
    cut_off = [answers[0], answers[1].replace("Rome", "Atlantis"), answers[2], answers[3][:20]]
    (evals / "data.jsonl").write_text("\n".join(cut_off))
    capsys.readouterr()
    assert command.main(["--data", str(path)]) == 0
    assert "2 of 4 lines were answered before" in capsys.readouterr().err
    assert json.loads((evals / "data.json").read_text())["metrics"][0]["value"] == 3 / 4
    written(path, [capital(country, name) for country, name in reversed(CAPITALS.items())])
    assert command.main(["--data", str(path)]) == 0
    assert "answered before" not in capsys.readouterr().err
    assert json.loads((evals / "data.json").read_text())["metrics"][0]["value"] == 1


@pytest.mark.slow  # two processes that load the model
def test_an_interrupted_run_continues(tmp_path: Path) -> None:
    """Ctrl-C while it asks: the process ends in a moment with what it has, and the next asks for the rest."""
    clone = copied(tmp_path / "clone", only=("models/", "scripts/", "predict.py", "benchmarks/"))
    lines = [
        {"input": {"prompt": f"{number} is", "raw": True, "max_tokens": 8 if number < 8 else 64}, "expected": "Rome"}
        for number in range(32)
    ]
    written(clone / "data.jsonl", lines)
    environment = os.environ | {"WEIGHTS_ROOT": str(PROJECT / "weights")}
    run = [sys.executable, "-m", "scripts.eval", "--data", "data.jsonl"]
    process = subprocess.Popen(run, cwd=clone, env=environment, stderr=subprocess.PIPE, text=True)
    answers = clone / "evals" / SLUG / "data.jsonl"
    while process.poll() is None and (not answers.exists() or answers.read_text().count("\n") < 4):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    done = answers.read_text().count("\n") - 1
    assert 3 <= done < 32
    ended = subprocess.run(run, cwd=clone, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert f"{done} of 32 lines were answered before" in ended.stderr
    assert [json.loads(line)["line"] for line in answers.read_text().splitlines()[1:]] == list(range(1, 33))


def test_two_versions_are_compared_side_by_side(
    tmp_path: Path, evals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path / "data.jsonl", [capital(country, name) for country, name in CAPITALS.items()] * 6)
    assert command.main(["--data", str(path)]) == 0
    worse = tmp_path / "earlier.jsonl"
    worse.write_text((evals / "data.jsonl").read_text().replace("Rome", "Atlantis"))
    capsys.readouterr()
    assert command.main(["--data", str(path), "--against", str(worse)]) == 0
    assert "real: better" in capsys.readouterr().out
    [row] = json.loads((evals / "data.json").read_text())["against"]["metrics"]
    assert (row["theirs"], row["ours"], row["difference"], row["real"]) == (0.75, 1, 0.25, True)
    assert 0 < row["low"] < 0.25 < row["high"]


@pytest.mark.slow  # two processes that load models
def test_two_engines_are_compared_side_by_side(tmp_path: Path) -> None:
    """The other engine answers first, in its own process; the test takes as long as loading two models."""
    model = manifest.load("all-minilm-l6-v2")
    ensure(model, model.engine_on("cpu"))  # the clone has no converter
    clone = copied(tmp_path / "clone", only=("models/", "scripts/", "predict.py", "benchmarks/"))
    others = {"A dog is running.": 5.0, "A dog sleeps.": 2.0, "Prices rose.": 0.0}
    lines = [{"input": {"texts": ["A dog runs.", text]}, "expected": alike} for text, alike in others.items()]
    written(clone / "data.jsonl", [line | {"metrics": ["spearman"]} for line in lines])
    run = [sys.executable, "-m", "scripts.eval", "--data", "data.jsonl", "--against", "all-minilm-l6-v2@transformers"]
    environment = os.environ | {"MODEL": "all-minilm-l6-v2", "WEIGHTS_ROOT": str(PROJECT / "weights")}
    ended = subprocess.run(run, cwd=clone, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    found = json.loads((clone / "evals" / "all-minilm-l6-v2" / "data.json").read_text())
    assert (found["made_by"]["engine"], found["against"]["made_by"]["engine"]) == ("openvino", "transformers")
    assert found["against"]["metrics"][0]["theirs"] == found["against"]["metrics"][0]["ours"] == pytest.approx(1)
    assert (clone / "evals" / "all-minilm-l6-v2" / "data-transformers.jsonl").exists()


def test_answers_to_other_data_are_not_compared(
    tmp_path: Path, evals: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = written(tmp_path / "first.jsonl", [capital("Italy", "Rome")])
    second = written(tmp_path / "second.jsonl", [capital("France", "Paris")])
    assert command.main(["--data", str(first)]) == 0
    assert command.main(["--data", str(second), "--against", str(evals / "first.jsonl")]) == 1
    assert "the other answers do not match" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--metrics", "exact_match,rouge"], "there is no metric rouge (did you mean rouge"),
        (["--dataset", "acme/mine"], "DATASET=ORG/NAME needs TASK_ID="),
        (["--against", "smolm2"], "there is no model 'smolm2'"),
        (["--against", "none.jsonl"], "none.jsonl: there is no such file"),
    ],
)
def test_contradictory_options_are_refused_before_a_model_is_loaded(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = written(tmp_path / "data.jsonl", [capital("Italy", "Rome")])
    assert command.main(["--data", str(path), *options]) > 0
    error = capsys.readouterr().err
    assert message in error
    assert "warmed up" not in error


def test_a_line_that_the_model_refuses_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [capital("Italy", "Rome"), {"input": {"prompt": "a", "messages": []}, "expected": "b"}]
    assert command.main(["--data", str(written(tmp_path / "data.jsonl", lines))]) == 1
    assert "line 2 of the data: prompt and messages exclude each other" in capsys.readouterr().err


def test_an_embedding_model_is_judged_by_its_nearest_texts(
    tmp_path: Path, evals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL", "all-minilm-l6-v2")
    monkeypatch.setenv("ENGINE", "transformers")  # which needs no converter
    passages = ["Bees make honey.", "The train is late.", "A violin has four strings."]
    alike = ["A dog runs.", "A dog is running."], ["A dog runs.", "A dog sleeps."], ["A dog runs.", "Prices rose."]
    lines: list[dict[str, Any]] = [
        {"input": {"texts": ["Which insects make something sweet?", *passages]}, "expected": [0]},
        {"input": {"texts": ["Which instrument is bowed?", *passages]}, "expected": [1]},
    ]
    lines += [
        {"input": {"texts": texts}, "expected": score, "metrics": ["spearman"]}
        for texts, score in zip(alike, (5.0, 2.0, 0.0), strict=True)
    ]
    assert command.main(["--data", str(written(tmp_path / "near.jsonl", lines))]) == 0
    receipt_of_it = json.loads((evals.parent / "all-minilm-l6-v2" / "near-transformers.json").read_text())
    figures = {figure["name"]: figure["value"] for figure in receipt_of_it["metrics"]}
    assert figures["accuracy_at_1"] == 0.5  # the second line expects the wrong one
    assert figures["spearman"] == pytest.approx(1)


def test_an_answer_that_a_metric_cannot_judge_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODEL", "all-minilm-l6-v2")
    monkeypatch.setenv("ENGINE", "transformers")  # which needs no converter
    line = {"input": {"texts": ["A dog runs.", "A dog sleeps."]}, "expected": 2.5, "metrics": ["accuracy_at_1"]}
    assert command.main(["--data", str(written(tmp_path / "data.jsonl", [line]))]) == 1
    assert "line 1 of the data expects 2.5, which accuracy_at_1 cannot judge" in capsys.readouterr().err


@pytest.mark.slow
def test_a_classifier_is_judged_by_its_first_label(
    tmp_path: Path, evals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL", "all-minilm-l6-v2-zero-shot")
    monkeypatch.setenv("ENGINE", "transformers")  # which needs no converter
    labels_of = {"Fry the onions in butter.": "cooking", "The bank raised its rates.": "sports"}  # the second is wrong
    lines = [
        {"input": {"text": text, "labels": ["cooking", "finance", "sports"]}, "expected": labels_of[text]}
        for text in labels_of
    ]
    assert command.main(["--data", str(written(tmp_path / "labels.jsonl", lines))]) == 0
    receipt_of_it = json.loads((evals.parent / "all-minilm-l6-v2-zero-shot" / "labels-transformers.json").read_text())
    figures = {figure["name"]: figure["value"] for figure in receipt_of_it["metrics"]}
    assert figures == {"accuracy": 0.5, "macro_f1": pytest.approx(1 / 3)}
