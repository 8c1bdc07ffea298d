"""python -m scripts.call WHAT name=value name=@file ... [--json] [--out DIR] [--wait SECONDS | --no-wait]

Runs one prediction. WHAT is local (this project's own server, started for the call: make predict), http://HOST:PORT (a
Cog server), image:NAME (a local image), or on Replicate OWNER/NAME (a model's latest version), OWNER/NAME:VERSION or
deployment:OWNER/NAME.
Inputs are read by the model's schema: text, numbers, JSON, a repeated name for a list, @file, and - for standard input.
`-i name=value`, as in cog predict, means the same. The variable PROMPT is the input prompt.
Text streams to standard output, everything else goes to standard error. Files are saved in DIR, label scores are shown
as a table, any other output as JSON. Ctrl-C cancels. Replicate's token is read from REPLICATE_API_TOKEN.

python -m scripts.call --verify-webhook BODYFILE HEADERSFILE checks whether a saved webhook is from Replicate.
"""

import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts.calling import client, inputs, outputs
from scripts.calling.closing import closing_line
from scripts.calling.display import Display
from scripts.calling.outputs import Saver
from scripts.cli import command
from scripts.cli.command import REFUSED, UsageError
from scripts.contract import document
from scripts.contract.document import Node
from scripts.serving.local_server import without_prefix

EVENTS = ("start", "output", "logs", "completed")
_SHORTEST_TIMEOUT, _LONGEST_WAIT = 5, 60  # seconds; Replicate's limits


def main(argv: list[str]) -> int:
    return command.run(call, argv, "scripts.call")


def call(
    what: Annotated[str, typer.Argument(help=client.FORMS)] = "",
    pairs: Annotated[list[str], typer.Argument(metavar="NAME=VALUE...", help="inputs; @file, or - for stdin")] = [],
    more_pairs: Annotated[list[str], typer.Option("-i", "--input", help="the same, as for cog predict -i")] = [],
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object at the end")] = False,
    out: Annotated[Path, typer.Option(help="the folder for output files")] = Path("outputs"),
    quiet: Annotated[bool, typer.Option("--quiet", help="no progress, no logs")] = False,
    wait: Annotated[
        int | None, typer.Option(min=1, max=_LONGEST_WAIT, help="keep the first request open for so many seconds")
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="print the prediction's id and return")] = False,
    timeout: Annotated[int | None, typer.Option(min=_SHORTEST_TIMEOUT, help="cancel it after so many seconds")] = None,
    webhook: Annotated[str, typer.Option(help="a URL that receives events")] = "",
    webhook_events: Annotated[list[str], typer.Option(help=f"of {', '.join(EVENTS)}; with commas or repeated")] = [],
    verify_webhook: Annotated[
        tuple[Path, Path] | None, typer.Option(metavar="BODYFILE HEADERSFILE", help="check a webhook's signature")
    ] = None,
) -> int:
    """Run a prediction on this project's server, any Cog server, a local image, or Replicate."""
    if verify_webhook:
        return _verify(*verify_webhook)
    _check(what, wait, no_wait, timeout, webhook)
    display, began = Display(is_quiet=quiet), time.monotonic()
    with client.opened(what, display) as opened:
        known, output, _ = document.parse(opened.document)
        typed = inputs.with_prompt([*pairs, *more_pairs], os.environ, known.properties)
        given = inputs.parse(typed, known.properties, opened.to_uri, sys.stdin.buffer)
        inputs.require(given, known.required)
        display.shows_text = outputs.is_text(output) and not as_json
        request = client.PredictionRequest(given, wait, timeout, no_wait, webhook, _events(webhook_events))
        prediction = opened.run(request, display)
        if no_wait:
            print(prediction["id"])
            return 0
        saver = Saver(out, prediction["id"], opened.authorized)
        if as_json:
            _print_json(prediction, output, saver, display)
        else:
            outputs.show(prediction, output, saver, display)
        _close(prediction, opened.hardware, time.monotonic() - began, display)
    return 0 if prediction["status"] == "succeeded" else REFUSED


def _check(what: str, wait: int | None, no_wait: bool, timeout: int | None, webhook: str) -> None:
    if not what:
        raise UsageError(f"what should run the prediction? Write {client.FORMS}")
    if wait and no_wait:
        raise UsageError("--wait and --no-wait: choose one")
    if no_wait and (what == "local" or what.startswith("image:")):
        raise UsageError("--no-wait: the server started for this call ends with it, so the call must wait")
    if no_wait and what.startswith("http") and not webhook:
        raise UsageError("--no-wait: a Cog server does not keep predictions: add a --webhook that receives it")
    if no_wait and what.startswith("http") and timeout:
        raise UsageError("--timeout: a Cog server has none, and a call with --no-wait cannot cancel: leave out one")


def _events(typed: list[str]) -> tuple[str, ...]:
    events = tuple(event.strip() for words in typed for event in words.split(","))
    for event in events:
        if event not in EVENTS:
            raise UsageError(f"--webhook-events {event}: there are {', '.join(EVENTS)}")
    return events


def _print_json(prediction: dict[str, Any], schema: Node, saver: Saver, display: Display) -> None:
    output = outputs.as_shown(prediction.get("output"), schema, saver)
    rest = {name: prediction.get(name) for name in ("id", "status", "error", "metrics", "logs")}
    print(outputs.as_json(rest | {"output": output}))
    for saved in saver.saved:
        display.say(saved.preview())


def _close(prediction: dict[str, Any], sku: str, seconds: float, display: Display) -> None:
    """Show why it failed, or the closing line."""
    if prediction.get("error"):
        display.warn(f"the prediction failed: {without_prefix(prediction['error'])}")
    elif prediction["status"] in ("canceled", "aborted"):
        display.warn("the prediction was cancelled: its --timeout passed, or someone cancelled it")
    display.say(closing_line(prediction, sku, seconds))


def _verify(body: Path, headers: Path) -> int:
    from scripts.calling import webhooks
    from scripts.replicate.client import connect

    content, received = webhooks.read_text(body), webhooks.read_headers(headers)
    try:
        age = webhooks.age(connect(), content, received)
    except webhooks.NotFromReplicate as error:
        print(f"not from Replicate: {error}", file=sys.stderr)
        return REFUSED
    stale = "; a receiver should refuse one this old" if age > webhooks.FRESH_SECONDS else ""
    print(f"from Replicate, signed {age:.0f} s ago{stale}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
