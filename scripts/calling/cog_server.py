"""A prediction on a Cog server, spoken to by Cog's own HTTP. https://cog.run/http"""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from models.errors import TemplateError, in_words
from scripts.calling import connection, inputs
from scripts.calling.places import Order
from scripts.calling.screen import Screen
from scripts.contract import document
from scripts.serving import local_server

_SECONDS_BETWEEN_TRIES = 0.2
_SECONDS_OF_CANCELLING = 2


class _Prediction(BaseModel):
    """A prediction that has ended, as far as it is read here. https://cog.run/http"""

    model_config = ConfigDict(extra="allow")

    status: str
    logs: str | None = None
    error: str | None = None
    metrics: dict[str, Any] | None = None


class CogServer:
    """A server that runs at `address`, once it is ready.

    Raises:
        TemplateError: nothing answers there, its setup failed, or it has no schema.
    """

    hardware = ""

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
                f"{self.address} has no /openapi.json, so it is no Cog server that cog build made"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TemplateError(f"no Cog server answers at {self.address} ({error}): make serve starts one") from error
        self._streams = document.parse(self.document)[2]

    def to_uri(self, content: bytes, name: str) -> str:
        return inputs.data_uri(content, name)

    def authorized(self, url: str) -> dict[str, str]:
        return {}

    def run(self, order: Order, screen: Screen) -> dict[str, Any]:
        id = uuid.uuid4().hex[:16]
        if order.returns_at_once:
            return self._leave(id, order)
        try:
            with self._lifetime(id, order.timeout) as is_over:
                while (prediction := self._send(id, order, screen)) is None:
                    local_server.check_answers(self.address)
                    if is_over.wait(_SECONDS_BETWEEN_TRIES):
                        return {"id": id, "status": "aborted"}
                    screen.status("waiting for a free slot")
        except KeyboardInterrupt:
            self._cancel_for_good(id)
            screen.end_line()
            screen.warn(f"cancelled the prediction {id} on {self.address}")
            raise
        return {"id": id} | prediction

    def _send(self, id: str, order: Order, screen: Screen) -> dict[str, Any] | None:
        """The prediction at its end; None where every slot is taken."""
        import httpx

        url, headers = f"{self.address}/predictions/{id}", {"Accept": "text/event-stream"} if self._streams else {}
        try:
            with ExitStack() as stack:
                request = connection.stream("PUT", url, json=order.body(), headers=headers, timeout=None)
                with screen.meanwhile("processing"):
                    response = stack.enter_context(request)
                if response.status_code == 409:
                    return None
                if response.status_code != 200:
                    raise TemplateError(refusal(response.status_code, response.read()))
                return _followed(response, screen) if self._streams else _whole(response.read(), screen)
        except httpx.TransportError as error:
            raise TemplateError(f"the connection to {self.address} broke ({error or type(error).__name__})") from error
        except (ValueError, KeyError, TypeError) as error:
            raise TemplateError(
                f"{self.address} answers a prediction otherwise than Cog ({in_words(error)}): see what serves there"
            ) from error

    def _leave(self, id: str, order: Order) -> dict[str, Any]:
        """Start it and go; only a webhook can tell how it ends."""
        import httpx

        url = f"{self.address}/predictions/{id}"
        try:
            answer = connection.ask("PUT", url, json=order.body(), headers={"Prefer": "respond-async"}, timeout=60)
        except httpx.TransportError as error:
            raise TemplateError(f"the connection to {self.address} broke ({error or type(error).__name__})") from error
        if answer.status_code != 202:
            raise TemplateError(refusal(answer.status_code, answer.content))
        return {"id": id, "status": "starting"}

    @contextmanager
    def _lifetime(self, id: str, seconds: int | None) -> Iterator[threading.Event]:
        """An event that is set after so many seconds; from then on the prediction is cancelled."""
        is_over, has_ended = threading.Event(), threading.Event()

        def pass_away() -> None:
            if not has_ended.wait(seconds):
                is_over.set()
            while not has_ended.wait(_SECONDS_BETWEEN_TRIES):
                self._cancel(id)

        threading.Thread(target=pass_away, daemon=True).start()
        try:
            yield is_over
        finally:
            has_ended.set()

    def _cancel_for_good(self, id: str) -> None:
        """Cancel until the server knows of no such prediction: it can lose a cancel that comes while one starts."""
        deadline = time.monotonic() + _SECONDS_OF_CANCELLING
        while self._cancel(id) and time.monotonic() < deadline:
            time.sleep(_SECONDS_BETWEEN_TRIES)

    def _cancel(self, id: str) -> bool:
        """Whether the server still had it."""
        import httpx

        try:
            return connection.ask("POST", f"{self.address}/predictions/{id}/cancel", timeout=10).status_code == 200
        except httpx.HTTPError:  # it ends with the connection too
            return False


def refusal(status: int, body: bytes) -> str:
    """A refusal of Cog, a line for each wrong input."""
    try:
        said = json.loads(body)
    except ValueError:
        said = body.decode(errors="replace")
    detail = said.get("detail", said.get("error", said)) if isinstance(said, dict) else said
    if isinstance(detail, list):
        return "\n".join(f"{problem['loc'][-1]}: {problem['msg']}" for problem in detail)
    return f"the server answers {status}: {detail}"


def _followed(response: Any, screen: Screen) -> dict[str, Any]:
    """The prediction of an event stream: start, output, log, metric, completed."""
    from httpx_sse import EventSource

    output: list[Any] = []
    logs = ""
    for event in EventSource(response).iter_sse():
        data = json.loads(event.data)
        if event.event == "output":
            output.append(data["chunk"])
            screen.text(data["chunk"] if isinstance(data["chunk"], str) else "")
        elif event.event == "log":
            logs += data["data"]
            screen.logs(data["data"])
        elif event.event == "completed":
            return _Prediction.model_validate({"output": output, "logs": logs} | data).model_dump(exclude_unset=True)
    raise TemplateError(f"{urlsplit(str(response.url)).netloc} ended the stream before the prediction was complete")


def _whole(body: bytes, screen: Screen) -> dict[str, Any]:
    prediction = _Prediction.model_validate_json(body)
    screen.logs_up_to(prediction.logs or "")
    return prediction.model_dump(exclude_unset=True)
