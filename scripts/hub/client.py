"""The official client of the Hub, and its errors with advice on what to do.

https://huggingface.co/docs/huggingface_hub, https://huggingface.co/docs/hub/api
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from models.errors import TemplateError, in_words
from models.weights.sources.hub import known_token

TOKEN_PAGE = "https://huggingface.co/settings/tokens"
ADVICE = {
    401: f"the Hub does not know this token: hf auth login, or set a new HF_TOKEN, from {TOKEN_PAGE}",
    403: f"this token may not do that: use one with the right to write there, from {TOKEN_PAGE}",
    404: "it does not exist, or this token may not see it: check the name",
    412: "somebody else committed at the same time: run it again to see what they did",
    413: "that is more than the Hub takes in one commit",
    429: "the Hub's rate limit was reached: wait a little, then run it again to continue",
}


class HubRefusal(TemplateError):
    """The Hub refused, or could not be reached; `status`: of HTTP, None if there was no answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def connect() -> Any:
    """A huggingface_hub.HfApi with the user's token; HF_ENDPOINT names another server than the Hub.

    Other servers that speak the Hub's HTTP take large files by Git LFS, and few have the Hub's own storage, Xet. So
    files are sent to them by LFS, unless HF_HUB_DISABLE_XET=0 is set (docs/upgrading.md).

    Raises:
        HubRefusal: there is no token.
    """
    from huggingface_hub import HfApi, constants

    endpoint = os.environ.get("HF_ENDPOINT")
    if endpoint and "HF_HUB_DISABLE_XET" not in os.environ:
        constants.HF_HUB_DISABLE_XET = True  # read at each upload; the environment variable is only read at import
    token = known_token()
    if not token:
        raise HubRefusal(f"there is no token for the Hub: hf auth login, or export HF_TOKEN=..., from {TOKEN_PAGE}")
    return HfApi(endpoint=endpoint, token=token, library_name="cog-template")


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn the client's errors about `what` ("acme/smollm2") into one line.

    Raises:
        HubRefusal: for each of them.
    """
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except (errors.HfHubHTTPError, httpx2.HTTPError) as error:
        raise _refusal(what, error) from error
    except errors.OfflineModeIsEnabled as error:
        raise HubRefusal(f"HF_HUB_OFFLINE keeps the Hub from being asked for {what}: unset it") from error
    except RuntimeError as error:  # the client raises it when the upload of a large file fails
        if not isinstance(error.__cause__, (errors.HfHubHTTPError, httpx2.HTTPError)):
            raise
        raise _refusal(what, error.__cause__) from error
    except ValueError as error:  # wrong front matter of a card, or an answer that is not the Hub's
        raise HubRefusal(f"the Hub does not take {what}: {' '.join(str(error).split())}", 400) from error


def _refusal(what: str, error: Exception) -> HubRefusal:
    from huggingface_hub import errors

    if not isinstance(error, errors.HfHubHTTPError):
        return HubRefusal(f"cannot reach the Hub for {what} ({in_words(error)}): run it again to continue")
    status = error.response.status_code
    message = (error.server_message or "").rstrip(".")
    advice = ADVICE.get(status, "try again later")
    return HubRefusal(f"the Hub answers {status} for {what}{f' ({message})' if message else ''}: {advice}", status)
