"""Predictions on a Cog server, by Cog's own HTTP: https://cog.run/http"""

import asyncio
import json
import random
import uuid
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
from httpx_sse import EventSource, SSEError

from .prediction import Prediction, Refusal, data_uri

_PAUSE = 0.3  # seconds
_TRIES_TO_CANCEL = 10
_UNWELL = {"SETUP_FAILED": "the model could not be loaded", "UNHEALTHY": "the model has failed for good"}
_UNWELL["DEFUNCT"] = "the server's worker has died"


class CogServer:
    """A Cog server at `address`. `streams`: whether its class sends pieces."""

    def __init__(self, address: str, streams: bool) -> None:
        self.address = self.example_address = address.rstrip("/")
        self._streams = streams

    async def uri(self, path: Path) -> str:
        return data_uri(path)

    async def run(self, inputs: dict[str, Any]) -> AsyncGenerator[Prediction, None]:
        id = uuid.uuid4().hex
        async with self._client() as client:
            prediction = Prediction()
            try:
                async for note in self._until_ready(client):
                    yield Prediction(note=note)
                while not prediction.has_ended:
                    async for prediction in self._attempt(client, id, inputs):
                        yield prediction
                    if (
                        not prediction.has_ended
                    ):  # every slot is taken: wait a random time, so that not all retry at once
                        await asyncio.sleep(_PAUSE * (1 + random.random()))
            except (httpx.HTTPError, SSEError, ValueError, KeyError) as error:
                raise Refusal(f"the connection to the model's server broke ({words(error)})") from error
            finally:
                if not prediction.has_ended:
                    await self._cancel(client, id)

    def _client(self) -> httpx.AsyncClient:
        is_here = httpx.URL(self.address).host in ("localhost", "127.0.0.1", "::1")
        timeout = httpx.Timeout(10, read=None)
        return httpx.AsyncClient(base_url=self.address, timeout=timeout, trust_env=not is_here)

    async def _until_ready(self, client: httpx.AsyncClient) -> AsyncGenerator[str, None]:
        while True:
            health = (await client.get("/health-check")).json()
            if health["status"] in _UNWELL:
                raise Refusal(f"{_UNWELL[health['status']]}: {_reason(health)}")
            if health["status"] != "STARTING":
                return
            yield "The model is being loaded"
            await asyncio.sleep(_PAUSE)

    async def _attempt(
        self, client: httpx.AsyncClient, id: str, inputs: dict[str, Any]
    ) -> AsyncGenerator[Prediction, None]:
        headers = {"Accept": "text/event-stream"} if self._streams else {}
        request = client.stream("PUT", f"/predictions/{id}", json={"input": inputs}, headers=headers)
        async with request as response:
            if response.status_code == 409:
                yield Prediction(note="All slots are taken: waiting for one")
                return
            if response.status_code != 200:
                raise Refusal(_refusal(response.status_code, await response.aread()))
            if not self._streams:
                yield _ended(json.loads(await response.aread()))
                return
            async for prediction in _followed(response):
                yield prediction

    async def _cancel(self, client: httpx.AsyncClient, id: str) -> None:
        """Cancel until the server no longer knows the prediction: it can lose a cancel that arrives at its start."""
        for _ in range(_TRIES_TO_CANCEL):
            try:
                if (await client.post(f"/predictions/{id}/cancel")).status_code != 200:
                    return
            except httpx.HTTPError:
                return
            await asyncio.sleep(_PAUSE)


async def _followed(response: httpx.Response) -> AsyncGenerator[Prediction, None]:
    """The prediction from an event stream with the events start, output, log, metric and completed."""
    output: list[Any] = []
    yield Prediction(note="Started")
    async for event in EventSource(response).aiter_sse():
        if event.event == "output":
            output.append(event.json()["chunk"])
            yield Prediction(output=output)
        elif event.event == "completed":
            yield _ended({"output": output} | event.json())
            return
    raise Refusal("the model's server ended the stream before the prediction was complete")


def _ended(prediction: dict[str, Any]) -> Prediction:
    output, status = prediction.get("output"), prediction["status"]
    if status == "canceled":
        return Prediction(error="the prediction was cancelled", output=output, has_ended=True)
    error = without_prefix(prediction.get("error") or "it failed") if status != "succeeded" else ""
    return Prediction(output=output, error=error, metrics=prediction.get("metrics") or {}, has_ended=True)


def without_prefix(error: str) -> str:
    """An exception's message without Cog's prefix: its own words and the exception's name."""
    return error.partition("Error: ")[2] or error


def _refusal(status: int, body: bytes) -> str:
    """A line for each wrong input."""
    try:
        answer = json.loads(body)
    except ValueError:
        return f"the model's server answers {status}"
    detail = answer.get("detail", answer.get("error", answer)) if isinstance(answer, dict) else answer
    if isinstance(detail, list):
        return "\n".join(f"{problem['loc'][-1]}: {problem['msg']}" for problem in detail)
    return f"the model's server answers {status}: {detail}"


def _reason(health: dict[str, Any]) -> str:
    lines = ((health.get("setup") or {}).get("logs") or "").strip().splitlines()
    errors = [line for line in lines if "Error: " in line] or lines
    return without_prefix(errors[-1]) if errors else health.get("user_healthcheck_error") or "see its log"


def words(error: Exception) -> str:
    """The message of an error, or its kind: some errors of a connection have no message."""
    return str(error) or type(error).__name__
