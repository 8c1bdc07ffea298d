"""The cost of predictions: compared with calculations by hand, to the cent; measurements, fits, estimates, refusals."""

import datetime
import json
from typing import Any

import pytest

from models import manifest
from models.manifest import PROJECT
from scripts.economics import cost, fit
from scripts.economics.cost import Choice, Workload
from scripts.economics.fit import Fit
from scripts.economics.money import rounded
from scripts.economics.receipts import Measurement, Point
from scripts.economics.speed import FromDataSheet, Measured, speed_on
from scripts.hardware import price_list
from scripts.hardware.price_list import Billing, Hardware, Range

LIST = price_list.shipped()
MODEL = manifest.load("smollm2-135m-instruct")
MONTH = 730 * 3600  # seconds, by the price list's convention


def hardware(dollars: float, provider: str = "replicate", **changed: Any) -> Hardware:
    offer = LIST.providers[provider].model_copy(update=changed)
    return Hardware("here/it", offer, dollars, 4, 8, "", None, "a page", datetime.date(2026, 11, 1), "high")


def choice(
    billing: Billing,
    dollars: float,
    alone: float,
    together: float = 0,
    streams: int = 1,
    start: float = 0,
    **changed: Any,
) -> Choice:
    speed = Measured({1: Fit(alone, {}, 0, 5, {})}, "a receipt", start)
    return Choice(hardware(dollars, **changed), billing, speed, streams, constant(alone), constant(together or alone))


def constant(value: float) -> Range:
    return Range(low=value, likely=value, high=value)


def cents(choice: Choice, runs: float) -> str:
    found = cost.monthly(choice, runs, LIST.conventions)
    assert found is not None
    return str(rounded(found.middle))


def idle(seconds: float) -> dict[str, Any]:
    return {"idle_seconds": constant(seconds)}


@pytest.mark.parametrize(
    ("choice", "runs", "dollars"),
    [
        # 100,000 predictions of 1.5 s at $0.000225 a second: 100,000 * 1.5 * 0.000225 = 33.75.
        (choice("public", 0.000225, 1.5), 100_000, "33.75"),
        # 1,234 of 0.731 s at $0.0001: 1,234 * 0.731 * 0.0001 = 0.0902..., nine cents.
        (choice("public", 0.0001, 0.731), 1234, "0.09"),
        # One instance all month at $0.40 an hour: 730 * 0.40 = 292; a thousand predictions change nothing.
        (choice("always-on", 0.40 / 3600, 2.0), 1000, "292.00"),
        # 1,000,000 of 8 s, 4 at once: 1,000,000 * 8 / 4 = 2,000,000 s of instances; at 80 % of use 2,500,000 of the
        # month's 2,628,000: one instance. $0.000975 * 2,628,000 = 2,562.30.
        (choice("always-on", 0.000975, 2.0, 8.0, 4), 1_000_000, "2562.30"),
        # A tenth more: 2,750,000 s: two instances, 5,124.60.
        (choice("always-on", 0.000975, 2.0, 8.0, 4), 1_100_000, "5124.60"),
        # Nobody comes near another: 100 a month, each keeps the instance up for 2 + 180 s: the share of the month is
        # 1 - exp(-100 * 182 / 2,628,000) = 0.0069014...; times 2,628,000 s = 18,137.07 s. 100 * (1 - 0.0069014) starts
        # of 10 s = 993.10 s. (18,137.07 + 993.10) * 0.000225 = 4.30.
        (choice("scale-to-zero", 0.000225, 2.0, start=10, **idle(180)), 100, "4.30"),
        # The same where starting is not billed: 18,137.07 * 0.000225 = 4.08.
        (choice("scale-to-zero", 0.000225, 2.0, start=10, bills_setup=False, **idle(180)), 100, "4.08"),
        # So many that it never sleeps costs what always-on does: 0.0001 * 2,628,000 = 262.80.
        (choice("scale-to-zero", 0.0001, 1.0, 1.0, 16, start=5, **idle(3600)), 1_000_000, "262.80"),
    ],
)
def test_a_month_matches_a_calculation_by_hand(choice: Choice, runs: float, dollars: str) -> None:
    assert cents(choice, runs) == dollars


