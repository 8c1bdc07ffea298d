"""Texts of the page as HTML: its header, and the status of a prediction."""

import html

from .facts import Facts
from .prediction import Prediction

_SHOWN_METRICS = 8


def header(facts: Facts) -> str:
    """Title, summary and links."""
    links = "".join(
        f'<a href="{html.escape(address, quote=True)}" target="_blank" rel="noopener">{html.escape(name)}</a>'
        for name, address in facts.links.items()
    )
    return (
        f"<h1>{html.escape(facts.title)}</h1><p>{html.escape(facts.summary)}</p>"
        f'<nav aria-label="About the model">{links}</nav>'
    )


def status(prediction: Prediction, seconds: float) -> str:
    """One line: why it failed, what it waits for, or how long it took, with the model's metrics."""
    if prediction.error:
        return error(prediction.error)
    if not prediction.has_ended:
        return _line("running", f"{prediction.note or 'Running'} · {seconds:.0f} s")
    measured = [
        f"{name.replace('_', ' ')} {_number(value)}"
        for name, value in prediction.metrics.items()
        if isinstance(value, int | float | str) and name != "predict_time"
    ]
    return _line("done", " · ".join([f"Done in {seconds:.1f} s", *measured[:_SHOWN_METRICS]]))


def error(message: str) -> str:
    """The error; a screen reader reads it out at once."""
    lines = "<br>".join(html.escape(line) for line in message.splitlines())
    return f'<div class="status error" role="alert">{lines}</div>'


def starting() -> str:
    """The status after Run was pressed."""
    return _line("running", "Starting")


def stopped() -> str:
    """The status after Stop was pressed."""
    return _line("done", "Stopped")


def _line(kind: str, text: str) -> str:
    return f'<div class="status {kind}" role="status">{html.escape(text)}</div>'


def _number(value: float | str) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
