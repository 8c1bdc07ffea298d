"""Replaces the measured_costs of a plan by numbers, from the measurements of its model and the price list."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models import manifest
from models.errors import ManifestError
from models.manifest import Manifest
from scripts.economics import cost_report
from scripts.economics.cost_report import Costs
from scripts.economics.options import sizes_of
from scripts.economics.plan import Channel, MeasuredCost, Plan, PlanError, Quantity
from scripts.economics.price_report import chosen
from scripts.hardware import price_list
from scripts.hardware.price_list import PriceList


def model_of(plan: Plan, path: Path) -> Manifest | None:
    """The model that the plan at `path` names, or else the one that the variable MODEL names.

    Raises:
        PlanError: there is no such model.
    """
    if not plan.model:
        return manifest.load(os.environ["MODEL"]) if os.environ.get("MODEL") else None
    try:
        return manifest.load(plan.model)
    except ManifestError as error:
        raise PlanError(f"{path}: model: {error}") from error


def resolved(plan: Plan, path: Path, prices: PriceList) -> Plan:
    """The plan with numbers in place of its measured_costs; their sources say which are estimates.

    Raises:
        TemplateError: one cannot be computed; names the key in the plan at `path`.
    """
    model, channels = model_of(plan, path), []
    for number, channel in enumerate(plan.channels):
        if channel.measured_cost and model:
            where = f"{path}: channels.{number}.measured_cost.hardware"
            channels.append(_with_cost(channel, channel.measured_cost, model, prices, where))
        else:
            channels.append(channel)
    return plan.model_copy(update={"channels": channels})


def costs_of(plan: Plan, path: Path, prices: PriceList) -> Costs | None:
    """All hardware for the first channel that has a measured cost, else for 100,000 predictions as measured."""
    model = model_of(plan, path)
    if model is None:
        return None
    for channel in plan.channels:
        if channel.measured_cost:
            load = max(channel.volume.percentile(0.5), 1)
            return cost_report.costs(model, prices, load, _sizes(channel.measured_cost))
    return cost_report.costs(model, prices, 100_000, {})


def _with_cost(channel: Channel, wanted: MeasuredCost, model: Manifest, prices: PriceList, where: str) -> Channel:
    price_list.find(prices, wanted.hardware, where)
    most = max(channel.volume.ends()[1], 1)
    costs = cost_report.costs(model, prices, most, _sizes(wanted))
    choice, spent = chosen(costs, wanted.hardware, wanted.billing, where)
    share = 1 / most if wanted.billing == "public" else 1.0
    ends = _ends(spent.low * share, spent.middle * share, spent.high * share)
    quantity = Quantity(**ends, source=choice.source, estimate=choice.speed.is_estimate)
    return channel.model_copy(update={"cost" if wanted.billing == "public" else "fixed": quantity})


def _ends(low: float, likely: float, high: float) -> Mapping[str, Any]:
    return {"value": likely} if low == high else {"low": low, "likely": likely, "high": high}


def _sizes(wanted: MeasuredCost) -> dict[str, float]:
    return sizes_of(wanted.input_tokens, wanted.output_tokens, wanted.images, wanted.audio_seconds)
