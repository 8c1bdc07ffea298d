"""python -m scripts.predict -i prompt="Why is the sea salty?" [-i name=value ...]

Runs one prediction through Cog's real server, without Docker: fetches the weights if need be, starts the server,
streams the text to standard output and everything else to standard error. Files are saved in outputs/, and any other
output is printed as JSON. Ctrl-C cancels the prediction.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from models import manifest
from scripts import schema
from scripts.calling import inputs, outputs, places
from scripts.calling.screen import Screen
from scripts.cli import command
from scripts.contract import document
from scripts.serving import local_server


def main(argv: list[str]) -> int:
    """Run the command; 0 done, 1 refused, 2 wrong usage, 130 cancelled."""
    return command.run(predict, argv, "scripts.predict")


def predict(
    input: Annotated[list[str], typer.Option("-i", "--input", help="name=value, as for cog predict -i")] = [],
) -> int:
    """Run one prediction through Cog's server on this machine. The variable PROMPT is the input prompt."""
    return _run(command.with_prompt(input, os.environ))


def _run(pairs: list[str]) -> int:
    described, output, _ = document.parse(schema.generate(schema.served_class(manifest.selected())))
    given = inputs.parse(pairs, described.properties)
    screen = Screen(shows_text=outputs.is_text(output), is_quiet=True)
    with places.opened("local", screen) as place:
        prediction = place.run(places.Order(given), screen)
    outputs.show(prediction, output, outputs.Saver(Path("outputs"), prediction["id"]), screen)
    if prediction["status"] == "failed":
        print(local_server.without_prefix(prediction["error"]), file=sys.stderr)
        return command.REFUSED
    print(_closing_line(prediction["metrics"]), file=sys.stderr)
    return 0


def _closing_line(metrics: dict[str, Any]) -> str:
    if "output_token_count" not in metrics:
        return f"succeeded · {metrics['predict_time']:.3g} s predicting"
    parts = [f"{metrics['output_token_count']} tokens"]
    if "time_to_first_token" in metrics:
        parts.append(f"first after {metrics['time_to_first_token'] * 1000:.0f} ms")
    if "tokens_per_second" in metrics:
        parts.append(f"{metrics['tokens_per_second']:.0f} tokens/s")
    if "seed" in metrics:
        parts.append(f"{metrics['engine']} on {metrics['device']} · seed {metrics['seed']}")
    reasons = {"stop": "finished", "length": "cut at max_tokens"}
    parts.append(reasons.get(metrics.get("finish_reason", ""), "cancelled"))
    return " · ".join(parts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
