"""Cancelling predictions on a Cog server."""

from collections.abc import Iterable

from scripts.cli import connection, waiting


def cancel(urls: Iterable[str], seconds: float) -> bool:
    """Cancel the predictions at `urls`, and wait at most `seconds` for their end; returns whether all have ended.

    Cog loses a cancel that arrives before its prediction has started, so each cancel is repeated until the server no
    longer knows the prediction.
    """
    running = list(urls)

    def all_have_ended() -> bool:
        running[:] = [url for url in running if cancel_once(url)]
        return not running

    return waiting.until(all_have_ended, seconds)


def cancel_once(url: str) -> bool:
    """Cancel it on a new connection, because its own one is still waiting; returns whether it may still run."""
    import httpx

    try:
        return connection.ask("POST", f"{url}/cancel", timeout=5).status_code == 200
    except httpx.ConnectError:
        return False
    except httpx.TransportError:
        return True
