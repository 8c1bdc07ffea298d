"""A prediction as a curl command, for people to paste."""

import json
import shlex
from collections.abc import Mapping
from typing import Any


def command(address: str, inputs: Mapping[str, Any], *headers: str, options: str = "-sS") -> str:
    """Sends the inputs to the Cog server at `address`; `headers`: further ones, as "Accept: text/event-stream"."""
    return command_with(address, json.dumps({"input": inputs}), *headers, options=options)


def command_with(address: str, body: str, *headers: str, options: str = "-sS") -> str:
    """The same with a body that is written already, or with @FILE."""
    named = " ".join(f"-H {shlex.quote(header)}" for header in ("Content-Type: application/json", *headers))
    return f"curl {options} {address}/predictions {named} --data-binary {shlex.quote(body)}"
