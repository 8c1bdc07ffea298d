"""Whether a webhook really comes from Replicate. https://replicate.com/docs/topics/webhooks/verify-webhook"""

import json
import time
from pathlib import Path
from typing import Any

from scripts.cli.command import UsageError
from scripts.replicate.client import explained

FRESH_SECONDS = 300
"""A receiver should refuse an older one: someone may have kept it and sent it again."""


class NotFromReplicate(Exception):
    """The signature is missing, malformed or wrong."""


def age(client: Any, body: str, headers: dict[str, str]) -> float:
    """The seconds since a webhook was signed, once its signature is found right; `body`: exactly as it was received.

    Raises:
        NotFromReplicate: it is not; says why.
        ReplicateRefusal: Replicate does not tell the account's secret.
    """
    from replicate.webhook import InvalidSecretKeyError, Webhooks

    with explained("the secret of the webhooks"):
        secret = client.webhooks.default.secret()
    try:
        Webhooks.validate(headers=headers, body=body, secret=secret)
        sent = next(float(value) for name, value in headers.items() if name.lower() == "webhook-timestamp")
    except InvalidSecretKeyError:
        raise NotFromReplicate("the account's secret has another form than whsec_BASE64") from None
    except ValueError as error:
        raise NotFromReplicate(str(error)) from error
    return time.time() - sent


def read_headers(path: Path) -> dict[str, str]:
    """Headers of a file: a JSON object, or a line each as `name: value`.

    Raises:
        UsageError: it cannot be read as either.
    """
    text = read_text(path)
    pairs: list[tuple[Any, ...]]
    try:
        found = json.loads(text)
        pairs = list(found.items()) if isinstance(found, dict) else []
    except ValueError:
        pairs = [tuple(line.split(":", 1)) for line in text.splitlines() if ":" in line]
    if not pairs:
        raise UsageError(f"{path} holds no headers: write a line each, as name: value, or a JSON object")
    return {str(name).strip(): str(value).strip() for name, value in pairs}


def read_text(path: Path) -> str:
    """A file's text, every byte as it is.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {path}: {error}") from error
