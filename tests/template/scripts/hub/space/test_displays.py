"""Outputs of every form on the page: small classes in Cog's real server return images, sound, scores and lists."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import expect

from models import manifest
from scripts.hub.space import facts
from scripts.hub.space.demo.facts import Example, Facts
from tests.serving import serving_class
from tests.template.scripts.hub.space.conftest import Visit

CLASSES = {
    "Painter": """
import wave
from cog import BasePredictor, Input, Path

class Painter(BasePredictor):
    def predict(self, image: Path, copies: int = Input(default=2, ge=1, le=4)) -> list[Path]:
        sound = wave.open("sound.wav", "wb")
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
        sound.close()
        open("notes.txt", "w").write("drawn")
        for number in range(copies):
            Path(f"{number}.png").write_bytes(image.read_bytes() + bytes([number]))
        return [Path(f"{number}.png") for number in range(copies)] + [Path("sound.wav"), Path("notes.txt")]
""",
    "Judge": """
from cog import BasePredictor, Input, BaseModel

class Score(BaseModel):
    label: str
    score: float

class Judge(BasePredictor):
    def predict(self, text: str) -> list[list[Score]]:
        if text == "nothing":
            raise ValueError("there is nothing to judge")
        goods = [0.9 if "良" in line else 0.1 for line in text.splitlines()]
        return [[Score(label="肯定", score=good), Score(label="否定", score=1 - good)] for good in goods]
""",
    "Clerk": """
from cog import BasePredictor, Input, BaseModel

class Row(BaseModel):
    name: str
    size: int

class Clerk(BasePredictor):
    def predict(self, names: list[str]) -> list[Row]:
        return [Row(name=name, size=len(name)) for name in names]
""",
}
JAPANESE = ["この映画はとても良い。", "この料理はまずい。", "店員さんの感じが良い。"]
Demo = Callable[..., str]


@pytest.fixture
def demo_of(show: Callable[..., str], tmp_path: Path) -> Iterator[Demo]:
    """Serves a class in Cog's server, and its page; returns the page's address."""
    with ExitStack() as until_the_end:

        def serve(name: str, *examples: dict[str, Any]) -> str:
            address, _ = until_the_end.enter_context(serving_class(CLASSES[name], tmp_path))
            return show(_facts(address, examples))

        yield serve


def _facts(address: str, examples: tuple[dict[str, Any], ...]) -> Facts:
    known = facts.of(manifest.selected(), address)
    ours = [Example(name=str(next(iter(one.values()))), input=one) for one in examples]
    return known.model_copy(update={"examples": ours})


def test_files_are_shown_by_their_type(visit: Visit, demo_of: Demo, tmp_path: Path):
    page = visit(demo_of("Painter"))
    page.get_by_text("More inputs").click()
    expect(page.locator("#input-copies input[type=range]")).to_have_attribute("max", "4")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("alert")).to_have_text("image is missing")
    Image.new("RGB", (64, 48), "teal").save(tmp_path / "teal.png")
    page.locator("#input-image input[type=file]").set_input_files(tmp_path / "teal.png")
    expect(page.locator("#input-image img")).to_be_visible()
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#output-images img")).to_have_count(2)
    expect(page.locator("#output-audio")).to_be_visible()
    expect(page.locator("#output-files")).to_contain_text(".txt")
    expect(page.locator("#output-video")).to_be_hidden()
    page.get_by_role("tab", name="Code").click()
    expect(page.locator("#code-python")).to_contain_text("teal")


def test_label_scores_are_shown_for_japanese_examples(visit: Visit, demo_of: Demo):
    page = visit(demo_of("Judge", *({"text": text} for text in JAPANESE)))
    for text, label in zip(JAPANESE, ("肯定", "否定", "肯定"), strict=True):
        page.get_by_role("button", name=text).click()
        expect(page.locator("#input-text textarea")).to_have_value(text)
        expect(page.locator("#output h2")).to_have_text(label)
        expect(page.locator("#output")).to_contain_text("90%")
    page.locator("#input-text textarea").fill("\n".join(JAPANESE))
    page.get_by_role("button", name="Run").click()
    expect(page.locator("#output-table").get_by_text("肯定").last).to_be_visible()
    expect(page.locator("#output")).to_be_hidden()
    page.locator("#input-text textarea").fill("nothing")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("alert")).to_have_text("there is nothing to judge")


def test_rows_are_shown_as_a_table(visit: Visit, demo_of: Demo):
    page = visit(demo_of("Clerk"))
    page.locator("#input-names textarea").fill("Ada\nGrace")
    page.get_by_role("button", name="Run").click()
    for text in ("name", "size", "Ada", "3", "Grace", "5"):
        expect(page.locator("#output").get_by_text(text, exact=True).last).to_be_visible()
