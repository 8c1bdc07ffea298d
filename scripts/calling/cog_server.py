"""A prediction on a Cog server, through Cog's own HTTP API. https://cog.run/http"""

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from models.errors import TemplateError, in_words
from scripts.calling.cancelling import cancel, cancel_once
from scripts.calling.client import Client, PredictionRequest
from scripts.calling.display import Display
from scripts.cli import connection
from scripts.contract import document
from scripts.serving import local_server

_SECONDS_BETWEEN_TRIES = 0.2
_SECONDS_OF_CANCELLING = 2


class _Prediction(BaseModel):
    """The fields of a finished prediction that are read here. https://cog.run/http"""

    model_config = ConfigDict(extra="allow")

    status: str
    logs: str | None = None
    error: str | None = None
    metrics: dict[str, Any] | None = None


class CogServer(Client):
    """A running server at `address`; the constructor waits until it is ready.

    Raises:
        TemplateError: nothing answers there, its setup failed, or it has no schema.
    """

    def __init__(self, address: str) -> None:
        import httpx

        self.address = address.rstrip("/")
        try:
            health = connection.ask("GET", f"{self.address}/health-check", timeout=10)
            if health.status_code == 200 and "json" in health.headers.get("content-type", ""):
                local_server.wait_until_ready(self.address)
            self.document: dict[str, Any] = (
                connection.ask("GET", f"{self.address}/openapi.json", timeout=10).raise_for_status().json()
            )
        except (httpx.HTTPStatusError, json.JSONDecodeError) as error:
            raise TemplateError(
                f"{self.address} has no /openapi.json, so it is not a Cog server made by cog build"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TemplateError(f"no Cog server answers at {self.address} ({error}): make serve starts one") from error
        self._streams = document.parse(self.document)[2]

    def run(self, request: PredictionRequest, display: Display) -> dict[str, Any]:
        id = uuid.uuid4().hex[:16]
        if request.returns_at_once:
            return self._start(id, request)
        try:
            with self._lifetime(id, request.timeout) as is_over:
                while (prediction := self._send(id, request, display)) is None:
                    local_server.check_answers(self.address)
                    if is_over.wait(_SECONDS_BETWEEN_TRIES):
                        return {"id": id, "status": "aborted"}
                    display.status("waiting for a free slot")
        except KeyboardInterrupt:
            cancel([self._url(id)], _SECONDS_OF_CANCELLING)
            display.end_line()
            display.warn(f"cancelled the prediction {id} on {self.address}")
            raise
        return {"id": id} | prediction

    def _url(self, id: str) -> str:
        return f"{self.address}/predictions/{id}"

    def _send(self, id: str, request: PredictionRequest, display: Display) -> dict[str, Any] | None:
        """The finished prediction; None if every slot is taken."""
        import httpx

        url, headers = self._url(id), {"Accept": "text/event-stream"} if self._streams else {}
        try:
            with ExitStack() as stack:
                sending = connection.stream("PUT", url, json=request.body(), headers=headers, timeout=None)
                with display.meanwhile("processing"):
                    response = stack.enter_context(sending)
                if response.status_code == 409:
                    return None
                if response.status_code != 200:
                    raise TemplateError(refusal(response.status_code, response.read()))
                return _followed(response, display) if self._streams else _complete(response.read(), display)
        except httpx.TransportError as error:
            raise TemplateError(f"the connection to {self.address} broke ({connection.reason(error)})") from error
        except (ValueError, KeyError, TypeError) as error:
            raise TemplateError(
                f"{self.address} does not answer like Cog ({in_words(error)}): check which server runs there"
            ) from error

    def _start(self, id: str, request: PredictionRequest) -> dict[str, Any]:
        """Start it without waiting for its end; only a webhook reports the end."""
        import httpx

        try:
            answer = connection.ask(
                "PUT", self._url(id), json=request.body(), headers={"Prefer": "respond-async"}, timeout=60
            )
        except httpx.TransportError as error:
            raise TemplateError(f"the connection to {self.address} broke ({connection.reason(error)})") from error
        if answer.status_code != 202:
            raise TemplateError(refusal(answer.status_code, answer.content))
        return {"id": id, "status": "starting"}

    @contextmanager
    def _lifetime(self, id: str, seconds: int | None) -> Iterator[threading.Event]:
        """An event that is set after `seconds`; the prediction is then cancelled repeatedly until the block ends."""
        is_over, has_ended = threading.Event(), threading.Event()

        def expire() -> None:
            if not has_ended.wait(seconds):
                is_over.set()
            while not has_ended.wait(_SECONDS_BETWEEN_TRIES):
                cancel_once(self._url(id))

        threading.Thread(target=expire, daemon=True).start()
        try:
            yield is_over
        finally:
            has_ended.set()


def refusal(status: int, body: bytes) -> str:
    """The message of a refusal by Cog; a line for each wrong input."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = body.decode(errors="replace")
    detail = answer.get("detail", answer.get("error", answer)) if isinstance(answer, dict) else answer
    if isinstance(detail, list):
        return "\n".join(f"{problem['loc'][-1]}: {problem['msg']}" for problem in detail)
    return f"the server answers {status}: {detail}"


def _followed(response: Any, display: Display) -> dict[str, Any]:
    """The prediction from an event stream with the events start, output, log, metric and completed."""
    from httpx_sse import EventSource

    output: list[Any] = []
    logs = ""
    for event in EventSource(response).iter_sse():
        data = json.loads(event.data)
        if event.event == "output":
            output.append(data["chunk"])
            display.text(data["chunk"] if isinstance(data["chunk"], str) else "")
        elif event.event == "log":
            logs += data["data"]
            display.logs(data["data"])
        elif event.event == "completed":
            return _Prediction.model_validate({"output": output, "logs": logs} | data).model_dump(exclude_unset=True)
    raise TemplateError(f"{urlsplit(str(response.url)).netloc} ended the stream before the prediction was complete")


def _complete(body: bytes, display: Display) -> dict[str, Any]:
    prediction = _Prediction.model_validate_json(body)
    display.logs_up_to(prediction.logs or "")
    return prediction.model_dump(exclude_unset=True)
