"""Plans: compared with calculations by hand, their Monte Carlo simulation, and mistakes in them."""

import time
from pathlib import Path
from typing import Any

import numpy
import pytest
import yaml

from models import manifest
from models.errors import TemplateError
from scripts.economics import measured_costs, plan, price_report, simulation
from scripts.economics.money import rounded
from scripts.economics.plan import Channel, Plan, PlanError, Quantity
from scripts.hardware import price_list

PLANS = manifest.PROJECT / "examples" / "plans"


def channel(**numbers: Any) -> dict[str, Any]:
    return {"name": "It", "kind": "predictions", "volume": 1000, "price": 0.01, "source": "by hand", **numbers}


def planned(*channels: dict[str, Any], **more: Any) -> Plan:
    return Plan.model_validate({"title": "A plan", "date": "2026-11-01", "channels": list(channels), **more})


def written(folder: Path, *channels: dict[str, Any], **more: Any) -> Path:
    """A file with this plan."""
    path = folder / "plan.yaml"
    path.write_text(yaml.safe_dump({"title": "A plan", "channels": list(channels), **more}), encoding="utf-8")
    return path


def months(a_plan: Plan, values: simulation.Values | None = None) -> list[str]:
    """The profit of each month, to the cent."""
    profit = simulation.of_plan(a_plan, values or simulation.fixed(a_plan)).profit
    return [str(rounded(float(one))) for one in profit[:, 0]]


def year(a_plan: Plan) -> str:
    return str(rounded(float(simulation.of_plan(a_plan, simulation.fixed(a_plan)).profit.sum())))


def test_the_figures_of_the_sketch_are_reproduced() -> None:
    # 100,000 * 0.005 + 500,000 * 0.001 + (200 to 1,000) + 2 * 2,000 = 500 + 500 + 200 to 1,000 + 4,000.
    a_plan = plan.read(PLANS / "sketch.yaml")
    assert months(a_plan, simulation.at_ends(a_plan, best=False))[0] == "5200.00"
    assert months(a_plan)[0] == "5600.00"
    assert months(a_plan, simulation.at_ends(a_plan, best=True))[0] == "6000.00"
    profit = simulation.of_plan(a_plan, simulation.drawn(a_plan, 20_000, seed=1)).profit[0]
    # 600 in the middle and symmetric; the 10th percentile of the triangle lies at 200 + 800 * sqrt(0.1 / 2) = 378.89.
    assert numpy.percentile(profit, [10, 50, 90]) == pytest.approx([5378.89, 5600, 5821.11], abs=6)
    assert profit.min() >= 5200
    assert profit.max() <= 6000


@pytest.mark.parametrize(
    ("numbers", "first", "second", "twelfth"),
    [
        # 1,000 * 0.01 = 10, of which 70 % is ours: 7; less 1,000 * 0.002 = 2 and 3 a month: 2.
        ({"share": 0.7, "cost": 0.002, "fixed": 3}, "2.00", "2.00", "2.00"),
        # 10 % more a month: 10, 11, and after eleven times 10 * 1.1^11 = 28.53.
        ({"growth": 0.1}, "10.00", "11.00", "28.53"),
        # 10 % of those who pay leave each month: 10, 9, 10 * 0.9^11 = 3.14.
        ({"churn": 0.1}, "10.00", "9.00", "3.14"),
        # 5 % of 1,000 pay $9: 50 * 9 = 450, and 950 free ones at $0.10: 95.
        ({"price": 9, "conversion": 0.05, "free_cost": 0.1}, "355.00", "355.00", "355.00"),
        # 20 new subscribers a month at $9: 180, 360; none leaves: 12 * 180 = 2,160.
        ({"kind": "subscriptions", "price": 9, "conversion": 0.02}, "180.00", "360.00", "2160.00"),
        # 100 are there; 25 % leave, 20 come: 95; then 0.75 * 95 + 20 = 91.25. Times 8: 760, 730. The rest of the way
        # to 80 shrinks by a quarter each month: 80 + 15 * 0.75^11 = 80.63; times 8 = 645.07.
        (
            {"kind": "subscriptions", "price": 8, "conversion": 0.02, "churn": 0.25, "subscribers": 100},
            "760.00",
            "730.00",
            "645.07",
        ),
    ],
)
def test_a_channel_matches_a_calculation_by_hand(
    numbers: dict[str, Any], first: str, second: str, twelfth: str
) -> None:
    found = months(planned(channel(**numbers)))
    assert (found[0], found[1], found[11]) == (first, second, twelfth)


