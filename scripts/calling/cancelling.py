"""Cancelling predictions on a Cog server."""

from collections.abc import Iterable

from scripts.cli import connection, waiting


def cancel(urls: Iterable[str], seconds: float) -> bool:
    """Cancel the predictions at `urls` until all have ended; whether they have, after at most `seconds`.

    Cog loses a cancel that comes before its prediction has started, so each is sent until the server does not know
    the prediction any more.
    """
    running = list(urls)

    def all_have_ended() -> bool:
        running[:] = [url for url in running if cancel_once(url)]
        return not running

    return waiting.until(all_have_ended, seconds)


def cancel_once(url: str) -> bool:
    """Whether the prediction may still run. Asked on a connection of its own: who waits for it holds the other one."""
    import httpx

    try:
        return connection.ask("POST", f"{url}/cancel", timeout=5).status_code == 200
    except httpx.ConnectError:
        return False
    except httpx.TransportError:
        return True
