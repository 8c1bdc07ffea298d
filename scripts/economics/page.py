"""Writes a report: one HTML page that opens offline, its figures as CSV and JSON, and its pictures as files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from scripts.economics import figures, pictures
from scripts.economics.figures import Figure, Section
from scripts.economics.money import Money

_TEMPLATE = Path(__file__).with_name("report.html.j2")


def write(title: str, sections: Sequence[Section], money: Money, folder: Path) -> Path:
    """Write report.html, figures.csv, figures.json and each picture into `folder`; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "report.html"
    page.write_text(html(title, sections, money), encoding="utf-8")
    (folder / "figures.csv").write_text(figures.to_csv(sections, money), encoding="utf-8")
    (folder / "figures.json").write_text(figures.to_json(sections, money) + "\n", encoding="utf-8")
    for section in sections:
        for picture in section.pictures:
            (folder / f"{picture.name}.svg").write_text(pictures.alone(picture.svg), encoding="utf-8")
    return page


def html(title: str, sections: Sequence[Section], money: Money) -> str:
    from jinja2 import Environment, StrictUndefined

    numbers = {source: number for number, source in enumerate(dict.fromkeys(_sources(sections)), start=1)}
    template = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string(_TEMPLATE.read_text(encoding="utf-8"))
    themes = {"light": pictures.variables(pictures.LIGHT), "dark": pictures.variables(pictures.DARK)}
    return template.render(title=title, sections=sections, money=money, numbers=numbers, **themes)


def _sources(sections: Sequence[Section]) -> Iterator[str]:
    """In the order in which the page names them."""
    for section in sections:
        yield from (note.source for note in section.notes)
        yield from (picture.source for picture in section.pictures)
        for table in section.tables:
            yield from (cell.source for _, cells in table.rows for cell in cells if isinstance(cell, Figure))