def test_a_year_of_two_channels_and_monthly_costs_matches_a_calculation_by_hand() -> None:
    # 12 * (10 + 2 * 2,000 - 2 * 1,200 - 60 - 500) = 12 * 1,050 = 12,600.
    jobs = channel(name="Jobs", kind="consulting", volume=2, price=2000, cost=1200)
    costs = [{"name": "Accounts", "amount": 60, "source": "bills"}, {"name": "Work", "amount": 500, "source": "hours"}]
    assert year(planned(channel(), jobs, costs=costs)) == "12600.00"


def test_the_funnel_matches_a_calculation_by_hand() -> None:
    # 1,000 come, 20 % try: 200, 3 % of them pay: 6; free are 200 - 6 = 194 at $0.05: 9.70. 6 * 9 = 54: 44.30 are left.
    steps = [{"name": "try", "share": 0.2}, {"name": "pay", "share": 0.03}]
    a_plan = planned(channel(kind="subscriptions", price=9, conversion=steps, free_cost=0.05, churn=0.5))
    assert months(a_plan)[0] == "44.30"
    found = simulation.funnel(a_plan.channels[0], simulation.fixed(a_plan))
    # Half leave each month: 6 / 2^12 = 0.00146 are left of them after a year.
    assert [(name, round(count, 5)) for name, count in found] == [
        ("come", 1000),
        ("try", 200),
        ("pay", 6),
        ("still after 12 months", 0.00146),
    ]


def test_without_ranges_the_monte_carlo_result_is_the_plain_sum() -> None:
    a_plan = plan.read(PLANS / "with-costs.yaml")
    a_plan = measured_costs.resolved(a_plan, PLANS, price_list.shipped())
    ends = simulation.fixed(a_plan)

    def collapsed(quantity: Quantity, where: str) -> Quantity:
        value = float(ends[where][0])
        form = {"p10": value, "p90": value} if quantity.p10 is not None else {"low": value, "high": value}
        return Quantity(**form)

    channels = []
    for one in a_plan.channels:
        changed: dict[str, Any] = {
            key: collapsed(quantity, f"{one.name}: {key}")
            for key, quantity in one.quantities()
            if not key.startswith("conversion")
        }
        changed["conversion"] = [
            step.model_copy(update={"share": collapsed(step.share, f"{one.name}: conversion: {step.name}")})
            for step in one.conversion
        ]
        channels.append(one.model_copy(update=changed))
    costs = [one.model_copy(update={"amount": collapsed(one.amount, one.name)}) for one in a_plan.costs]
    narrow = a_plan.model_copy(update={"channels": channels, "costs": costs})
    drawn = simulation.of_plan(narrow, simulation.drawn(narrow, 1000, seed=7)).profit
    assert (drawn == simulation.of_plan(a_plan, ends).profit).all()


def test_100_000_draws_are_fast_and_repeat_with_their_seed() -> None:
    a_plan = measured_costs.resolved(plan.read(PLANS / "with-costs.yaml"), PLANS, price_list.shipped())
    begun = time.process_time()
    first = simulation.of_plan(a_plan, simulation.drawn(a_plan, 100_000, seed=3)).profit
    assert time.process_time() - begun < 2  # processor time, so that a busy machine changes nothing
    assert first.shape == (12, 100_000)
    values = simulation.drawn(a_plan, 1000, seed=3)
    again, other = simulation.drawn(a_plan, 1000, seed=3), simulation.drawn(a_plan, 1000, seed=4)
    assert all((values[name] == again[name]).all() for name in values)
    assert any((values[name] != other[name]).any() for name in values)


