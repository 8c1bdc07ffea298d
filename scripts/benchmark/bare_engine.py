"""python -m scripts.benchmark.bare_engine MODULE

Runs the engine of a task without Cog: reads a JSON list of inputs from each line, runs them at once, and writes the
sample as one JSON line. MODULE is the task's file; its `bare_engine()` loads the engine and returns a function that
runs inputs.
"""

import importlib
import json
import sys
from contextlib import redirect_stdout
from dataclasses import asdict

from scripts.cli import command


def main(argv: list[str]) -> int:
    """Answer until standard input ends; returns 0."""
    return command.run(answer, argv, "scripts.benchmark.bare_engine")


def answer(module: str) -> None:
    """Run the inputs of each line of standard input."""
    with redirect_stdout(sys.stderr):
        run = importlib.import_module(module).bare_engine()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps(asdict(run(json.loads(line)))), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
