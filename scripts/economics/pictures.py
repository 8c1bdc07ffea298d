"""The charts of a report, as SVG that follows the reader's light or dark theme: colours are CSS variables."""

import io
import re
from collections.abc import Sequence
from typing import Any

from scripts.economics.figures import Picture
from scripts.economics.money import Money
from scripts.economics.simulation import Swing

LIGHT = {
    "paper": "#ffffff",
    "ink": "#1f2328",
    "faint": "#d0d7de",
    "main": "#0b6bcb",
    "other": "#c2570c",
    "soft": "#9cc7f0",
}
DARK = {
    "paper": "#0d1117",
    "ink": "#e6edf3",
    "faint": "#3d444d",
    "main": "#58a6ff",
    "other": "#f0883e",
    "soft": "#1f4d80",
}
_STANDS_FOR = {"ink": "#010203", "faint": "#010204", "main": "#010205", "other": "#010206", "soft": "#010207"}
_WIDTH = 6.4  # inches; narrow, so that the words stay readable on a phone


def variables(colours: dict[str, str]) -> str:
    """CSS variables of one theme."""
    return "".join(f"--{name}:{colour};" for name, colour in colours.items())


def alone(svg: str) -> str:
    """The SVG as a file of its own, with both themes in it."""
    dark = f"@media (prefers-color-scheme:dark){{:root{{{variables(DARK)}}}}}"
    style = f":root{{{variables(LIGHT)}}}{dark}svg{{background:var(--paper)}}"
    return re.sub(r"(<svg[^>]*>)", rf"\1<style>{style}</style>", svg, count=1)


def cost_by_hardware(found: Sequence[tuple[str, float, float, float, bool]], money: Money, source: str) -> Picture:
    """`found`: name, likely, low and high US$ of 1,000 predictions, and whether it is an estimate; cheapest first."""
    figure, axes = _axes(len(found) * 0.34 + 1)
    shown = [
        (name, money.converted(likely), money.converted(low), money.converted(high), guess)
        for name, likely, low, high, guess in reversed(found)
    ]
    for number, (_, likely, low, high, guess) in enumerate(shown):
        axes.barh(number, likely, color=_STANDS_FOR["soft" if guess else "main"], height=0.6)
        axes.plot([low, high], [number, number], color=_STANDS_FOR["ink"], linewidth=1.2)
    axes.set_yticks(
        range(len(shown)), _plain([f"{name} (estimate)" if guess else name for name, _, _, _, guess in shown])
    )
    axes.set_xlabel(f"{money.currency} for 1,000 predictions")
    return Picture("cost-by-hardware", "Cost by hardware; a line is the range", _svg(figure, "cost"), source)


def price_against_margin(
    name: str, margins: Sequence[float], prices: Sequence[float], asked: float, money: Money, source: str
) -> Picture:
    """`margins`: 0 to 1; `prices`: US$ a unit at each; `asked`: the plan's price."""
    figure, axes = _axes(3.4)
    wanted = money.converted(asked)
    axes.plot(
        [100 * margin for margin in margins],
        [money.converted(one) for one in prices],
        color=_STANDS_FOR["main"],
        label="price for a margin",
    )
    (label,) = _plain([f"the plan's price, {money.shown(asked)}"])
    axes.axhline(wanted, color=_STANDS_FOR["other"], linestyle="--", label=label)
    axes.set(xlabel="margin, % of what you get", ylabel=f"price of a unit, {money.currency}")
    axes.legend(frameon=False, labelcolor=_STANDS_FOR["ink"])
    return Picture("price-against-margin", f"Price against margin: {name}", _svg(figure, "price"), source)


