"""python -m scripts.fuzz [--url URL] [--seed 0] [--cases 50]

Sends every kind of right and wrong input, made from the schema of the selected model, to its Cog server, and reports
wrong answers, each with a curl command that reproduces it. The same seed sends the same inputs.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated

import typer

from models import manifest, runtimes
from models.manifest import Manifest
from scripts import tasks
from scripts.cli import command, console
from scripts.cli.progress import counted
from scripts.contract import schema
from scripts.conversion import weights
from scripts.fuzzing import cases as fuzzing
from scripts.fuzzing import probe
from scripts.serving import local_server


def main(argv: list[str]) -> int:
    return command.run(fuzz, argv, "scripts.fuzz")


def fuzz(
    url: Annotated[str, typer.Option(help="a Cog server of this model; by default one is started here")] = "",
    seed: int = 0,
    cases: Annotated[
        int, typer.Option(min=0, help="random cases that change several inputs, in addition to the fixed cases")
    ] = 50,
    timeout: Annotated[float, typer.Option(min=0.1, help="seconds for an answer")] = 60,
) -> int:
    """Send every kind of input to a Cog server."""
    model = manifest.selected()
    document = schema.generate(schema.served_class(model))
    examples = [example.input for example in model.examples]
    limits = tasks.attribute(model, "LIMITS", fuzzing.NO_LIMITS)
    made = fuzzing.cases(document, examples, seed, cases, limits)
    with _served(model, url) as address, counted(f"fuzzing {address}", len(made)) as progress:
        report = probe.run(
            address,
            made,
            document,
            slots=schema.max_concurrency(schema.served_class(model)),
            occupy=fuzzing.longest(document, examples[-1], limits),
            timeout=timeout,
            progress=progress,
        )
    print(summary(report))
    if report.failures and not url:
        print(f"To reproduce one: make serve, then its command; {address} was stopped.")
    for failure in report.failures:
        print(f"\n{failure.case}: {failure.reason}\n  {failure.curl.replace(address, url or local_server.SERVED)}")
    return command.REFUSED if report.failures else 0


def summary(report: probe.Report) -> str:
    """One line: the number of cases with each outcome."""
    outcomes = ", ".join(f"{number} {outcome}" for outcome, number in sorted(report.outcomes.items()))
    return f"{report.sent} cases in {report.seconds:.0f} s: {outcomes}; {len(report.failures)} failures"


@contextmanager
def _served(model: Manifest, url: str) -> Iterator[str]:
    """The address of a ready server: the one at `url`, or one that is started until the block ends.

    Raises:
        ServerError: there is none at `url`, or it could not start.
    """
    if url:
        local_server.check_served(url)
        yield url
        return
    weights.ensure(model, runtimes.choose(model))
    with ExitStack() as until_the_end:
        with console.stderr().status("starting the server"):
            address, _ = until_the_end.enter_context(local_server.running(model))
        yield address


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
