"""The benchmark: what it counts, how it judges targets, and what it writes."""

import json
import math
from collections import Counter
from pathlib import Path

import numpy
import pytest

from models import manifest, weights
from models.tasks.text_generation import model_files
from models.tasks.text_generation.tokenizer import Tokenizer
from scripts import bench, tasks
from scripts.benchmark import llama_cpp, load, report
from scripts.cli.command import UsageError
from scripts.conversion.weights import ensure
from scripts.hub import measured
from scripts.rendering import files as render
from scripts.tasks import text_generation
from scripts.tasks import text_generation_faithfulness as faithfulness

MODEL = manifest.selected()


def sample(rate: float, gaps: list[float]) -> load.Sample:
    return load.Sample(1.0, rate, [0.02, 0.04], gaps, {"input_tokens": [32, 32], "output_tokens": [128, 128]})


def receipt(server: float, baseline: float) -> report.Receipt:
    def measured(rate: float) -> dict:
        row = report.row([sample(rate, [0.01] * 99 + [0.02])])
        return {"start_seconds": 2.0, "peak_memory_mb": 900, "streams": {str(count): row for count in (1, 8, 16)}}

    return {
        "model": "A model",
        "date": "2026-01-31",
        "machine": {"name": "A machine", "slug": "a-machine", "cores": 2},
        "settings": {"streams": [1, 8, 16], "repeats": 3, "unit": "tokens"},
        "labels": {"server": "the server", "baseline": "the baseline"},
        "subjects": {"server": measured(server), "baseline": measured(baseline)},
    }


def test_prompts_have_32_tokens_and_different_beginnings() -> None:
    prompts = text_generation.prompts()
    ensure(MODEL, MODEL.engine_on("cpu"))
    tokenizer = Tokenizer(model_files.read(weights.folder(MODEL.slug, "openvino")))
    token_ids = [tokenizer.encode(prompt) for prompt in prompts]
    assert {len(of_one) for of_one in token_ids} == {32}
    assert len({tuple(of_one[:16]) for of_one in token_ids}) == len(prompts)


def test_no_prompt_is_used_twice() -> None:
    measured_with = tasks.load(MODEL)
    runs = bench._runs(measured_with, [1, 2, 4, 8, 16], 3)
    used = [inputs["prompt"] for of_run in runs for inputs in of_run]
    assert len(set(used)) == len(used) == 3 * 36
    assert not set(used) & set(text_generation.prompts()[-bench._WARM_UP :])
    with pytest.raises(UsageError, match="inputs for 3 repeats of 36 streams, not for 4"):
        bench._runs(measured_with, [1, 2, 4, 8, 16], 4)


def test_inputs_that_no_cache_speeds_up_are_reused() -> None:
    runs = bench._runs(load.Load([{"n": 1}, {"n": 2}, {"n": 3}], streams=False), [2], 2)
    assert runs == [[{"n": 1}, {"n": 2}], [{"n": 3}, {"n": 1}], [{"n": 2}, {"n": 3}], [{"n": 1}, {"n": 2}]]


@pytest.mark.parametrize("streams", ["", "a", "1,0", "1,-2", "1,,2"])
def test_an_invalid_number_of_streams_is_wrong_usage(streams: str) -> None:
    with pytest.raises(UsageError, match="is not a number of streams: write --streams 1,8,16"):
        bench._counts(streams)


def test_a_row_that_cannot_be_measured_says_what_is_missing() -> None:
    with pytest.raises(UsageError, match="url cannot be measured without a server's --url"):
        bench._wanted(MODEL, True, "engine,url", "")
    with pytest.raises(UsageError, match="container cannot be measured without the engine that images contain"):
        bench._wanted(MODEL, False, "container", "")
    assert bench._wanted(MODEL, False, "", "http://127.0.0.1:1") == ["baseline", "peer", "engine", "server", "url"]
    with pytest.raises(UsageError, match="peer cannot be measured without a library that the task text-embedding"):
        bench._wanted(manifest.load("all-minilm-l6-v2"), True, "peer", "")


def test_a_missing_server_is_reported_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--only", "url", "--url", "http://127.0.0.1:9", "--streams", "1", "--repeats", "1"]) == 1
    assert "no Cog server answers at http://127.0.0.1:9" in capsys.readouterr().err


def test_short_runs_are_repeated_more_often() -> None:
    runs = bench._runs(tasks.load(MODEL), [1, 2, 4, 8, 16], 3)
    assert Counter(len(inputs) for inputs in runs) == {1: 12, 2: 6, 4: 3, 8: 3, 16: 3}


def test_a_row_is_the_median_with_its_spread() -> None:
    row = report.row([sample(rate, [0.01, 0.03]) for rate in (90, 100, 130)])
    assert (row["per_second_min"], row["per_second"], row["per_second_max"]) == (90, 100, 130)
    assert row["first_ms_p50"] == 30
    assert row["between_pieces_ms_p50"] == 20
    assert row["sizes"] == {"input_tokens": [32], "output_tokens": [128]}


def test_the_peer_makes_the_requested_number_of_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llama_cpp, "_SLOTS", 2)
    ensure(MODEL, MODEL.engine_on("cpu"))
    found = llama_cpp.bare_engine()([text_generation.inputs_of(text, 4) for text in text_generation.prompts()[:2]])
    assert found.sizes == {"input_tokens": [32, 32], "output_tokens": [4, 4]}
    assert len(found.gaps) >= 2 * 3


