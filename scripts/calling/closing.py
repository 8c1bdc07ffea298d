"""The last line of a call: how it went, how fast, and what it cost."""

from collections.abc import Mapping
from typing import Any

from scripts.hardware.replicate import dollars

_FINISH_REASONS = {"stop": "finished", "length": "cut at max_tokens"}


def closing_line(prediction: Mapping[str, Any], sku: str, seconds: float) -> str:
    """The model's own metrics if it records any, or else status and times; `seconds`: of the whole call.

    `sku`: Replicate's name of the hardware, for the price; "" if unknown.
    """
    metrics = prediction.get("metrics") or {}
    predicting = metrics.get("predict_time")
    words = _recorded(metrics) if prediction["status"] == "succeeded" else []
    if not words:
        words = [prediction["status"], f"{seconds:.1f} s"]
        words += [f"{predicting:.3g} s predicting"] if predicting is not None else []
    cost = dollars(predicting, sku) if predicting is not None else None
    return " · ".join([*words, f"about ${cost:.6f} on {sku}"] if cost is not None else words)


def _recorded(metrics: Mapping[str, Any]) -> list[str]:
    """The metrics of interest, among those that the prediction recorded (cog's record_metric)."""
    forms = {
        "text_count": "texts: {}",
        "truncated_count": "{} cut",
        "output_token_count": "{} tokens",
        "time_to_first_token": "first after {:.0f} ms",
        "tokens_per_second": "{:.0f} tokens/s",
    }
    recorded = {name: value for name, value in metrics.items() if value or name != "truncated_count"}
    scaled = {name: value * 1000 if name == "time_to_first_token" else value for name, value in recorded.items()}
    words = [form.format(scaled[name]) for name, form in forms.items() if name in scaled]
    words += [f"{metrics['engine']} on {metrics['device']}"] if {"engine", "device"} <= metrics.keys() else []
    words += [f"seed {metrics['seed']}"] if "seed" in metrics else []
    words += [_FINISH_REASONS.get(metrics["finish_reason"], "cancelled")] if "finish_reason" in metrics else []
    return words
