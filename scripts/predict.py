"""python -m scripts.predict -i prompt="Why is the sea salty?" [-i name=value ...]

Runs one prediction through Cog's real server, without Docker: fetches the weights if need be, starts the server,
streams the text to standard output and everything else to standard error. Ctrl-C cancels the prediction.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any

import typer

from models import engines, manifest
from scripts import command, connection, inputs, local_server, schema, weights

_CANCEL_SECONDS = 2
_SAME_SIGNAL_SECONDS = 0.5


def main(argv: list[str]) -> int:
    """Run the command; 0 done, 1 refused, 2 wrong usage, 130 cancelled."""
    return command.run(predict, argv, "scripts.predict")


def predict(
    input: Annotated[list[str], typer.Option("-i", "--input", help="name=value, as for cog predict -i")] = [],
) -> int:
    """Run one prediction through Cog's server on this machine. The variable PROMPT is the input prompt."""
    return _run(command.with_prompt(input, os.environ))


def _run(pairs: list[str]) -> int:
    model = manifest.selected()
    weights.ensure(model, engines.choose(model))
    properties = schema.generate(model.predictor_class)["components"]["schemas"]["Input"]["properties"]
    given = inputs.parse(pairs, properties)
    with tempfile.TemporaryFile() as log, local_server.running(model, log=log) as (address, process):
        return _predict(address, process, given)


def _predict(address: str, process: subprocess.Popen[bytes], given: dict[str, Any]) -> int:
    import httpx
    from httpx_sse import EventSource

    prediction = f"{address}/predictions/{uuid.uuid4().hex}"
    try:
        local_server.wait_until_ready(address, process)
        with connection.stream(
            "PUT", prediction, json={"input": given}, headers={"Accept": "text/event-stream"}, timeout=None
        ) as response:
            if response.status_code != 200:
                print(_refusal(json.loads(response.read())), file=sys.stderr)
                return 1
            with _cancelling(f"{prediction}/cancel"):
                return _follow(EventSource(response).iter_sse())
    except httpx.TransportError as error:
        raise local_server.ServerError(f"the server's connection broke ({error}): make doctor") from error


@contextmanager
def _cancelling(url: str) -> Iterator[None]:
    """Ctrl-C and SIGTERM cancel the prediction and let its stream end; a later one, or no end in time, interrupts.

    What comes at once after the first is the same: make sends a signal that its whole group got on to what it runs.
    """
    import httpx

    asked, ended = float("inf"), threading.Event()

    def cancel() -> None:
        with suppress(httpx.HTTPError):  # the server may have ended before it could answer
            connection.ask("POST", url)
        if not ended.wait(_CANCEL_SECONDS):
            os.kill(os.getpid(), signal.SIGINT)

    def interrupted(number: int, frame: object) -> None:
        nonlocal asked
        if time.monotonic() > asked + _SAME_SIGNAL_SECONDS:
            raise KeyboardInterrupt
        if asked == float("inf"):
            asked = time.monotonic()
            threading.Thread(target=cancel, daemon=True).start()

    with command.signals_to(interrupted):
        try:
            yield
        finally:
            ended.set()


def _follow(events: Any) -> int:
    """Print output as it comes, then the closing line."""
    for event in events:
        data = json.loads(event.data)
        if event.event == "output":
            sys.stdout.write(data["chunk"])
            sys.stdout.flush()
        elif event.event == "completed":
            sys.stdout.write("\n")
            sys.stdout.flush()
            if data["status"] == "failed":
                print(local_server.without_prefix(data["error"]), file=sys.stderr)
                return 1
            print(_closing_line(data["metrics"]), file=sys.stderr)
            return command.CANCELLED if data["status"] == "canceled" else 0
    raise local_server.ServerError("the server ended the stream before the prediction was complete: make doctor")


def _closing_line(metrics: dict[str, Any]) -> str:
    parts = [f"{metrics.get('output_token_count', 0)} tokens"]
    if "time_to_first_token" in metrics:
        parts.append(f"first after {metrics['time_to_first_token'] * 1000:.0f} ms")
    if "tokens_per_second" in metrics:
        parts.append(f"{metrics['tokens_per_second']:.0f} tokens/s")
    if "seed" in metrics:
        parts.append(f"{metrics['engine']} on {metrics['device']} · seed {metrics['seed']}")
    reasons = {"stop": "finished", "length": "cut at max_tokens"}
    parts.append(reasons.get(metrics.get("finish_reason", ""), "cancelled"))
    return " · ".join(parts)


def _refusal(body: dict[str, Any]) -> str:
    """Cog's 422 in one line an input."""
    detail = body.get("detail", body)
    if isinstance(detail, list):
        return "\n".join(f"{problem['loc'][-1]}: {problem['msg']}" for problem in detail)
    return str(detail)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
