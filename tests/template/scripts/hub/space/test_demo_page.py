"""A person uses the demo of the default model: with a mouse, only with a keyboard, on a desktop and on a phone."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.template.scripts.hub.space.conftest import DESKTOP, PHONE, Visit
from tests.template.server.live_server import LiveServer, eventually

ENDLESS = "Write a very long story about a captain and his ship, with many chapters."


def _answer(page: Page) -> str:
    return page.locator("#chat [data-testid=bot]").last.inner_text()


def _set(page: Page, name: str, value: str) -> None:
    page.locator(f"#input-{name}").locator("input, textarea").fill(value)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_an_answer_streams_and_can_be_stopped(
    visit: Visit, demo: str, openvino_server: LiveServer, size: dict[str, int]
):
    page = visit(demo, size)
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    page.get_by_text("More inputs").click()
    _set(page, "max_tokens", "6000")
    page.locator("#message textarea").fill(ENDLESS)
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#chat [data-testid=bot]")).not_to_be_empty()
    begun = _answer(page)
    eventually(lambda: len(_answer(page)) > len(begun), "more text")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_text("Stopped")).to_be_visible()
    stopped = _answer(page)
    openvino_server.assert_answers()
    assert _answer(page) == stopped
    expect(page.get_by_role("button", name="Send")).to_be_visible()


def test_the_keyboard_alone_is_enough(visit: Visit, demo: str):
    page = visit(demo)
    page.locator("#message textarea").wait_for()
    for _ in range(12):
        if page.evaluate("document.activeElement.closest('#message') !== null"):
            break
        page.keyboard.press("Tab")
    page.keyboard.type("The capital of France is")
    page.keyboard.press("Enter")
    expect(page.locator("#chat-status")).to_contain_text("Done in")
    assert _answer(page)
    page.keyboard.press("Shift+Tab")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText") == "capital of France":
            break
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text("Done in")
    assert "Paris" in page.locator("#output textarea").input_value()


def test_an_example_fills_the_page_and_runs(visit: Visit, demo: str):
    page = visit(demo)
    page.get_by_text("More inputs").click()
    page.get_by_role("button", name="raw completion").click()
    expect(page.locator("#status")).to_contain_text("finish reason length")
    assert "Celsius" in page.locator("#output textarea").input_value()
    assert page.locator("#input-prompt textarea").input_value() == "Water boils at 100 degrees"
    assert page.locator("#input-raw input").is_checked()
    page.get_by_role("button", name="a conversation").click()
    expect(page.locator("#chat-status")).to_contain_text("Done in")
    assert "Rome" in _answer(page)
    assert page.locator("#chat [data-testid=user]").count() == 2
    assert not page.locator("#input-raw input").is_checked()


def test_an_answer_can_be_regenerated_and_undone(visit: Visit, demo: str):
    page = visit(demo)
    message = page.locator("#message textarea")
    message.fill("Say hello.")
    message.press("Enter")
    expect(page.locator("#chat-status")).to_contain_text("Done in")
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("#chat-status")).not_to_contain_text("Done in")
    expect(page.locator("#chat-status")).to_contain_text("Done in")
    assert page.locator("#chat [data-testid=user]").count() == 1
    page.get_by_role("button", name="Undo").click()
    expect(message).to_have_value("Say hello.")
    assert page.locator("#chat [data-testid=bot]").count() == 0


def test_invalid_input_is_refused_on_the_page(visit: Visit, demo: str):
    page = visit(demo)
    alert, message = page.get_by_role("alert"), page.locator("#message textarea")
    message.press("Enter")
    expect(alert).to_have_text("the message is empty: write something first")
    page.get_by_text("More inputs").click()
    _set(page, "temperature", "9")
    message.fill("Hi")
    message.press("Enter")
    expect(alert).to_contain_text(re.compile("temperature: .*5"))
    expect(message).to_have_value("Hi")
    _set(page, "temperature", "")
    _set(page, "template_variables", "{nonsense")
    message.press("Enter")
    expect(alert).to_contain_text("template_variables is not JSON")
    _set(page, "template_variables", "")
    page.get_by_role("tab", name="Single prediction").click()
    page.get_by_role("button", name="Run").click()
    expect(alert).to_have_text("prompt is empty: send a prompt, or messages")
    _set(page, "prompt", "<b>Hi</b> " * 9000)
    page.get_by_role("button", name="Run").click()
    expect(alert).to_contain_text("shorten it")