def test_draws_from_a_range_have_its_percentiles() -> None:
    triangle = Quantity.model_validate({"low": 10, "likely": 20, "high": 50})
    factors = Quantity.model_validate({"p10": 100, "p90": 10_000})
    a_plan = planned(channel(volume=factors.model_dump(), price=triangle.model_dump()))
    values = simulation.drawn(a_plan, 100_000, seed=1)
    for key, quantity in (("volume", factors), ("price", triangle)):
        expected = [quantity.percentile(share) for share in (0.1, 0.5, 0.9)]
        assert numpy.percentile(values[f"It: {key}"], [10, 50, 90]) == pytest.approx(expected, rel=0.05)
    # By hand: below 20 lie (20 - 10) / (50 - 10) = 25 %; the 10th percentile is 10 + sqrt(0.1 * 40 * 10) = 16.32.
    assert rounded(triangle.percentile(0.1)) == rounded(16.32)
    assert factors.percentile(0.5) == pytest.approx(1000)  # sqrt(100 * 10,000)


def test_the_tornado_matches_a_calculation_by_hand() -> None:
    # Volume 500 to 1,500 likely 1,000: its percentiles lie 1,000 * sqrt(0.05) = 223.61 from an end, at 723.61 and
    # 1,276.39. A year of $0.01 each: 86.83 and 153.17. The cost of 0.001 to 0.002: at 0.001224 and 0.001776.
    a_plan = planned(channel(volume={"low": 500, "high": 1500}, cost={"low": 0.001, "high": 0.002}))
    first, second = simulation.tornado(a_plan)
    assert (first.name, second.name) == ("It: volume", "It: cost")
    # With the cost at its median, 0.0015: 723.61 * 12 * 0.0085 = 73.81, and 1,276.39 * 12 * 0.0085 = 130.19.
    assert (str(rounded(first.at_low)), str(rounded(first.at_high))) == ("73.81", "130.19")
    # 1,000 * 12 * (0.01 - 0.00122361) = 105.32, and 1,000 * 12 * (0.01 - 0.00177639) = 98.68.
    assert (str(rounded(second.at_low)), str(rounded(second.at_high))) == ("105.32", "98.68")


def test_each_single_channel_matches_a_calculation_by_hand() -> None:
    # 50 subscribers at $9 cost 50 * 1 + 100 = 150: for half of it 150 / 50 / 0.5 = 6. 100 / (9 - 1) = 12.5 cover it.
    a_plan = planned(channel(kind="subscriptions", volume=1000, conversion=0.05, price=9, cost=1, fixed=100))
    (table,) = price_report.of_channels(a_plan, 0.5).tables
    ((_, cells),) = table.rows
    assert [str(rounded(cell.value)) for cell in cells if not isinstance(cell, str)] == ["6.00", "12.50", "300.00"]


def test_a_cost_follows_from_the_measurements_and_is_marked_if_it_is_an_estimate() -> None:
    wanted = {"hardware": "replicate/cpu", "billing": "always-on", "input_tokens": 32, "output_tokens": 128}
    a_plan = planned(channel(measured_cost=wanted), model="smollm2-135m-instruct")
    (found,) = measured_costs.resolved(a_plan, PLANS, price_list.shipped()).channels
    assert rounded(found.fixed.ends()[0]) == rounded(262.80)  # 0.0001 * 2,628,000 s
    assert found.fixed.estimate
    assert "https://replicate.com/pricing" in found.fixed.source
    (per_run,) = measured_costs.resolved(
        planned(channel(measured_cost={**wanted, "billing": "public"}), model="smollm2-135m-instruct"),
        PLANS,
        price_list.shipped(),
    ).channels
    assert 0 < per_run.cost.ends()[0] < per_run.cost.ends()[1] < 0.01


