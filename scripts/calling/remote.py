"""A prediction on Replicate, from its creation to its end, over the official client's connection.

https://replicate.com/docs/reference/http#predictions.create. The client 1.0.7 refuses the documented status
`aborted` and cannot set Cancel-After, so predictions are read here as plain JSON. Its reader of event streams drops the
rest of a text after a U+2028, so httpx-sse reads them.
"""

import io
import time
from typing import Any
from urllib.parse import urlsplit

from models.errors import TemplateError
from scripts.calling import inputs
from scripts.calling.client import Client, PredictionRequest
from scripts.calling.display import Display
from scripts.calling.outputs import joined
from scripts.cli import connection
from scripts.replicate.client import ReplicateRefusal, connect, explained, retry_temporary

ENDED = ("succeeded", "failed", "canceled", "aborted")
_LARGEST_DATA_URI = 256_000  # bytes of the file; Replicate takes larger ones as uploads
_TRIES, _LONGEST_PAUSE = 5, 60
_SECONDS_TO_ANSWER = 30


def model(name: str) -> "Remote":
    """A model's latest version, or for an official model, the version that Replicate runs.

    Raises:
        ReplicateRefusal: there is no such model, or it has no version.
    """
    client = connect()
    found = get(client, f"/v1/models/{name}", f"the model {name}")
    latest = found.get("latest_version") or {}
    if not latest.get("openapi_schema"):
        raise ReplicateRefusal(f"the model {name} has no version yet: make push TO=r8.im/{name}")
    if found.get("is_official"):
        return Remote(client, f"the model {name}", f"/v1/models/{name}/predictions", {}, latest["openapi_schema"])
    return _of_version(client, name, latest)


def version(name: str, id: str) -> "Remote":
    """One version of a model.

    Raises:
        ReplicateRefusal: there is no such version.
    """
    client = connect()
    return _of_version(client, name, _version(client, name, id))


def deployment(name: str) -> "Remote":
    """A deployment, whichever version it runs.

    Raises:
        ReplicateRefusal: the account has none of that name, or nothing was released to it.
    """
    client = connect()
    release = get(client, f"/v1/deployments/{name}", f"the deployment {name}").get("current_release")
    if not release:
        raise ReplicateRefusal(
            f"the deployment {name} has no release yet: see https://replicate.com/deployments/{name}"
        )
    document = _version(client, release["model"], release["version"])["openapi_schema"]
    sku = release["configuration"]["hardware"]
    return Remote(client, f"the deployment {name}", f"/v1/deployments/{name}/predictions", {}, document, sku)


def get(client: Any, path: str, what: str) -> dict[str, Any]:
    """Replicate's answer to a GET; `what`: described in words, for errors.

    Raises:
        ReplicateRefusal: Replicate refuses.
    """
    with explained(what):
        answer: dict[str, Any] = client._request("GET", path).json()
        if not isinstance(answer, dict):
            raise ValueError("no JSON object")
        return answer


def _version(client: Any, name: str, id: str) -> dict[str, Any]:
    return get(client, f"/v1/models/{name}/versions/{id}", f"the version {id[:12]} of {name}")


def _of_version(client: Any, name: str, version: dict[str, Any]) -> "Remote":
    what = f"the version {version['id'][:12]} of {name}"
    return Remote(client, what, "/v1/predictions", {"version": version["id"]}, version["openapi_schema"])


