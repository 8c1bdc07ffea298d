"""The client of everything that runs predictions: Replicate, a Cog server, a local image, this project's own server."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from scripts.calling.display import Display
from scripts.calling.inputs import data_uri
from scripts.cli.command import UsageError

FORMS = "OWNER/NAME, OWNER/NAME:VERSION, deployment:OWNER/NAME, http://HOST:PORT, image:NAME, or local"
_NAME = r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+"
_MODEL = re.compile(rf"(?:r8\.im/)?({_NAME})(?:(?::|@sha256:)([0-9a-f]+))?")
_DEPLOYMENT = re.compile(rf"deployment:({_NAME})")


@dataclass(frozen=True)
class PredictionRequest:
    """A prediction to run.

    `wait`: how long the request that creates it may hold the connection (s); `timeout`: when to cancel it (s);
    `returns_at_once`: do not wait for its end; `webhook`: the URL that receives `events`; without `events`, the service
    decides which.
    """

    inputs: dict[str, Any]
    wait: int | None = None
    timeout: int | None = None
    returns_at_once: bool = False
    webhook: str = ""
    events: tuple[str, ...] = ()

    def body(self) -> dict[str, Any]:
        """The JSON body, which is the same for Replicate and Cog."""
        webhook = {"webhook": self.webhook} if self.webhook else {}
        events = {"webhook_events_filter": list(self.events)} if self.events else {}
        return {"input": self.inputs} | webhook | events


class Client(Protocol):
    """Runs predictions. `document`: the OpenAPI document; `hardware`: Replicate's SKU, "" if unknown."""

    document: dict[str, Any]
    hardware: str = ""

    def to_uri(self, content: bytes, name: str) -> str:
        """The value of a file input for a file's content and name."""
        return data_uri(content, name)

    def authorized(self, url: str) -> dict[str, str]:
        """The headers for fetching an output's URL."""
        return {}

    def run(self, request: PredictionRequest, display: Display) -> dict[str, Any]:
        """The finished prediction, in Replicate's format; its text is shown on `display` as it arrives.

        Raises:
            TemplateError: it was refused.
            KeyboardInterrupt: the user interrupted; the prediction was cancelled.
        """


@contextmanager
def opened(what: str, display: Display) -> Iterator[Client]:
    """The client of `what`; a container that was started for it is removed when the block ends.

    Raises:
        UsageError: `what` is not one of the FORMS.
        TemplateError: it cannot be reached, or does not start; says why.
    """
    from scripts.calling import remote
    from scripts.calling.cog_server import CogServer
    from scripts.calling.project_server import ProjectServer
    from scripts.serving import local_container

    if what == "local":
        yield ProjectServer()
    elif what.startswith("image:"):
        with ExitStack() as stack:
            with display.meanwhile("starting a container"):
                address, _ = stack.enter_context(local_container.running(what.removeprefix("image:")))
            yield CogServer(address)
    elif re.match(r"https?://", what):
        with display.meanwhile("waiting for the server"):
            server = CogServer(what)
        yield server
    elif found := _DEPLOYMENT.fullmatch(what):
        yield remote.deployment(found[1])
    elif found := _MODEL.fullmatch(what):
        yield remote.version(found[1], found[2]) if found[2] else remote.model(found[1])
    else:
        raise UsageError(f"{what!r} is not something that runs predictions: write {FORMS}")