def test_units_match_a_calculation_by_hand() -> None:
    # $0.0008 for 200 tokens in and 300 out: 0.0008 / 500 * 1,000,000 = 1.60 a million tokens; 0.80 for 1,000 runs.
    units = cost.per_units(0.0008, {"input_tokens": 200, "output_tokens": 300})
    assert {name: str(rounded(value, 4)) for name, value in units.items()} == {
        "run": "0.0008",
        "1,000 runs": "0.8000",
        "million tokens": "1.6000",
    }
    # $0.012 for four images: 0.003 each. $0.005 for 90 s of audio: 0.005 / 90 * 3,600 = 0.20 an hour.
    assert cost.per_units(0.012, {"images": 4})["image"] == pytest.approx(0.003)
    assert str(rounded(cost.per_units(0.005, {"audio_seconds": 90})["audio hour"])) == "0.20"


def test_the_cheapest_hardware_changes_at_the_calculated_load() -> None:
    # $0.00015 a prediction against $60 a month: 400,000 cost 60 both ways, one more is cheaper by the month.
    # One instance carries, at 80 % of use, 16 * 0.8 * 2,628,000 / 20 = 1,681,920 of 20 s: a free one that may not be
    # two is the cheapest up to there.
    alone = choice("public", 0.0001, 1.5)
    rented = choice("always-on", 60 / MONTH, 2.0, 20.0, 16)
    found = cost.flips([alone, rented], LIST.conventions)
    assert [(runs, choice.billing) for runs, choice in found] == [(10, "public"), (400_001, "always-on")]
    free = choice("always-on", 0.0, 2.0, 20.0, 16, max_instances=1)
    found = cost.flips([free, rented], LIST.conventions)
    assert [runs for runs, _ in found] == [10, 1_681_921]


def test_a_latency_limit_sets_the_concurrency_and_excludes_hardware() -> None:
    fits = {count: Fit(seconds, {}, 0, 5, {}) for count, seconds in ((1, 1.0), (4, 2.0), (16, 6.0))}
    speed = Measured(fits, "a receipt", None)
    assert speed.seconds({}, 10).middle == pytest.approx(4.0)  # half of the way from 4 to 16
    for latency, streams in ((None, 16), (6.0, 16), (5.9, 4), (1.5, 1), (0.9, 0)):
        assert cost.best_streams(speed, Workload({}, 1, 16, latency)) == streams
    assert cost.best_streams(speed, Workload({}, 1, 4, None)) == 4


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_a_fit_finds_the_seconds_per_length_and_reports_its_error(noise: float) -> None:
    points = [
        Point({"input_tokens": i, "output_tokens": o}, 1, 0.5 + 0.001 * i + 0.02 * o + noise * (-1) ** number)
        for number, (i, o) in enumerate((i, o) for i in (10, 100, 400) for o in (8, 64, 256))
    ]
    found = fit.fit(points)
    assert found.per["output_tokens"] == pytest.approx(0.02, abs=0.001)
    assert found.per["input_tokens"] == pytest.approx(0.001, abs=0.0005)
    assert found.residual == pytest.approx(noise, abs=0.02)
    assert not found.unknown({"input_tokens": 77, "output_tokens": 5})


def test_a_measurement_on_a_busy_machine_is_marked() -> None:
    points = [Point({"output_tokens": o}, 1, seconds) for o, seconds in ((10, 1.0), (20, 9.0), (30, 0.5), (40, 8.0))]
    speed = Measured(fit.by_streams(points), "a receipt", None)
    assert speed.gaps({"output_tokens": 25})[0].startswith("something else ran during the measurement")


def test_a_fit_has_no_negative_seconds() -> None:
    points = [Point({"input_tokens": i}, 1, 2.0 - 0.01 * i) for i in (0, 10, 20)]
    found = fit.fit(points)
    assert found.per["input_tokens"] == 0
    assert found.base == pytest.approx(1.9)  # the mean of 2.0, 1.9 and 1.8


def test_too_few_points_are_reported_and_a_length_that_never_varied_is_unknown() -> None:
    points = [Point({"input_tokens": 32, "output_tokens": o}, 1, 0.1 + 0.01 * o) for o in (1, 128)]
    speed = Measured(fit.by_streams(points), "a receipt", None)
    assert speed.gaps({"input_tokens": 32, "output_tokens": 64}) == [
        "too few points for a residual at 1 at once: a receipt"
    ]
    assert "what input tokens cost was not measured: a receipt" in speed.gaps({"input_tokens": 200})