def test_faithfulness_counts_equal_answers_and_how_far_the_first_tokens_are() -> None:
    expected = faithfulness.Answers([[1, 2], [3]], numpy.log(numpy.float32([[0.5, 0.5], [0.5, 0.5]])))
    found = faithfulness.Answers([[1, 2], [4]], numpy.log(numpy.float32([[0.5, 0.5], [0.25, 0.75]])))
    assert faithfulness.compared(expected, expected) == {"same": 1, "divergence": 0}
    divergence = 0.5 * (0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75))
    assert faithfulness.compared(found, expected) == {"same": 0.5, "divergence": pytest.approx(divergence, abs=1e-6)}


def test_the_questions_are_many_short_and_each_asked_once() -> None:
    asked = faithfulness.prompts()
    assert len(asked) >= 200
    assert len(set(asked)) == len(asked)
    assert all(0 < len(one) < 120 for one in asked)
    assert 0.08 < sum(not one.isascii() for one in asked) / len(asked) < 0.12  # in Japanese


@pytest.mark.slow  # the whole model twice in transformers
def test_the_engine_is_at_least_as_faithful_as_transformers_in_bfloat16() -> None:
    found = faithfulness.in_own_process(MODEL, "openvino", every=7)
    targets = [target for target in text_generation.TARGETS if "bfloat16" in target.what]
    assert [target.verdict({"faithfulness": found}) for target in targets] == ["reached", "reached"]


def test_the_receipt_s_section_says_how_faithful_the_engine_is() -> None:
    figures = {"prompts": 200, "tokens": 24, "engine": {"same": 0.8, "divergence": 0.0004}}
    measured = receipt(90, 30) | {"faithfulness": figures | {"bfloat16": {"same": 0.6, "divergence": 0.0015}}}
    text = report.markdown([measured], "charts", text_generation.TARGETS)
    assert "Of 200 short questions 80% are answered with the same first 24 tokens as in float32" in text
    assert "0.00040 nats (0.00150)" in text


@pytest.mark.parametrize(("server", "verdict"), [(90, "reached"), (89, "missed")])
def test_a_target_is_compared_with_its_bound(server: float, verdict: str) -> None:
    three_times = next(target for target in text_generation.TARGETS if "1 stream, against the baseline" in target.what)
    assert three_times.verdict(receipt(server, baseline=30)) == verdict


def test_a_target_without_a_measurement_is_neither_reached_nor_missed() -> None:
    against_engine = next(target for target in report.TARGETS if "bare engine" in target.what)
    assert against_engine.verdict(receipt(90, 30)) == "not measured"


@pytest.mark.parametrize(("bound_is_met", "memory"), [("reached", 1000), ("missed", 1001)])
def test_a_value_equal_to_an_upper_bound_meets_it(bound_is_met: str, memory: int) -> None:
    measured = receipt(90, 30)
    measured["subjects"]["server"]["peak_memory_mb"] = memory
    assert text_generation.TARGETS[-1].verdict(measured) == bound_is_met


def test_the_readme_s_section_is_made_from_the_receipts() -> None:
    text = report.markdown([receipt(612.4, 25)], "charts", text_generation.TARGETS)
    assert "| the server | 612 | 612 | 612 | 2.0 s | 900 MB |" in text
    assert "2026-01-31 on A machine (2 cores)" in text
    assert text.endswith("(charts/a-machine.png)")


def test_the_readme_s_section_has_every_machine_and_what_it_missed() -> None:
    slow = receipt(60, 30)
    slow["machine"] = {"name": "A slow machine", "slug": "a-slow-machine", "cores": 1}
    first, second = report.markdown([slow, receipt(612.4, 20)], "charts", text_generation.TARGETS).split(
        "on A slow machine (1 cores)"
    )
    assert "on A machine (2 cores)" in first
    assert "(charts/a-machine.png)" in first
    assert "against the baseline (2.00 times, at least 3); total, 8 streams, against the baseline (2.00 times" in second
    assert "). Not measured: " in second
    assert "All targets were reached" not in first + second
    assert "| the server | 60 | 60 | 60 | 2.0 s | 900 MB |" in second
    assert ".png" not in second


def test_the_chart_is_drawn_as_png_and_svg(tmp_path: Path) -> None:
    report.draw(receipt(90, 30), tmp_path / "chart")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
    assert "the baseline" in (tmp_path / "chart.svg").read_text() or (tmp_path / "chart.svg").stat().st_size > 5000


def test_rendering_replaces_only_the_text_between_the_markers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "PROJECT", tmp_path)
    target = tmp_path / measured.BENCHMARKS / MODEL.slug / "a-machine.json"
    target.parent.mkdir(parents=True)
    target.write_text(json.dumps(receipt(90, 30)))
    before, after = "# Title\n<!-- benchmark -->\nold\n", "<!-- end of benchmark -->\nrest\n"
    rendered = render.with_benchmark(before + after, MODEL, "charts")
    assert rendered.startswith("# Title\n<!-- benchmark -->\nMeasured on ")
    assert rendered.endswith(after)
    assert "\nold\n" not in rendered