def band(low: Sequence[float], middle: Sequence[float], high: Sequence[float], money: Money, source: str) -> Picture:
    """What is left each month (US$): median, 10th and 90th percentile."""
    figure, axes = _axes(3.4)
    months = range(1, len(middle) + 1)
    low, middle, high = ([money.converted(one) for one in each] for each in (low, middle, high))
    axes.fill_between(months, low, high, color=_STANDS_FOR["soft"], label="10th to 90th percentile")
    axes.plot(months, middle, color=_STANDS_FOR["main"], label="median")
    axes.axhline(0, color=_STANDS_FOR["ink"], linewidth=0.8)
    axes.set(xlabel="month", ylabel=f"left, {money.currency}", xticks=list(months))
    axes.legend(frameon=False, labelcolor=_STANDS_FOR["ink"])
    return Picture("income", "What is left each month", _svg(figure, "band"), source)


def tornado(swings: Sequence[Swing], middle: float, money: Money, source: str) -> Picture:
    """The ranges that change a year's result most; `middle`: US$ left with everything at its median."""
    figure, axes = _axes(len(swings) * 0.36 + 1)
    centre = money.converted(middle)
    for number, swing in enumerate(reversed(swings)):
        for value, colour in ((swing.at_low, "other"), (swing.at_high, "main")):
            label = f"at its {'10th' if colour == 'other' else '90th'} percentile" if number == 0 else None
            length = money.converted(value) - centre
            axes.barh(number, length, left=centre, color=_STANDS_FOR[colour], height=0.6, label=label)
    axes.axvline(centre, color=_STANDS_FOR["ink"], linewidth=0.8)
    axes.set_yticks(range(len(swings)), _plain([swing.name for swing in reversed(swings)]))
    axes.set_xlabel(f"left of a year, {money.currency}")
    figure.legend(frameon=False, labelcolor=_STANDS_FOR["ink"], loc="outside upper right", ncols=2)
    return Picture("tornado", "What matters most", _svg(figure, "tornado"), source)


def funnel(steps: Sequence[tuple[str, float]], title: str, money: Money, source: str, name: str) -> Picture:
    """`steps`: the number of people left after each step; the first is everybody who comes. `name`: of the picture."""
    figure, axes = _axes(len(steps) * 0.5 + 0.8)
    most = steps[0][1] or 1
    for number, (_, count) in enumerate(reversed(steps)):
        axes.barh(number, count, left=(most - count) / 2, color=_STANDS_FOR["main"], height=0.62)
    names = [f"{step}: {money.number(count, 0 if count >= 10 else 1)}" for step, count in reversed(steps)]
    axes.set_yticks(range(len(steps)), _plain(names))
    axes.set_xticks([])
    axes.grid(visible=False)
    return Picture(name, title, _svg(figure, name), source)


def _plain(names: Sequence[str]) -> list[str]:
    """Escaped for matplotlib, which would read text between two dollar signs as a formula."""
    return [name.replace("$", r"\$") for name in names]


def _axes(height: float) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib.figure import Figure

    ink, faint = _STANDS_FOR["ink"], _STANDS_FOR["faint"]
    settings: dict[str, Any] = {
        "svg.fonttype": "none",
        "text.color": ink,
        "axes.labelcolor": ink,
        "axes.edgecolor": faint,
    }
    settings |= {"xtick.color": ink, "ytick.color": ink, "grid.color": faint, "font.size": 10}
    settings |= {"font.family": "sans-serif"}
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.subplots()
        axes.grid(alpha=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.patch.set_alpha(0)
        figure.patch.set_alpha(0)
    return figure, axes


def _svg(figure: Any, salt: str) -> str:
    """The SVG as an element of a page: colours from the theme, unique ids, as wide as the page allows."""
    import matplotlib

    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = file.getvalue()[file.getvalue().index("<svg") :]
    svg = re.sub(r'(?<=\sid=")|(?<=url\(#)|(?<=href="#)', f"{salt}-", svg)
    for name, colour in _STANDS_FOR.items():
        svg = svg.replace(colour, f"var(--{name})")
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r"font-family: [^;]*;", "font-family: system-ui, sans-serif;", svg)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    opening = r'<svg xmlns="http://www.w3.org/2000/svg" viewBox="\1" role="img">'
    return re.sub(r'<svg [^>]*viewBox="([^"]*)"[^>]*>', opening, svg, count=1)
