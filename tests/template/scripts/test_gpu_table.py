"""The command that measures a GPU in one go, on the CPU and on models of two layers."""

import json
from pathlib import Path

import pytest

from scripts import gpu_table
from scripts.tasks import text_generation_gpu as gpu


@pytest.mark.parametrize("subject", ["135M", pytest.param("8B, int4", marks=pytest.mark.slow)])
def test_each_group_of_figures_is_measured(subject: str) -> None:
    found = dict(gpu._groups(subject, tiny=True))
    assert found["start"]["attention"].startswith("flash_packed_one_by_one")
    for streams in gpu.TINY.streams:
        assert found[f"{streams} streams"]["tokens_per_second"] > 0
    assert 0 < found["long prompts"]["last_first_token_seconds"] < 60
    assert found["memory"]["weights_gb"] > 0
    assert found["new shapes beside 16 streams"]["p50_ms"] <= found["new shapes beside 16 streams"]["p99_ms"]
    assert found["next token as in float32"]["share"] > (0.9 if subject == "135M" else 0.1)


@pytest.mark.slow
def test_measurements_are_printed_and_saved_and_a_slow_subject_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(gpu_table.LIMITS, "8B", 0.1)
    assert gpu_table.main(["--tiny", "--to", str(tmp_path), "--only", "8B;machine"]) == 1
    receipt = json.loads((tmp_path / "cpu.json").read_text())
    assert receipt["subjects"]["8B"] == {"figures": {}, "ended": "killed after 0 s"}
    assert receipt["subjects"]["machine"]["ended"] == "whole"
    assert receipt["subjects"]["machine"]["figures"]["machine"]["bandwidth_gb_s"] > 0
    assert receipt["versions"]["torch"]
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "8B: killed after 0 s"
    assert lines[-1] == "machine: whole"


def test_a_share_of_the_bandwidth_needs_what_was_measured_before(tmp_path: Path) -> None:
    figures = {"1 streams": {"tokens_per_second": 100.0}, "memory": {"weights_gb": 15.0}}
    machine = {"figures": {"machine": {"device": "NVIDIA H100 80GB", "bandwidth_gb_s": 3000.0}}}
    gpu_table._write({"subjects": {"machine": machine, "8B": {"figures": figures}}}, tmp_path)
    written = json.loads((tmp_path / "nvidia-h100-80gb.json").read_text())
    assert written["subjects"]["8B"]["figures"]["1 streams"]["share_of_bandwidth"] == 0.5


def test_without_a_gpu_or_with_an_unknown_subject_it_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu_table.runtimes, "has_cuda_device", lambda: False)
    assert gpu_table.main([]) == 1
    assert "--tiny tries the command on the CPU" in capsys.readouterr().err
    assert gpu_table.main(["--tiny", "--only", "9B"]) == 2
    assert "there is no subject '9B'" in capsys.readouterr().err
