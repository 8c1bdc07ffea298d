"""The client of whatever runs predictions: Replicate, a Cog server, a local image, or this project's own server."""

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
    """A prediction that is wanted.

    `wait`: the seconds for which creating it may hold the connection; `timeout`: the seconds after which it is
    cancelled; `returns_at_once`: do not wait for its end; `webhook`: the URL that is told of `events`; without events
    the service chooses which.
    """

    inputs: dict[str, Any]
    wait: int | None = None
    timeout: int | None = None
    returns_at_once: bool = False
    webhook: str = ""
    events: tuple[str, ...] = ()

    def body(self) -> dict[str, Any]:
        """The JSON that Replicate and Cog take alike."""
        webhook = {"webhook": self.webhook} if self.webhook else {}
        events = {"webhook_events_filter": list(self.events)} if self.events else {}
        return {"input": self.inputs} | webhook | events


class Client(Protocol):
    """Runs predictions. `document`: the OpenAPI document; `hardware`: Replicate's SKU, empty where unknown."""

    document: dict[str, Any]
    hardware: str = ""

    def to_uri(self, content: bytes, name: str) -> str:
        """The value that a file input gets for a file's content and name."""
        return data_uri(content, name)

    def authorized(self, url: str) -> dict[str, str]:
        """The headers that an output's URL is fetched with."""
        return {}

    def run(self, request: PredictionRequest, display: Display) -> dict[str, Any]:
        """The prediction once it has ended, as Replicate describes one; its text is shown on `display` as it comes.

        Raises:
            TemplateError: it was refused.
            KeyboardInterrupt: someone interrupted; the prediction was cancelled.
        """


@contextmanager
def opened(what: str, display: Display) -> Iterator[Client]:
    """The client of `what`; a container that was started for it is removed when the block ends.

    Raises:
        UsageError: `what` has none of the FORMS.
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
        raise UsageError(f"{what!r} names nothing that runs: write {FORMS}")
