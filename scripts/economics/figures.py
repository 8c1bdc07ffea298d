"""Figures and the tables of a report: every figure has a source. Printed, and written as CSV and JSON."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from scripts.cli import console
from scripts.economics.money import Money
from scripts.hardware.price_list import Range

Kind = Literal["money", "count", "share", "seconds", "factor"]


@dataclass(frozen=True)
class Figure:
    """A number. `kind`: money is US$, share is 0 to 1; `low`, `high`: its range where it has one."""

    value: float
    kind: Kind
    source: str
    low: float | None = None
    high: float | None = None
    is_estimate: bool = False

    def __post_init__(self) -> None:
        if not self.source:
            raise ValueError("a figure without a source")

    def shown(self, money: Money) -> str:
        """As people read it, with its range, and marked if it is an estimate."""
        text = _text(self.value, self.kind, money)
        if self.low is not None and self.high is not None:
            low, high = _text(self.low, self.kind, money), _text(self.high, self.kind, money)
            text = text if low == high else f"{text} ({low} to {high})"
        return f"{text}, estimate" if self.is_estimate else text


def of_range(found: Range, kind: Kind, source: str, is_estimate: bool = False) -> Figure:
    return Figure(found.middle, kind, source, found.low, found.high, is_estimate)


@dataclass(frozen=True)
class Note:
    text: str
    source: str


@dataclass(frozen=True)
class Table:
    """Each row is a name and its cells; a cell is a figure or text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Figure | str]]]


@dataclass(frozen=True)
class Picture:
    """A chart as SVG; `name`: of its file."""

    name: str
    title: str
    svg: str
    source: str


@dataclass(frozen=True)
class Section:
    title: str
    notes: Sequence[Note] = field(default_factory=list)
    pictures: Sequence[Picture] = field(default_factory=list)
    tables: Sequence[Table] = field(default_factory=list)


def rows(sections: Sequence[Section], money: Money) -> Iterator[dict[str, Any]]:
    """Every figure as a flat row, not rounded; money in the report's currency."""
    for section in sections:
        for table in section.tables:
            for name, cells in table.rows:
                for column, cell in zip(table.columns[1:], cells, strict=True):
                    if isinstance(cell, Figure):
                        yield {
                            "section": section.title,
                            "table": table.title,
                            "row": name,
                            "column": column,
                            "unit": money.currency if cell.kind == "money" else cell.kind,
                            **{key: _number(getattr(cell, key), cell.kind, money) for key in ("value", "low", "high")},
                            "estimate": cell.is_estimate,
                            "source": cell.source,
                        }


def to_csv(sections: Sequence[Section], money: Money) -> str:
    found = list(rows(sections, money))
    text = io.StringIO()
    writer = csv.DictWriter(text, list(found[0]) if found else ["section"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(found)
    return text.getvalue()


def to_json(sections: Sequence[Section], money: Money) -> str:
    return json.dumps(list(rows(sections, money)), indent=1, ensure_ascii=False)


def print_section(section: Section, money: Money, as_json: bool) -> None:
    """Print a section, for people or as JSON for programs."""
    if as_json:
        print(to_json([section], money))
    else:
        show([section], money)


def show(sections: Sequence[Section], money: Money) -> None:
    """Print notes and tables; the cell of an estimate says so."""
    from rich.table import Table as RichTable

    stdout = console.stdout()
    for section in sections:
        for note in section.notes:
            stdout.print(note.text, soft_wrap=True)
        for table in section.tables:
            printed = RichTable(*table.columns, title=table.title, title_justify="left", box=None)
            for name, cells in table.rows:
                shown = [cell.shown(money) if isinstance(cell, Figure) else cell for cell in cells]
                printed.add_row(name, *shown)
            stdout.print(printed, "")


def _text(value: float, kind: Kind, money: Money) -> str:
    if kind == "money":
        return money.shown(value)
    if kind == "share":
        return money.percent(value)
    if kind == "seconds":
        return money.seconds(value)
    return money.number(value, 0 if kind == "count" else 2)


def _number(value: float | None, kind: Kind, money: Money) -> float | None:
    return money.converted(value) if kind == "money" and value is not None else value
