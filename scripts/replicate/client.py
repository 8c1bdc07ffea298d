"""The official client of Replicate's API, and its errors with advice on what to do.

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
    """Replicate's API refused, or could not be reached; `status`: of HTTP, None if there was no answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def connect() -> Any:
    """A replicate.Client with the token from the environment; REPLICATE_BASE_URL names another server than Replicate's.

    The client itself repeats what is no POST or PATCH, after a 429, 503 or 504.

    Raises:
        ReplicateRefusal: no token is set.
    """
    import replicate.client

    if not os.environ.get(TOKEN):
        raise ReplicateRefusal(f"{TOKEN} is not set: export {TOKEN}=..., from {TOKEN_PAGE}")
    return replicate.client.Client(api_token=os.environ[TOKEN], transport=connection.transport(address()))


def address() -> str:
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
        raise ReplicateRefusal(f"cannot reach Replicate for {what} ({connection.reason(error)})") from error
    except (ValueError, TypeError) as error:  # the client read something other than Replicate's JSON
        problem = f"the answer for {what} is not from Replicate ({in_words(error)})"
        raise ReplicateRefusal(f"{problem}: check proxies and REPLICATE_BASE_URL", 200) from error


def retry_temporary(act: Callable[[], Result]) -> Result:
    """Repeat `act` a few times with growing pauses, while Replicate does not answer, or answers 429 or 5xx.

    Only for requests that may be sent twice, such as a read or the same change again.
    """
    return waiting.retry(act, _is_temporary, tries=6)


def ask(what: str, act: Callable[[], Result]) -> Result:
    """The answer to a request about `what` ("the model acme/smollm2") that may be sent twice; uses `retry_temporary`.

    Raises:
        ReplicateRefusal: Replicate refused, or still does not answer.
    """

    def once() -> Result:
        with explained(what):
            return act()

    return retry_temporary(once)


def _is_temporary(error: BaseException) -> bool:
    return isinstance(error, ReplicateRefusal) and (error.status is None or error.status == 429 or error.status >= 500)


def _words(what: str, status: int | None, detail: str) -> str:
    reason = f": {detail.rstrip('.')}" if detail else ""
    advice = {
        401: f"Replicate does not know this token; set a new {TOKEN}, from {TOKEN_PAGE}",
        402: "Replicate needs a payment first: https://replicate.com/account/billing",
        403: "this token may not do that: check whose it is (https://replicate.com/account)",
        404: f"{what} is not on Replicate, or your token may not see it: check the name",
        422: f"Replicate does not accept this for {what}{reason}",
        429: "Replicate's rate limit was reached; wait a little, then try again",
    }
    return advice.get(status or 0, f"Replicate answers {status} for {what}{reason}; try again later")
