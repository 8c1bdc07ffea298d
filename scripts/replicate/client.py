"""The official client of Replicate's API, and its refusals in words that say what to do.

https://replicate.com/docs/reference/http, https://github.com/replicate/replicate-python
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from models.errors import TemplateError, in_words
from scripts.cli import connection, waiting

Result = TypeVar("Result")
TOKEN = "REPLICATE_API_TOKEN"
TOKEN_PAGE = "https://replicate.com/account/api-tokens"


class ReplicateRefusal(TemplateError):
    """Replicate's API refused, or could not be reached; `status`: of HTTP, None where there was no answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def connect() -> Any:
    """A replicate.Client with the token of the environment; REPLICATE_BASE_URL names another server than Replicate's.

    Reads, and whatever was answered with 429, are sent again by the client itself.

    Raises:
        ReplicateRefusal: no token is set.
    """
    import replicate.client

    if not os.environ.get(TOKEN):
        raise ReplicateRefusal(f"{TOKEN} is not set: export {TOKEN}=..., from {TOKEN_PAGE}")
    return replicate.client.Client(api_token=os.environ[TOKEN], transport=connection.transport(address()))


def address() -> str:
    """Where Replicate's API is."""
    return os.environ.get("REPLICATE_BASE_URL") or "https://api.replicate.com"


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn the client's errors about `what` ("the model acme/smollm2") into one line.

    Raises:
        ReplicateRefusal: for each of them.
    """
    import httpx
    from replicate.exceptions import ReplicateError

    try:
        yield
    except ReplicateError as error:
        raise ReplicateRefusal(_words(what, error.status, error.detail or error.title or ""), error.status) from error
    except httpx.HTTPError as error:
        raise ReplicateRefusal(f"cannot reach Replicate for {what} ({error or type(error).__name__})") from error
    except (ValueError, TypeError) as error:  # the client read something else than Replicate's JSON
        said = f"what answers for {what} is not Replicate ({in_words(error)})"
        raise ReplicateRefusal(f"{said}: see the proxies, and REPLICATE_BASE_URL", 200) from error


def patiently(act: Callable[[], Result]) -> Result:
    """Do it again a few times, each time later, while Replicate does not answer, or with 429 or 5xx.

    For what may be done twice: a prediction more, the same change again.
    """
    return waiting.retried(act, _passes, tries=6)


def ask(what: str, act: Callable[[], Result]) -> Result:
    """Do what may be done twice, about `what` ("the model acme/smollm2"), patiently; the answer.

    Raises:
        ReplicateRefusal: Replicate refused, or still does not answer.
    """

    def once() -> Result:
        with explained(what):
            return act()

    return patiently(once)


def _passes(error: BaseException) -> bool:
    return isinstance(error, ReplicateRefusal) and (error.status is None or error.status == 429 or error.status >= 500)


def _words(what: str, status: int | None, detail: str) -> str:
    said = f": {detail.rstrip('.')}" if detail else ""
    advice = {
        401: f"Replicate does not know this token; set {TOKEN} anew, from {TOKEN_PAGE}",
        402: "Replicate wants to be paid first: https://replicate.com/account/billing",
        403: "this token may not do that: see whose it is (https://replicate.com/account)",
        404: f"Replicate has no such thing: {what}; see the name, and whether your token may see it",
        422: f"Replicate does not take that for {what}{said}",
        429: "Replicate was asked too often; wait a little, then try again",
    }
    return advice.get(status or 0, f"Replicate answers {status} for {what}{said}; try again later")
