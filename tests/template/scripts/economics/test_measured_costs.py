"""Costs from receipts and from a running server: what counts as a measurement, and what is refused."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest

from models import manifest
from models.errors import TemplateError
from scripts import cost as command
from scripts.economics import cost, cost_report, fit, receipts
from scripts.economics.cost import CostError
from scripts.economics.money import rounded
from scripts.hardware import price_list
from scripts.release import ledger
from scripts.tasks import text_generation
from tests.template.server.live_server import LiveServer

LIST = price_list.shipped()
MODEL = manifest.load("smollm2-135m-instruct")


def receipt(**changed: object) -> dict[str, object]:
    row = {"streams": 1, "seconds": 2.5, "input_tokens": 40, "output_tokens": 100}
    machine = {"name": "A machine", "slug": "a-machine", "cores": 2}
    return {
        "model": MODEL.title,
        "date": "2026-11-01",
        "machine": machine,
        "device": "cpu",
        "hardware": "replicate/cpu",
        "points": [row, {**row, "output_tokens": 10, "seconds": 0.7}],
        **changed,
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of receipts, and no ledger."""
    monkeypatch.setattr(receipts, "folder_of", lambda model: tmp_path)
    monkeypatch.setattr(ledger, "FOLDER", tmp_path / "releases")
    (tmp_path / receipts.LENGTHS).mkdir()
    return tmp_path


def written(folder: Path, content: Mapping[str, object], kind: str = receipts.LENGTHS) -> Path:
    path = folder / kind / "it.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_measured_hardware_is_not_an_estimate(folder: Path) -> None:
    # 0.7 s for 10 tokens and 2.5 s for 100: 0.02 s a token and 0.5 s; 50 tokens take 1.5 s, at $0.0001 $0.00015.
    written(folder, receipt())
    costs = cost_report.costs(MODEL, LIST, 1000, {"output_tokens": 50}, only=["replicate"])
    public = next(one for one in costs.possible if one.name == "replicate/cpu, public")
    assert not public.speed.is_estimate
    month = cost.monthly(public, 1000, LIST.conventions)
    assert month is not None
    assert str(rounded(month.middle)) == "0.15"
    assert any("scale-to-zero" in name for name in costs.excluded)  # its cold start was not measured


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": "Another model"}, "model: a benchmark of 'Another model', not of 'SmolLM2 135M Instruct': remove"),
        ({"points": []}, "points: "),
        ({"points": [{"streams": 1, "seconds": -1}]}, "points.0.seconds: .*measure again"),
        ({"device": "tpu"}, "device: "),
        ({"hardware": "replicate/cpus"}, r"hardware: no hardware 'replicate/cpus'.*did you mean replicate/cpu\?"),
    ],
)
def test_a_wrong_receipt_is_named_with_its_key_and_remedy(
    folder: Path, changed: dict[str, object], message: str
) -> None:
    path = written(folder, receipt(**changed))
    with pytest.raises(TemplateError, match=message) as caught:
        receipts.measurements(MODEL)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_benchmark_of_another_model_is_refused_by_the_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODEL", MODEL.slug)
    path = written(folder, {"model": "Another model"}, ".")
    assert command.main([]) == 1
    assert capsys.readouterr().err.startswith(f"{folder / path.name}: model: a benchmark of 'Another model'")


def test_staging_runs_are_measurements_on_replicates_own_hardware(folder: Path) -> None:
    details = {
        "predict_seconds": [1.0, 3.0],
        "sizes": [{"output_tokens": 10}, {"output_tokens": 110}],
        "cold_start_seconds": 9.5,
        "hardware": "gpu-t4",
    }
    entry = ledger.Entry(
        time="2026-11-02T10:00:00+00:00",
        release="a",
        step="staging",
        result="ok",
        to="r8.im/a/b",
        commit="c",
        details=details,
    )
    ledger.append(MODEL.slug, entry)
    (found,) = receipts.measurements(MODEL)
    assert (found.hardware, found.device, found.start_seconds) == ("replicate/gpu-t4", "cuda", 9.5)
    # 1 s for 10 tokens and 3 s for 110: 0.02 s a token, 0.8 s beside.
    assert fit.fit(found.points).seconds({"output_tokens": 60}).middle == pytest.approx(2.0)


def test_without_measurements_only_tokens_are_estimated(folder: Path) -> None:
    with pytest.raises(CostError, match=r"nothing was measured of smollm2-135m-instruct: make bench.*--input-tokens"):
        cost_report.costs(MODEL, LIST, 1000, {})
    costs = cost_report.costs(MODEL, LIST, 1000, {"input_tokens": 200, "output_tokens": 100})
    assert {one.speed.is_estimate for one in costs.possible} == {True}
    assert {one.billing for one in costs.possible} == {"public", "always-on"}  # no cold start was measured
    with pytest.raises(
        CostError, match=r"no hardware can run this \(.*only tokens can be estimated.* more\): allow more"
    ):
        cost_report.costs(MODEL, LIST, 1000, {"images": 1})


@pytest.mark.slow
def test_a_running_server_is_measured_by_input_and_output_length(
    server: LiveServer, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODEL", MODEL.slug)
    monkeypatch.setattr(text_generation, "_LENGTHS", [(5, 2), (5, 12), (40, 2), (40, 12)])
    options = ["--url", server.address, "--hardware", "replicate/cpu", "--concurrency", "2", "--only", "replicate"]
    assert command.main([*options, "--json"]) == 0
    output, errors = capsys.readouterr()
    path = folder / receipts.LENGTHS / "replicate-cpu.json"
    assert f"wrote {path}" in errors
    points = json.loads(path.read_text(encoding="utf-8"))["points"]
    assert [one["streams"] for one in points] == [1, 1, 1, 1, 2, 2, 2, 2]
    assert {one["output_tokens"] for one in points} == {2, 12}
    assert len({one["input_tokens"] for one in points}) >= 2
    costs = [one for one in json.loads(output) if one["row"] == "replicate/cpu" and one["column"] == "public"]
    assert [one["estimate"] for one in costs] == [False]


def test_costs_can_be_computed_from_this_project_s_benchmarks() -> None:
    found = receipts.measurements(MODEL)
    assert found
    for one in found:
        for streams, of_streams in fit.by_streams(one.points).items():
            lengths = {"input_tokens": 32.0, "output_tokens": 128.0}
            assert 0 < of_streams.seconds(lengths).middle < math.inf, (one.machine, streams)
    costs = cost_report.costs(MODEL, LIST, 1000, {"input_tokens": 32, "output_tokens": 128})
    assert costs.best().speed.source
