"""Puts into a plan what its measured_costs are: from what was measured of its model, and the price list."""

import os
from collections.abc import Mapping
from typing import Any

from models import manifest
from models.manifest import Manifest
from scripts.economics import cost, cost_report, price_list
from scripts.economics.cost_report import Costs
from scripts.economics.options import sizes_of
from scripts.economics.plan import Channel, MeasuredCost, Plan, PlanError, Quantity
from scripts.economics.price_list import PriceList
from scripts.economics.price_report import chosen


def model_of(plan: Plan) -> Manifest | None:
    """The model that the plan names, or that MODEL names where the plan names none."""
    slug = plan.model or os.environ.get("MODEL", "")
    return manifest.load(slug) if slug else None


def resolved(plan: Plan, prices: PriceList) -> Plan:
    """The plan with numbers in the place of its measured_costs; their sources say what is an estimate."""
    model = model_of(plan)
    if model is None:
        return plan
    channels = [
        one if one.measured_cost is None else _with_cost(one, one.measured_cost, model, prices) for one in plan.channels
    ]
    return plan.model_copy(update={"channels": channels})


def costs_of(plan: Plan, prices: PriceList) -> Costs | None:
    """All hardware for the first channel that has a measured cost, else for 100,000 predictions as measured."""
    model = model_of(plan)
    if model is None:
        return None
    channel = next((one for one in plan.channels if one.measured_cost), None)
    if channel is None or channel.measured_cost is None:
        return cost_report.costs(model, prices, 100_000, {})
    return cost_report.costs(model, prices, max(channel.volume.percentile(0.5), 1), _sizes(channel.measured_cost))


def _with_cost(channel: Channel, wanted: MeasuredCost, model: Manifest, prices: PriceList) -> Channel:
    where = f"channel {channel.name!r}: measured_cost.hardware"
    price_list.find(prices, wanted.hardware, where)
    most = max(channel.volume.ends()[1], 1)
    told = cost_report.costs(model, prices, most, _sizes(wanted))
    choice = chosen(told, wanted.hardware, wanted.billing)
    spent = cost.monthly(choice, most, told.conventions)
    if spent is None:
        raise PlanError(f"{where}: {choice.name} cannot carry {most:,.0f} predictions a month: name another hardware")
    share = 1 / most if wanted.billing == "public" else 1.0
    ends = _ends(spent.low * share, spent.middle * share, spent.high * share)
    quantity = Quantity(**ends, source=choice.source, estimate=choice.speed.is_estimate)
    return channel.model_copy(update={"cost" if wanted.billing == "public" else "fixed": quantity})


def _ends(low: float, likely: float, high: float) -> Mapping[str, Any]:
    return {"value": likely} if low == high else {"low": low, "likely": likely, "high": high}


def _sizes(wanted: MeasuredCost) -> dict[str, float]:
    return sizes_of(wanted.input_tokens, wanted.output_tokens, wanted.images, wanted.audio_seconds)
