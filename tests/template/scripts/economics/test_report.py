"""The report: every figure has a source, it opens offline, and it marks estimates."""

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from models import manifest
from scripts import revenue
from scripts.economics.figures import Figure

PLANS = manifest.PROJECT / "examples" / "plans"
_EMPTY = {"meta", "link", "br", "img", "input"}
_LABELS = {"th", "h1", "h2", "caption", "figcaption", "title", "style"}


class Walk(HTMLParser):
    """Collects the words of a page that contain a digit, with the source named by the nearest element."""

    def __init__(self) -> None:
        super().__init__()
        self._open: list[tuple[str, dict[str, str | None]]] = []
        self.figures: list[tuple[str, str | None]] = []
        self.sources: dict[str, str] = {}
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.loads += [named[key] or "" for key in ("src", "href") if key in named]
        if tag not in _EMPTY:
            self._open.append((tag, named))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [value or "" for key, value in attrs if key in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        tags = [tag for tag, _ in self._open]
        listed = next((named["id"] for tag, named in self._open if tag == "li"), None)
        if listed:
            self.sources[str(listed)] = data.strip()
        elif re.search(r"\d", data) and not _LABELS & {*tags} and tags[-2:] != ["sup", "a"]:
            source = next((named["data-source"] for _, named in reversed(self._open) if "data-source" in named), None)
            self.figures.append((data.strip(), source))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the plan with costs, in euros and in German format."""
    out = tmp_path_factory.mktemp("report")
    options = ["--currency", "EUR", "--rate", "0.9", "--rate-source", "a bank, 2026-11-27", "--locale", "de_DE"]
    assert revenue.main([str(PLANS / "with-costs.yaml"), "--out", str(out), "--draws", "2000", *options]) == 0
    return out


@pytest.fixture(scope="module")
def walk(folder: Path) -> Walk:
    found = Walk()
    found.feed((folder / "report.html").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def figures(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "figures.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def test_every_figure_of_the_page_has_a_source_in_its_list(walk: Walk) -> None:
    assert len(walk.figures) > 150
    without = [words for words, source in walk.figures if source is None]
    assert without == []
    unknown = {source for _, source in walk.figures if source and not walk.sources.get(source)}
    assert unknown == set()


def test_every_row_of_the_csv_and_json_has_a_source(folder: Path, figures: list[dict[str, Any]]) -> None:
    with open(folder / "figures.csv", newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert len(figures) == len(lines) > 100
    assert all(one["source"] for one in [*figures, *lines])
    assert [one["value"] for one in figures] == [float(one["value"]) for one in lines]


def test_a_figure_without_a_source_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="without a source"):
        Figure(1.0, "money", "")


def test_money_is_in_the_requested_currency_and_locale(figures: list[dict[str, Any]], walk: Walk) -> None:
    numbers = [one for one in figures if one["table"] == "Every number of the plan"]
    store = next(one for one in numbers if one["row"] == "Share of a store: price")
    assert (store["unit"], store["low"], store["value"], store["high"]) == ("EUR", 180, 540, 900)  # 0.9 of US$
    shown = [words.replace("\xa0", " ") for words, _ in walk.figures]
    assert "540,00 € (180,00 € to 900,00 €)" in shown
    assert not any(re.search(r"\$\d", words) for words in shown)
    assert "a bank, 2026-11-27" in walk.sources.values()


def test_every_table_marks_estimates(figures: list[dict[str, Any]], walk: Walk) -> None:
    costs = [one for one in figures if one["table"].startswith("What 1,000 predictions cost")]
    costs = [one for one in costs if one["column"] not in ("at once", "idle")]
    assert costs
    assert all(one["estimate"] == ("seconds: estimate" in one["source"]) for one in costs)
    shown = [words for words, source in walk.figures if source and "seconds: estimate" in walk.sources[source]]
    money = [words for words in shown if "€" in words]
    assert money
    assert all("estimate" in words for words in money)


def test_the_page_opens_offline_and_every_picture_follows_the_theme(folder: Path, walk: Walk) -> None:
    assert walk.loads
    assert all(target.startswith("#") for target in walk.loads)
    page = (folder / "report.html").read_text(encoding="utf-8")
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))
    names = {"income", "tornado", "funnel", "price-against-margin", "cost-by-hardware"}
    assert {path.stem for path in folder.glob("*.svg")} == names
    assert page.count("<svg") == len(names)
    for name in names:
        svg = (folder / f"{name}.svg").read_text(encoding="utf-8")
        assert ElementTree.fromstring(svg).get("viewBox")
        assert "prefers-color-scheme:dark" in svg
        assert not re.search(r"(fill|stroke): (#|black)", svg), name


def test_the_same_plan_and_seed_make_the_same_report(folder: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert revenue.main([str(PLANS / "sketch.yaml"), "--out", str(tmp_path / name), "--draws", "500"]) == 0
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_the_report_of_a_plan_without_ranges_says_that_nothing_is_uncertain(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "title: Sure\ndate: 2026-11-01\n"
        "channels:\n- {name: Jobs, kind: consulting, volume: 2, price: 2000, source: me}\n"
    )
    assert revenue.main([str(plan), "--out", str(tmp_path / "out"), "--draws", "100"]) == 0
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())
    first = {one["column"]: one["value"] for one in figures if one["row"] == "the first month"}
    assert first["least"] == first["median"] == first["90th percentile"] == 4000
    assert first["chance of a loss"] == 0
    assert "Nothing: no number of the plan has a range." in (tmp_path / "out" / "report.html").read_text()


def test_names_with_special_characters_are_shown_as_text(tmp_path: Path) -> None:
    plan, name = tmp_path / "plan.yaml", "Pro $9 to $19 <script>&"
    numbers = "volume: {low: 1, high: 2}, price: 9, conversion: 0.5, source: me}"
    channels = [f"- {{name: '{name}{more}', kind: subscriptions, {numbers}\n" for more in ("", " 2")]
    plan.write_text(f"title: Signs\ndate: 2026-11-01\nchannels:\n{''.join(channels)}")
    assert revenue.main([str(plan), "--out", str(tmp_path / "out"), "--draws", "100"]) == 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    drawn = "".join(ElementTree.fromstring((tmp_path / "out" / "tornado.svg").read_text(encoding="utf-8")).itertext())
    assert f"{name}: volume" in drawn
    assert {path.stem for path in (tmp_path / "out").glob("funnel*")} == {"funnel", "funnel-2"}
    ids = re.findall(r'\sid="([^"]*)"', page)
    assert len(ids) == len(set(ids))


def test_a_wrong_plan_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("title: [")
    assert revenue.main([str(plan)]) == 1
    assert capsys.readouterr().err.startswith(f"{plan} is not YAML: ")
    assert revenue.main([""]) == 2
    assert "which plan? make revenue PLAN=" in capsys.readouterr().err
