"""The command that measures a GPU in one go, on the CPU and on models of two layers."""

import json
from pathlib import Path

import pytest

from scripts import gpu_table
from scripts.benchmark import gpu_report
from scripts.tasks import text_generation_gpu as gpu


@pytest.mark.parametrize("subject", ["135M", pytest.param("8B, int4", marks=pytest.mark.slow)])
def test_each_group_of_figures_is_measured(subject: str) -> None:
    found = dict(gpu._groups(subject, tiny=True))
    assert found["start"]["attention"].startswith("flash_packed_one_by_one")
    for streams in gpu.TINY.streams:
        assert found[f"{streams} streams"]["tokens_per_second"] > 0
    assert 0 < found["long prompts"]["last_first_token_seconds"] < 60
    assert found["memory"]["peak_gb"] > 0
    assert 0 < found["weights"]["read_in_a_step_gb"] <= found["weights"]["gb"]
    assert found["new shapes beside 16 streams"]["p50_ms"] <= found["new shapes beside 16 streams"]["p99_ms"]
    assert "next token as in float32" not in found, "random weights make many tokens almost equally likely"


@pytest.mark.slow
def test_measurements_are_printed_and_saved_and_a_slow_subject_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(gpu_table.LIMITS, "8B", 0.1)
    assert gpu_table.main(["--tiny", "--to", str(tmp_path), "--only", "8B"]) == 1
    receipt = json.loads((tmp_path / "cpu.json").read_text())
    assert receipt["subjects"]["8B"] == {"figures": {}, "ended": "killed after 0 s"}
    assert receipt["subjects"]["machine"]["ended"] == "whole"
    assert receipt["subjects"]["machine"]["figures"]["machine"]["bandwidth_gb_s"] > 0
    assert receipt["versions"]["torch"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2:] == ["machine: whole", "8B: killed after 0 s"]


def test_a_share_of_the_bandwidth_needs_what_was_measured_before(tmp_path: Path) -> None:
    figures = {"1 streams": {"tokens_per_second": 100.0}, "weights": {"read_in_a_step_gb": 15.0}}
    machine = {"figures": {"machine": {"device": "NVIDIA H100 80GB", "bandwidth_gb_s": 3000.0}}}
    receipt = {"commit": "1", "versions": {}, "subjects": {"machine": machine, "8B": {"figures": figures}}}
    gpu_table._write(receipt, tmp_path)
    gpu_table._write(receipt | {"subjects": {"machine": machine, "135M": {"figures": {}}}}, tmp_path)
    written = json.loads((tmp_path / "nvidia-h100-80gb.json").read_text())
    assert written["subjects"]["8B"]["figures"]["1 streams"]["share_of_bandwidth"] == 0.5
    assert list(written["subjects"]) == ["machine", "8B", "135M"], "of the same commit, so they are kept"
    gpu_table._write(receipt | {"commit": "2", "subjects": {"machine": machine}}, tmp_path)
    written = json.loads((tmp_path / "nvidia-h100-80gb.json").read_text())
    assert list(written["subjects"]) == ["machine"]


def test_without_a_gpu_or_with_an_unknown_subject_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu_table.runtimes, "has_cuda_device", lambda: False)
    assert gpu_table.main([]) == 1
    assert "--tiny tries the command on the CPU" in capsys.readouterr().err
    assert gpu_table.main(["--tiny", "--only", "9B"]) == 2
    assert "there is no subject '9B'" in capsys.readouterr().err
    monkeypatch.delenv("VLLM_PYTHON", raising=False)
    assert gpu_table.main(["--tiny", "--only", "8B, vllm"]) == 2
    assert "set VLLM_PYTHON to a Python" in capsys.readouterr().err


def test_the_table_the_sentence_and_the_chart_show_what_was_measured(tmp_path: Path) -> None:
    rates = {"1 streams": {"tokens_per_second": 208.4}, "64 streams": {"tokens_per_second": 10139.2}}
    measured = rates | {"start": {"first_token_seconds": 18.9}, "long prompts": {"last_first_token_seconds": 0.9}}
    subjects = {"8B": measured, "8B, vllm": {"start": {"first_token_seconds": 86.4}}, "135M": {}}
    subjects |= {"machine": {"machine": {"device": "NVIDIA H200", "bandwidth_gb_s": 4237.4}}}
    receipt = {"date": "2026-11-28", "versions": {"torch": "2", "transformers": "5"}}
    receipt["subjects"] = {name: {"figures": figures} for name, figures in subjects.items()}
    table = gpu_report.markdown(receipt)
    assert "one NVIDIA H200 (a copy: 4.2 TB/s)" in table
    assert "| 8B | 208 |  | 10,139 | 18.9 s | 0.90 s |  |" in table
    assert "| 8B, vllm |  |  |  | 86.4 s |  |  |" in table
    assert "| 135M |" not in table, "nothing of it was measured"
    assert "makes 208 tokens a second with the shape of Llama-3.1-8B at 1 stream and 10,139 at 64 (" in (
        gpu_report.sentence(receipt)
    )
    (tmp_path / "nvidia-h200.json").write_text(json.dumps(receipt))
    assert gpu_table.main(["--chart", "--to", str(tmp_path)]) == 0
    assert (tmp_path / "nvidia-h200.png").stat().st_size > 10_000