class Remote(Client):
    """A model, version or deployment on Replicate. `path`: of its predictions; `body`: fields that identify it."""

    def __init__(
        self, client: Any, what: str, path: str, body: dict[str, str], document: dict[str, Any], hardware: str = ""
    ) -> None:
        self.document, self.hardware = document, hardware
        self._client, self._what, self._path, self._body = client, what, path, body

    def to_uri(self, content: bytes, name: str) -> str:
        """A data URI for a small file, or else the URL of an upload.

        https://replicate.com/docs/topics/predictions/input-files
        """
        if len(content) <= _LARGEST_DATA_URI:
            return inputs.data_uri(content, name)
        with explained(f"the file {name}"):
            return str(self._client.files.create(io.BytesIO(content), filename=name).urls["get"])

    def authorized(self, url: str) -> dict[str, str]:
        """The token is sent only to Replicate's API, even if a model's output points elsewhere."""
        connection = self._client._client
        wanted, own = urlsplit(url), connection.base_url
        is_own = (wanted.scheme, wanted.netloc) == (own.scheme, own.netloc.decode())
        return {"Authorization": connection.headers["Authorization"]} if is_own else {}

    def run(self, request: PredictionRequest, display: Display) -> dict[str, Any]:
        try:
            prediction = self._create(request, display)
        except KeyboardInterrupt:
            display.warn(
                "interrupted before Replicate answered with an id; if it runs: https://replicate.com/predictions"
            )
            raise
        display.say(f"prediction {prediction['id']}: {prediction.get('urls', {}).get('web', self._what)}")
        if request.returns_at_once:
            return prediction
        try:
            return self._follow(prediction, display)
        except KeyboardInterrupt:
            display.end_line()
            self._cancel(prediction["id"], display)
            raise

    def _create(self, request: PredictionRequest, display: Display) -> dict[str, Any]:
        headers = {"Prefer": f"wait={request.wait}"} if request.wait else {}
        headers |= {"Cancel-After": f"{request.timeout}s"} if request.timeout else {}
        seconds = _SECONDS_TO_ANSWER + (request.wait or 0)
        with explained(self._what):
            for tries_left in reversed(range(_TRIES)):
                with display.meanwhile("starting"):
                    answer = self._client._client.post(
                        self._path, json=self._body | request.body(), headers=headers, timeout=seconds
                    )
                if answer.status_code != 429 or not tries_left:
                    return _accepted(answer)
                pause = _pause(answer)
                display.say(f"Replicate's rate limit was reached: trying again in {pause} s")
                time.sleep(pause)
        raise AssertionError("the last try returns")

    def _follow(self, prediction: dict[str, Any], display: Display) -> dict[str, Any]:
        """Show its progress until it ends: from its event stream, or by polling if that fails."""
        while prediction["status"] == "starting":
            display.status("starting")
            time.sleep(self._client.poll_interval)
            prediction = self._reload(prediction)
        if prediction["status"] == "processing":
            display.status("processing")
            self._stream(prediction["urls"].get("stream"), display)
        while True:
            prediction = self._reload(prediction)
            display.logs_up_to(prediction.get("logs") or "")
            display.text_up_to(joined(prediction.get("output")))
            if prediction["status"] in ENDED:
                return prediction
            display.status(prediction["status"])
            time.sleep(self._client.poll_interval)

    def _reload(self, prediction: dict[str, Any]) -> dict[str, Any]:
        id = prediction["id"]
        return retry_temporary(lambda: get(self._client, f"/v1/predictions/{id}", f"the prediction {id}"))

    def _stream(self, url: str | None, display: Display) -> None:
        """Show output and logs as they arrive, until the stream ends or breaks. Events: output, logs, error, done.

        Its URL is on another host and needs no token. https://replicate.com/docs/topics/predictions/streaming
        """
        import httpx
        from httpx_sse import EventSource, SSEError

        if not url:
            return
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        try:
            with connection.stream("GET", url, headers=headers, timeout=self._client._client.timeout) as response:
                for event in EventSource(response).iter_sse():
                    if event.event == "output":
                        display.text(event.data)
                    elif event.event == "logs":
                        display.logs(event.data)
                    elif event.event in ("error", "done"):
                        return
        except (httpx.TransportError, SSEError):
            display.say("the stream broke: polling for the rest")

    def _cancel(self, id: str, display: Display) -> None:
        try:
            with explained(f"the prediction {id}"):
                self._client._request("POST", f"/v1/predictions/{id}/cancel")
        except ReplicateRefusal as error:
            raise TemplateError(f"the prediction {id} may still run: {error}") from error
        display.warn(f"cancelled the prediction {id} on Replicate")


def _accepted(answer: Any) -> dict[str, Any]:
    """The created prediction.

    Raises:
        ReplicateRefusal: the inputs are wrong; names each of them.
        ReplicateError: Replicate refuses for another reason.
    """
    from replicate.exceptions import ReplicateError

    if answer.status_code == 422 and (wrong := _wrong_inputs(answer)):
        raise ReplicateRefusal("\n".join(wrong), 422)
    if answer.is_error:
        raise ReplicateError.from_response(answer)
    prediction: dict[str, Any] = answer.json()
    return prediction


def _wrong_inputs(answer: Any) -> list[str]:
    """A line for each wrong input: from `invalid_fields`, or else from the lines of `detail`, "- input.x: why"."""
    try:
        problem = answer.json()
    except ValueError:
        return []
    fields = [(one.get("field", ""), one.get("description", "")) for one in problem.get("invalid_fields") or []]
    lines = [line[2:].partition(": ") for line in str(problem.get("detail")).splitlines() if line.startswith("- ")]
    found = fields or [(name, why) for name, _, why in lines]
    return [f"{name.removeprefix('input.') or 'input'}: {why}" for name, why in found]


def _pause(answer: Any) -> int:
    """The seconds of Retry-After, within bounds."""
    asked = answer.headers.get("Retry-After", "")
    return min(max(int(asked), 1), _LONGEST_PAUSE) if asked.isdigit() else 5
