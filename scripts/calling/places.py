"""Where a prediction runs: on Replicate, on a Cog server, in a local image, or in this project's own server."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from scripts.calling.screen import Screen
from scripts.cli.command import UsageError

FORMS = "OWNER/NAME, OWNER/NAME:VERSION, deployment:OWNER/NAME, http://HOST:PORT, image:NAME, or local"
_NAME = r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+"
_MODEL = re.compile(rf"(?:r8\.im/)?({_NAME})(?:(?::|@sha256:)([0-9a-f]+))?")
_DEPLOYMENT = re.compile(rf"deployment:({_NAME})")


@dataclass(frozen=True)
class Order:
    """A prediction that is wanted.

    `wait`: the seconds for which creating it may hold the connection; `timeout`: the seconds after which it is
    cancelled; `returns_at_once`: do not wait for its end; `webhook`: whom to tell of `events`, none: those that the
    service tells by default.
    """

    inputs: dict[str, Any]
    wait: int | None = None
    timeout: int | None = None
    returns_at_once: bool = False
    webhook: str = ""
    events: tuple[str, ...] = ()

    def body(self) -> dict[str, Any]:
        """What Replicate and Cog take alike."""
        webhook = {"webhook": self.webhook} if self.webhook else {}
        events = {"webhook_events_filter": list(self.events)} if self.events else {}
        return {"input": self.inputs} | webhook | events


class Place(Protocol):
    """Where predictions run. `document`: the OpenAPI document; `hardware`: Replicate's SKU, empty where unknown."""

    document: dict[str, Any]
    hardware: str

    def to_uri(self, content: bytes, name: str) -> str:
        """What a file input is given for a file."""

    def run(self, order: Order, screen: Screen) -> dict[str, Any]:
        """The prediction once it has ended, as Replicate describes one; its text was shown on `screen`.

        Raises:
            TemplateError: it was refused.
            KeyboardInterrupt: someone interrupted; the prediction was cancelled.
        """

    def authorized(self, url: str) -> dict[str, str]:
        """The headers to fetch an output with."""


@contextmanager
def opened(what: str, screen: Screen) -> Iterator[Place]:
    """The place that `what` names; what was started for it is ended with the block.

    Raises:
        UsageError: it names none.
        TemplateError: it cannot be reached, or does not start; says why.
    """
    from scripts.calling import remote
    from scripts.calling.cog_server import CogServer
    from scripts.serving import local_container

    if what == "local":
        with _project(screen) as address:
            yield CogServer(address)
    elif what.startswith("image:"):
        with ExitStack() as stack:
            with screen.meanwhile("starting a container"):
                address, _ = stack.enter_context(local_container.running(what.removeprefix("image:")))
            yield CogServer(address)
    elif re.match(r"https?://", what):
        with screen.meanwhile("waiting for the server"):
            server = CogServer(what)
        yield server
    elif found := _DEPLOYMENT.fullmatch(what):
        yield remote.deployment(found[1])
    elif found := _MODEL.fullmatch(what):
        yield remote.version(found[1], found[2]) if found[2] else remote.model(found[1])
    else:
        raise UsageError(f"{what!r} names nothing that runs: write {FORMS}")


@contextmanager
def _project(screen: Screen) -> Iterator[str]:
    """The address of this project's server, ready."""
    from models import manifest, runtimes
    from scripts import weights
    from scripts.serving import local_server

    model = manifest.selected()
    weights.ensure(model, runtimes.choose(model))
    with tempfile.TemporaryFile() as log, local_server.running(model, log=log) as (address, process):
        with screen.meanwhile(f"starting the server of {model.slug}"):
            local_server.wait_until_ready(address, process)
        yield address
