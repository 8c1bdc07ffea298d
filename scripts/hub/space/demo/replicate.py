"""Predictions on Replicate, through its HTTP API: https://replicate.com/docs/reference/http

The package `replicate` is not used: its client 1.0.7 refuses the documented status `aborted`, and its reader of event
streams drops the rest of a text after a U+2028.
"""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from httpx_sse import EventSource, SSEError

from .cog_server import without_prefix, words
from .prediction import Prediction, Refusal, data_uri

TOKEN = "REPLICATE_API_TOKEN"
_ENDED = ("succeeded", "failed", "canceled", "aborted")
_LARGEST_DATA_URI = (
    256_000  # bytes; larger files are uploaded. https://replicate.com/docs/topics/predictions/input-files
)
_PAUSE = 0.5  # seconds
_ADVICE = {
    401: f"Replicate does not know the token in {TOKEN}",
    402: "Replicate needs a payment first",
    404: "Replicate has no such model or deployment, or the token may not see it",
    429: "Replicate's rate limit was reached: try again in a minute",
}


class Replicate:
    """`what`: deployment:OWNER/NAME, OWNER/NAME:VERSION, or OWNER/NAME of an official model.

    The token comes from the variable REPLICATE_API_TOKEN.
    """

    def __init__(self, what: str) -> None:
        self.example_address = self._api = os.environ.get("REPLICATE_BASE_URL") or "https://api.replicate.com"
        self._what = what

    async def uri(self, path: Path) -> str:
        if path.stat().st_size <= _LARGEST_DATA_URI:
            return data_uri(path)
        async with self._client() as client:
            answer = await client.post("/v1/files", files={"content": (path.name, path.read_bytes())})
            return str(_accepted(answer)["urls"]["get"])

    async def run(self, inputs: dict[str, Any]) -> AsyncGenerator[Prediction, None]:
        async with self._client() as client:
            created: dict[str, Any] = {}
            has_ended = False
            try:
                created = await self._create(client, inputs)
                async for prediction in self._follow(client, created):
                    has_ended = prediction.has_ended
                    yield prediction
            except (httpx.HTTPError, ValueError, KeyError) as error:
                raise Refusal(f"the connection to Replicate broke ({words(error)})") from error
            finally:
                if created and not has_ended:
                    with suppress(httpx.HTTPError):
                        await client.post(f"/v1/predictions/{created['id']}/cancel")

    def _client(self) -> httpx.AsyncClient:
        if not os.environ.get(TOKEN):
            raise Refusal(f"{TOKEN} is not set: it is a secret of the Space's settings, or a variable on your machine")
        headers = {"Authorization": f"Bearer {os.environ[TOKEN]}"}
        return httpx.AsyncClient(base_url=self._api, headers=headers, timeout=60)

    async def _create(self, client: httpx.AsyncClient, inputs: dict[str, Any]) -> dict[str, Any]:
        path, body = route(self._what)
        return _accepted(await client.post(path, json={**body, "input": inputs}))

    async def _follow(self, client: httpx.AsyncClient, state: dict[str, Any]) -> AsyncGenerator[Prediction, None]:
        """Follow its event stream if it has one, and poll it otherwise."""
        has_streamed = False
        while state["status"] not in _ENDED:
            if state["status"] == "processing" and "stream" in state["urls"] and not has_streamed:
                has_streamed = True
                async for text in _pieces(state["urls"]["stream"]):
                    yield Prediction(output=text)
            else:
                note = "Replicate starts a machine" if state["status"] == "starting" else "Running"
                yield Prediction(note=note, output=state.get("output"))
                await asyncio.sleep(_PAUSE)
            state = _accepted(await client.get(f"/v1/predictions/{state['id']}"))
        error = without_prefix(state.get("error") or f"it was {state['status']}")
        yield Prediction(
            output=state.get("output"),
            error="" if state["status"] == "succeeded" else error,
            metrics=state.get("metrics") or {},
            has_ended=True,
        )


def route(what: str) -> tuple[str, dict[str, str]]:
    """Where a prediction is created, and the fields of its body besides the input."""
    if what.startswith("deployment:"):
        return f"/v1/deployments/{what.partition(':')[2]}/predictions", {}
    model, _, version = what.partition(":")
    return ("/v1/predictions", {"version": version}) if version else (f"/v1/models/{model}/predictions", {})


async def _pieces(url: str) -> AsyncGenerator[str, None]:
    """The text so far, longer each time. A stream that breaks ends early, because polling gets the rest.

    The stream is on another host and needs no token. https://replicate.com/docs/topics/predictions/streaming
    """
    text = ""
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    try:
        async with httpx.AsyncClient(timeout=60) as client, client.stream("GET", url, headers=headers) as response:
            async for event in EventSource(response).aiter_sse():
                if event.event in ("error", "done"):
                    return
                if event.event == "output":
                    text += event.data
                    yield text
    except (httpx.TransportError, SSEError):
        return


def _accepted(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_success:
        accepted: dict[str, Any] = answer.json()
        return accepted
    try:
        detail = str(answer.json().get("detail") or "")
    except ValueError:
        detail = ""
    lines = [line.removeprefix("- input.").removeprefix("- ") for line in detail.splitlines() if line.startswith("- ")]
    raise Refusal(
        "\n".join(lines) or _ADVICE.get(answer.status_code) or f"Replicate answers {answer.status_code}: {detail}"
    )
