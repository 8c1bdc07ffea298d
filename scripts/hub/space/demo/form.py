"""The form: the inputs of one prediction, and its output."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import gradio as gr

from . import words
from .facts import Facts, Field
from .following import BUSY, FREE, SAME, Stops, follow
from .inputs import InputError, collect
from .outputs import Output
from .prediction import Service


class Form:
    """`main`: the components of the inputs that are shown first."""

    def __init__(self, facts: Facts, service: Service, fields: list[Field], main: list[Any]) -> None:
        self._service, self._fields, self._stops = service, fields, Stops()
        with gr.Row(equal_height=False):
            with gr.Column(min_width=320):
                for one in main:
                    one.render()
                self._run = gr.Button("Run", variant="primary", elem_id="run")
                self._stop = gr.Button("Stop", variant="stop", visible=False, elem_id="stop")
            with gr.Column(min_width=320):
                self._output = Output(facts.display)
                self._status = gr.HTML(elem_id="status")
        self._shown = [self._run, self._stop, self._status, *self._output.components]

    def listen(self, inputs: list[Any], picked: Any, mode: Any) -> None:
        """Run when the button is pressed, or when an example was `picked` for this form."""
        options = {"show_progress": "hidden", "api_visibility": "private"}
        self._run.click(self._predict, inputs, self._shown, **options)
        picked.then(self._predict_picked, [mode, *inputs], self._shown, **options)
        self._stop.click(self._stops.press, queue=False, **options)

    async def _predict_picked(self, visitor: gr.Request, mode: str, *values: Any) -> AsyncGenerator[list[Any], None]:
        if mode != "form":
            yield [gr.skip() for _ in self._shown]
            return
        async with aclosing(self._predict(visitor, *values)) as predicting:
            async for shown in predicting:
                yield shown

    async def _predict(self, visitor: gr.Request, *values: Any) -> AsyncGenerator[list[Any], None]:
        try:
            inputs = collect(self._fields, values)
        except InputError as error:
            yield [gr.skip(), gr.skip(), words.error(str(error)), *self._output.show(None)]
            return
        yield [*BUSY, words.starting(), *self._output.show(None)]
        async with aclosing(follow(self._service, self._fields, inputs, self._stops, visitor)) as following:
            async for prediction, status in following:
                output = self._output.show(prediction.output) if prediction.output is not None else self._output.kept()
                yield [*(FREE if prediction.has_ended else SAME), status, *output]