WRONG = [
    ({"volume": -5}, "channels.0.volume: .*-5 is not a valid amount: write 0 or more"),
    ({"volume": None}, "channels.0.volume: .*None is not a number"),
    ({"volume": "many"}, "channels.0.volume: .*'many' is not a number: write 0.05 or 100000"),
    ({"volume": True}, "channels.0.volume: .*True is not a number"),
    ({"volume": {"low": 5, "high": 1}}, "channels.0.volume: .*not in order: write the lowest first"),
    ({"volume": {"low": 1}}, "channels.0.volume: .*must be a value, or low and high"),
    ({"volume": {"lo": 1, "high": 2}}, r"unknown key channels.0.volume.lo \(did you mean low\?\)"),
    ({"volume": {"p10": 1, "p90": 2, "likely": 1.5}}, "channels.0.volume: .*likely needs low and high"),
    ({"volume": {"p10": 0, "p90": 2}}, "channels.0.volume.p10: "),
    ({"volume": float("nan")}, "channels.0.volume.value: .*finite number"),
    ({"share": 1.2}, "channels.0.share: .*1.2 is not a valid share: write 0 to 1, where 0.25 is 25 %"),
    ({"share": {"low": 0.5, "high": 70}}, "channels.0.share: .*70 is not a valid share"),
    ({"share": {"p10": 0.5, "p90": 0.7}}, "channels.0.share: .*has limits: write low and high"),
    ({"conversion": 3}, "channels.0.conversion.0.share: .*3 is not a valid share"),
    ({"churn": -0.1}, "channels.0.churn: .*-0.1 is not a valid share"),
    ({"growth": -2}, "channels.0.growth: .*-2 is not a valid growth: write 0.05 for 5 % a month"),
    ({"kind": "prediction"}, "channels.0.kind: .*'predictions'"),
    ({"source": ""}, "channels.0.source: "),
    ({"prise": 1}, r"unknown key channels.0.prise \(did you mean price\?\)"),
    ({"subscribers": 5}, "channels.0: .*only subscriptions have subscribers"),
    ({"cost": 1, "measured_cost": {"hardware": "a/b"}}, "channels.0: .*cost and measured_cost are both given"),
    ({"measured_cost": {"hardware": "replicate/cpu"}}, "the file: .*measured_cost needs the key model"),
]


@pytest.mark.parametrize(("numbers", "message"), WRONG, ids=[str(numbers) for numbers, _ in WRONG])
def test_a_mistake_in_a_plan_is_named_with_file_key_and_remedy(
    numbers: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = written(tmp_path, channel(**numbers), date="2026-11-01")
    with pytest.raises(PlanError, match=message) as caught:
        plan.read(path)
    assert all(line.startswith(f"{path}: ") for line in str(caught.value).splitlines())


@pytest.mark.parametrize("key", ["volume", "price", "kind", "source"])
def test_a_missing_value_is_named(key: str, tmp_path: Path) -> None:
    wrong = channel()
    del wrong[key]
    path = written(tmp_path, wrong, date="2026-11-01")
    with pytest.raises(PlanError, match=f"^{path}: channels.0.{key}: Field required"):
        plan.read(path)


def test_prices_without_a_date_and_two_channels_with_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="date: Field required"):
        plan.read(written(tmp_path, channel()))
    with pytest.raises(PlanError, match="two are named 'It'"):
        plan.read(written(tmp_path, channel(), channel(), date="2026-11-01"))


@pytest.mark.parametrize(
    ("wanted", "model", "message"),
    [
        (
            {"hardware": "replicate/cpus"},
            "smollm2-135m-instruct",
            "no hardware 'replicate/cpus'.*did you mean replicate/cpu",
        ),
        (
            {"hardware": "own/t3.large"},
            "smollm2-135m-instruct",
            "own/t3.large, public: this hardware is not offered with this billing: choose another hardware or billing",
        ),
        (
            {"hardware": "spaces/cpu-basic", "billing": "always-on"},
            "smollm2-135m-instruct",
            "10,000,000,000 predictions a month are more than this hardware can serve: lower the load, or allow other",
        ),
    ],
)
def test_hardware_that_a_plan_cannot_have_is_named_with_file_key_and_remedy(
    wanted: dict[str, Any], model: str, message: str
) -> None:
    a_plan = planned(channel(volume=10**10, measured_cost=wanted), model=model)
    path = Path("plan.yaml")
    with pytest.raises(TemplateError, match=f"^plan.yaml: channels.0.measured_cost.hardware: .*{message}"):
        measured_costs.resolved(a_plan, path, price_list.shipped())


def test_an_unknown_model_in_a_plan_is_named_with_the_file() -> None:
    a_plan = planned(channel(), model="smollm2")
    with pytest.raises(PlanError, match=r"^plan.yaml: model: there is no model 'smollm2' .*smollm2-135m-instruct"):
        measured_costs.resolved(a_plan, Path("plan.yaml"), price_list.shipped())


def test_every_kind_of_channel_has_a_unit() -> None:
    assert set(plan.UNITS) == set(Channel.model_fields["kind"].annotation.__args__)
