"""A prediction as the page follows it, and the services that can run it."""

import base64
import mimetypes
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .facts import Field


@dataclass
class Prediction:
    """The state of a prediction. `note`: what it waits for; `error`: why it failed; `output`: received so far."""

    note: str = ""
    output: Any = None
    error: str = ""
    has_ended: bool = False
    metrics: dict[str, Any] = field(default_factory=dict)


class Refusal(Exception):
    """A prediction cannot be run; the message is shown on the page."""


class Service(Protocol):
    """Where predictions run. `example_address`: what the code on the page calls."""

    example_address: str

    def run(self, inputs: dict[str, Any]) -> AsyncGenerator[Prediction, None]:
        """The prediction's state at each change; closing the generator cancels it.

        Raises:
            Refusal: it cannot be run.
        """

    async def uri(self, path: Path) -> str:
        """The value of a file input for a file."""


async def with_uris(inputs: Mapping[str, Any], fields: list[Field], service: Service) -> dict[str, Any]:
    """The inputs with each file's path replaced by a URI."""
    sent = dict(inputs)
    for known in fields:
        if known.name not in inputs:
            continue
        if known.kind == "file":
            sent[known.name] = await _uri(inputs[known.name], service)
        elif known.items == "file":
            sent[known.name] = [await _uri(path, service) for path in inputs[known.name]]
    return sent


async def _uri(path: str, service: Service) -> str:
    return path if "://" in path or path.startswith("data:") else await service.uri(Path(path))


def data_uri(path: Path) -> str:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
