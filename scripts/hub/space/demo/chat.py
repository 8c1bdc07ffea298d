"""The chat of a class with the input `messages`."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import gradio as gr

from . import words
from .facts import Field
from .following import BUSY, FREE, SAME, Stops, follow
from .inputs import InputError, collect
from .outputs import joined
from .prediction import Service

Message = dict[str, str]


class Chat:
    """The conversation so far and the next message. `fields`: the inputs that are sent with `messages`."""

    def __init__(self, title: str, service: Service, fields: list[Field]) -> None:
        self._service, self._fields, self._stops = service, fields, Stops()
        self.history = gr.Chatbot(
            label=title,
            height="min(58vh, 30rem)",
            placeholder=f"<strong>{title}</strong><br>Say something, or pick an example below.",
            elem_id="chat",
            layout="bubble",
            buttons=["copy", "copy_all"],
            feedback_options=None,
        )
        with gr.Row(elem_id="write"):
            self.message = gr.Textbox(
                label="Message",
                show_label=False,
                container=False,
                placeholder="Write a message",
                lines=1,
                max_lines=8,
                autofocus=True,
                elem_id="message",
            )
            self._send = gr.Button("Send", variant="primary", scale=0, min_width=96, elem_id="send")
            self._stop = gr.Button("Stop", variant="stop", scale=0, min_width=96, visible=False, elem_id="stop-chat")
        self._status = gr.HTML(elem_id="chat-status")
        self._shown = [self._send, self._stop, self._status, self.message, self.history]

    def listen(self, inputs: list[Any], picked: Any, mode: Any) -> None:
        """Answer a message that is sent, retried, or `picked` as an example for the chat; `inputs`: of `fields`."""
        options = {"show_progress": "hidden", "api_visibility": "private"}
        sent = [self.message, self.history, *inputs]
        written = [self.message, self.history]
        again = self.history.retry(self._before, self.history, written, **options)
        gr.on([self.message.submit, self._send.click], self._answer, sent, self._shown, **options)
        again.then(self._answer, sent, self._shown, **options)
        picked.then(self._answer_picked, [mode, *sent], self._shown, **options)
        self.history.undo(self._before, self.history, written, **options)
        self._stop.click(self._stops.press, queue=False, **options)

    async def _answer_picked(self, visitor: gr.Request, mode: str, *values: Any) -> AsyncGenerator[list[Any], None]:
        if mode != "chat":
            yield [gr.skip() for _ in self._shown]
            return
        async with aclosing(self._answer(visitor, *values)) as answering:
            async for shown in answering:
                yield shown

    async def _answer(
        self, visitor: gr.Request, text: str, history: list[Any], *values: Any
    ) -> AsyncGenerator[list[Any], None]:
        """The history with the answer as it arrives. A message without one goes back into the input box."""
        earlier = conversation(history)
        asked = [*earlier, {"role": "user", "content": text}]
        try:
            if not text.strip():
                raise InputError("the message is empty: write something first")
            inputs = {"messages": asked, **collect(self._fields, values)}
        except InputError as error:
            yield [gr.skip(), gr.skip(), words.error(str(error)), gr.skip(), gr.skip()]
            return
        yield [*BUSY, words.starting(), "", asked]
        async with aclosing(follow(self._service, self._fields, inputs, self._stops, visitor)) as following:
            async for prediction, status in following:
                buttons, answer = FREE if prediction.has_ended else SAME, joined(prediction.output)
                if prediction.error and not answer:
                    yield [*buttons, status, text, earlier]
                else:
                    answers = [{"role": "assistant", "content": answer}] if answer else []
                    yield [*buttons, status, gr.skip(), [*asked, *answers]]

    def _before(self, history: list[Any], at: gr.EventData) -> list[Any]:
        """A message of the user, and the conversation before it."""
        earlier = conversation(history)
        return [earlier[at.index]["content"], earlier[: at.index]]


def conversation(history: list[Any]) -> list[Message]:
    """The messages of the chat in the model's format; Gradio keeps a text as a list of parts."""
    return [{"role": message["role"], "content": _text(message["content"])} for message in history or []]


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(_text(part) for part in content)
    return str(content.get("text", "")) if isinstance(content, dict) else str(content)
