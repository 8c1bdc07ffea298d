"""The page: a chat if the class takes one, a form of all inputs, code for the current inputs, and examples."""

from pathlib import Path
from typing import Any

import gradio as gr

from . import snippets, words
from .chat import Chat, conversation
from .cog_server import CogServer
from .facts import Facts
from .form import Form
from .inputs import InputError, collect, component, main_fields, shown_for
from .outputs import HOUR
from .own_server import OwnServer
from .prediction import Service
from .replicate import Replicate

_WAITING_PER_SLOT = 4  # requests that may wait for each slot; one more is refused because the queue is full
_CHAT, _FORM, _CODE = "chat", "form", "code"


def launch(facts: Facts, folder: Path, **options: Any) -> gr.Blocks:
    """Serve the page; `folder`: of the Space, with the model's files; `options`: of Blocks.launch."""
    page = Page(facts, service_of(facts, folder)).blocks
    page.queue(max_size=_WAITING_PER_SLOT * facts.slots, default_concurrency_limit=facts.slots, api_open=False)
    style = Path(__file__).parent / "style.css"
    page.launch(theme=_theme(), css_paths=style, footer_links=["gradio", "settings"], ssr_mode=False, **options)
    return page


def _theme() -> gr.Theme:
    """Plain, in light and dark, with the fonts of the reader's machine."""
    fonts = ("ui-sans-serif", "system-ui", "sans-serif")
    theme = gr.themes.Base(primary_hue="indigo", neutral_hue="slate", radius_size="lg", font=fonts)
    return theme.set(
        body_background_fill="*neutral_50",
        block_background_fill="white",
        block_border_width="1px",
        block_shadow="0 1px 2px rgb(15 23 42 / 0.05)",
        body_text_color_subdued="*neutral_500",
        block_info_text_color="*neutral_500",
        block_title_text_color="*neutral_700",
        block_title_text_weight="600",
        input_background_fill="white",
        input_border_width="1px",
        input_placeholder_color="*neutral_500",
        block_label_text_weight="600",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_text_color="white",
    )


def service_of(facts: Facts, folder: Path) -> Service:
    if facts.what == "own":
        return OwnServer(folder, facts.server, facts.streams)
    return CogServer(facts.what, facts.streams) if facts.what.startswith("http") else Replicate(facts.what)


class Page:
    """The components and their events. `blocks`: the page, not served yet."""

    def __init__(self, facts: Facts, service: Service) -> None:
        self._facts, self._service = facts, service
        self._fields = [field for field in facts.fields if not (facts.has_chat and field.name == "messages")]
        main = [field.name for field in main_fields(self._fields, facts.examples)]
        self._more = [field for field in self._fields if field.name not in main]
        self._inputs = {field.name: component(field, field.name in main) for field in self._fields}
        with gr.Blocks(title=facts.title, analytics_enabled=False, delete_cache=(HOUR, HOUR)) as self.blocks:
            self._make([self._inputs[name] for name in main])
            self._listen()

    def _make(self, main: list[Any]) -> None:
        """The layout, from top to bottom."""
        facts = self._facts
        gr.HTML(words.header(facts), elem_id="header")
        self._mode = gr.State(_CHAT if facts.has_chat else _FORM)
        with gr.Tabs(elem_id="tabs") as self._tabs:
            if facts.has_chat:
                with gr.Tab("Chat", id=_CHAT) as self._chat_tab:
                    self._chat = Chat(facts.title, self._service, self._more)
            with gr.Tab("Single prediction" if facts.has_chat else "Try it", id=_FORM) as self._form_tab:
                self._form = Form(facts, self._service, self._fields, main)
            with gr.Tab("Code", id=_CODE) as self._code_tab:
                self._code = [
                    gr.Code(language=language, label=label, interactive=False, wrap_lines=True, elem_id=f"code-{label}")
                    for language, label in (("python", "python"), ("javascript", "javascript"), ("shell", "curl"))
                ]
        self._examples = gr.Dataset(
            components=[gr.Textbox(visible=False)],
            samples=[[example.name] for example in facts.examples],
            type="index",
            label="Examples",
            visible=bool(facts.examples),
            elem_id="examples",
        )
        if self._more:
            with gr.Accordion("More inputs", open=False, elem_id="more"), gr.Row():
                for field in self._more:
                    self._inputs[field.name].render()

    def _listen(self) -> None:
        every = list(self._inputs.values())
        quiet = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
        written = [self._tabs, self._mode, *every]
        if self._facts.has_chat:
            written += [self._chat.message, self._chat.history]
            self._chat_tab.select(lambda: _CHAT, None, self._mode, **quiet)
        self._form_tab.select(lambda: _FORM, None, self._mode, **quiet)
        picked = self._examples.click(self._pick, self._examples, written, **quiet)
        self._form.listen(every, picked, self._mode)
        shown = [self._mode, *every]
        if self._facts.has_chat:
            self._chat.listen([self._inputs[field.name] for field in self._more], picked, self._mode)
            shown += [self._chat.message, self._chat.history]
        self._code_tab.select(self._write_code, shown, self._code, **quiet)
        for field in self._more:
            one = self._inputs[field.name]
            has_settled = one.blur if isinstance(one, gr.Textbox | gr.Number) else one.change
            has_settled(self._write_code, shown, self._code, **quiet)

    def _pick(self, index: int) -> list[Any]:
        """Show an example: a conversation in the chat, anything else in the form."""
        example = self._facts.examples[index].input
        values = shown_for(self._fields, example)
        if not self._facts.has_chat:
            return [gr.Tabs(selected=_FORM), _FORM, *values]
        if "messages" not in example:
            return [gr.Tabs(selected=_FORM), _FORM, *values, gr.skip(), gr.skip()]
        *earlier, last = example["messages"]
        return [gr.Tabs(selected=_CHAT), _CHAT, *values, last["content"], earlier]

    def _write_code(self, mode: str, *values: Any) -> list[str]:
        """The code for the current inputs; if they cannot be sent, the reason."""
        shown = values[: len(self._fields)]
        try:
            inputs = collect(self._fields, shown)
        except InputError as error:
            return [f"# {error}", f"// {error}", f"# {error}"]
        if mode == _CHAT:
            message, history = values[len(self._fields) :]
            more = {field.name for field in self._more}
            inputs = {name: value for name, value in inputs.items() if name in more}
            inputs = {"messages": _asked(message, conversation(history)), **inputs}
        return snippets.write(self._facts, self._service.example_address, inputs)


def _asked(message: str, history: list[dict[str, str]]) -> list[dict[str, str]]:
    """The conversation that the chat would send, or has just sent."""
    if message.strip():
        return [*history, {"role": "user", "content": message}]
    last = max((number for number, one in enumerate(history) if one["role"] == "user"), default=-1)
    return history[: last + 1] or [{"role": "user", "content": "Hello!"}]