def test_a_gpu_that_was_not_measured_is_an_estimate_with_a_range() -> None:
    # 8 billion parameters of 2 bytes on 2,000 GB/s: a step reads 16 GB in 8 ms; at 0.5 to 1 of it 8 to 16 ms, and 1 to
    # 2 ms beside: 100 steps take 0.9 to 1.8 s. 1,000 tokens in: 2 * 8e9 * 1,000 / 400e12 = 0.04 s, at 0.5 to 1.
    # Together 0.94 to 1.88 s.
    gpu = price_list.Gpu(memory_gb=80, bandwidth_gb_s=2000, tflops=400, source="sheet", date=datetime.date(2026, 1, 1))
    estimates = LIST.estimates.model_copy(
        update={
            "share_of_bandwidth": Range(low=0.5, high=1),
            "share_of_tflops": Range(low=0.5, high=1),
            "overhead_ms": Range(low=1, high=2),
        }
    )
    speed = FromDataSheet(gpu, estimates, 8_000_000_000, 2, 0, (1,), None, "sheet")
    found = speed.seconds({"input_tokens": 1000, "output_tokens": 100}, 1)
    assert (rounded(found.low), rounded(found.high)) == (rounded(0.94), rounded(1.88))
    assert speed.is_estimate


def test_what_was_measured_on_a_gpu_is_within_its_estimated_range() -> None:
    receipt = json.loads((PROJECT / "benchmarks" / "gpu" / "nvidia-h200.json").read_text())
    rate = receipt["subjects"]["8B"]["figures"]["1 streams"]["tokens_per_second"]
    speed = FromDataSheet(LIST.gpus["H200"], LIST.estimates, 8_030_000_000, 2, 131_072, (1,), None, "sheet")
    found = speed.seconds({"input_tokens": 32, "output_tokens": 128}, 1)
    assert found.low < 128 / rate < found.high


@pytest.mark.parametrize(
    ("machine", "hardware"),
    [
        ("NVIDIA H100 80GB HBM3", {"gpu-h100"}),
        ("NVIDIA A100-SXM4-80GB", {"gpu-a100-large"}),
        ("NVIDIA A100-SXM4-40GB", set()),
        ("Tesla T4", {"gpu-t4"}),
        ("NVIDIA L40S", {"gpu-l40s"}),
        ("NVIDIA L4", set()),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", set()),
    ],
)
def test_a_benchmark_on_a_gpu_counts_for_all_hardware_with_that_gpu(machine: str, hardware: set[str]) -> None:
    date = datetime.date(2026, 11, 1)
    found = [Measurement(machine, "", "cuda", 8, [Point({"output_tokens": 1}, 1, 0.5)], 3.0, machine, date)]
    replicate = [one for one in price_list.hardware_of(LIST) if one.name.startswith("replicate/gpu")]
    speeds = {one.name.removeprefix("replicate/"): speed_on(one, MODEL, found, LIST) for one in replicate}
    assert {name for name, speed in speeds.items() if not isinstance(speed, str) and not speed.is_estimate} == hardware


def test_the_estimate_for_another_cpu_is_between_the_fastest_by_cores_and_the_slowest() -> None:
    def measured(machine: str, cores: int, seconds: float) -> Measurement:
        date = datetime.date(2026, 11, 1)
        return Measurement(machine, "", "cpu", cores, [Point({}, 1, seconds)], 3.0, machine, date)

    four_cores = price_list.find(LIST, "replicate/cpu")
    speed = speed_on(four_cores, MODEL, [measured("fast", 2, 1.0), measured("slow", 2, 5.0)], LIST)
    assert not isinstance(speed, str)
    assert (speed.seconds({}, 1).low, speed.seconds({}, 1).high) == (0.5, 5.0)
    assert speed.is_estimate
    assert speed_on(four_cores, MODEL, [], LIST) == "no CPU was measured: make bench, or make cost URL=..."


def test_hardware_that_is_too_small_is_left_out_with_the_reason() -> None:
    large = MODEL.model_copy(update={"parameters": 20_000_000_000})
    why = speed_on(price_list.find(LIST, "replicate/gpu-t4"), large, [], LIST)
    assert why == "44.3 GB of weights and cache do not fit into 16 GB"
