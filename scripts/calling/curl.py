"""A prediction as a curl command that people can paste."""

import json
import shlex
from collections.abc import Mapping
from typing import Any


def command(address: str, inputs: Mapping[str, Any], *headers: str, options: str = "-sS") -> str:
    """A command that sends the inputs to the Cog server at `address`; `headers`: more of them, as "NAME: VALUE"."""
    return command_with(address, json.dumps({"input": inputs}), *headers, options=options)


def command_with(address: str, body: str, *headers: str, options: str = "-sS") -> str:
    """The same with a complete body, or with @FILE."""
    named = " ".join(f"-H {shlex.quote(header)}" for header in ("Content-Type: application/json", *headers))
    return f"curl {options} {address}/predictions {named} --data-binary {shlex.quote(body)}"
