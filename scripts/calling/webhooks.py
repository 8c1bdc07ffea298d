"""Checks that a webhook comes from Replicate. https://replicate.com/docs/topics/webhooks/verify-webhook"""

import json
import time
from pathlib import Path
from typing import Any

from scripts.cli.command import UsageError
from scripts.replicate.client import explained

FRESH_SECONDS = 300
"""A receiver should refuse an older webhook: somebody may have recorded it and sent it again."""


class NotFromReplicate(Exception):
    """The signature is missing, malformed or wrong."""


def age(client: Any, body: str, headers: dict[str, str]) -> float:
    """The seconds since a webhook was signed, after checking its signature; `body`: exactly as received.

    Raises:
        NotFromReplicate: the signature is not valid; says why.
        ReplicateRefusal: Replicate refuses to give the account's secret.
    """
    from replicate.webhook import InvalidSecretKeyError, Webhooks

    with explained("the secret of the webhooks"):
        secret = client.webhooks.default.secret()
    try:
        Webhooks.validate(headers=headers, body=body, secret=secret)
        sent = next(float(value) for name, value in headers.items() if name.lower() == "webhook-timestamp")
    except InvalidSecretKeyError:
        raise NotFromReplicate("the account's secret is not of the form whsec_BASE64") from None
    except ValueError as error:
        raise NotFromReplicate(str(error)) from error
    return time.time() - sent


def read_headers(path: Path) -> dict[str, str]:
    """Headers from a file: a JSON object, or a line `name: value` for each.

    Raises:
        UsageError: it is neither.
    """
    text = read_text(path)
    pairs: list[tuple[Any, ...]]
    try:
        found = json.loads(text)
        pairs = list(found.items()) if isinstance(found, dict) else []
    except ValueError:
        pairs = [tuple(line.split(":", 1)) for line in text.splitlines() if ":" in line]
    if not pairs:
        raise UsageError(f"{path} has no headers: write them as lines of name: value, or as a JSON object")
    return {str(name).strip(): str(value).strip() for name, value in pairs}


def read_text(path: Path) -> str:
    """A file's text, unchanged.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
