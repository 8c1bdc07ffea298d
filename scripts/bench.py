"""python -m scripts.bench [--repeats 3] [--streams 1,2,4,8,16] [--url http://127.0.0.1:5000] [--only server,baseline]

Measures the bare engine, this project's Cog server, its container, any other Cog server by its URL, and a baseline like
Cog's streaming example; writes benchmarks/<model>/<machine>.json and a chart.
"""

import datetime
import importlib.util
import itertools
import json
import platform
import shutil
import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Annotated, Any

import typer
from rich.progress import Progress
from rich.table import Table

from models import manifest, runtimes
from models.engine import EngineChoice
from models.errors import TemplateError
from models.manifest import PROJECT, Manifest
from scripts import tasks
from scripts.benchmark import load, loading, machine, report, subjects
from scripts.cli import command, console, repository
from scripts.conversion import weights
from scripts.release import image

LABELS = {
    "baseline": "Cog's streaming example (baseline)",
    "peer": "llama.cpp, bare, on the same GGUF",
    "engine": "the bare engine",
    "server": "this template's Cog server",
    "container": "its container",
    "url": "the server at the given URL",
}
PACKAGES = ("cog", "coglet", "openvino-genai", "torch", "transformers", "xllamacpp")
_WARM_UP = 2
_SINGLE_RUNS = 4  # runs of one stream in each repeat, half as many of two: short runs are easily disturbed
Runs = list[list[load.Inputs]]
"""The inputs of each run, one for each stream."""
Start = Callable[[], AbstractContextManager[subjects.Subject]]


def main(argv: list[str]) -> int:
    """Measure; 0 if it was done, regardless of the figures."""
    return command.run(bench, argv, "scripts.bench")


def bench(
    repeats: Annotated[int, typer.Option(min=1)] = 3,
    streams: Annotated[str, typer.Option(help="numbers of streams, separated by commas")] = "1,2,4,8,16",
    only: Annotated[str, typer.Option(help=f"some of {', '.join(LABELS)}, separated by commas")] = "",
    url: Annotated[str, typer.Option(help="another Cog server to compare with")] = "",
    starts: Annotated[int, typer.Option(min=1, help="starts of each, after one that is not timed")] = 5,
) -> None:
    """Measure and write the receipt."""
    model, counts = manifest.selected(), _counts(streams)
    choice = runtimes.choose(model)
    is_usual = choice == model.engine_on(choice.device)
    wanted = _wanted(model, is_usual, only, url)
    measured_with = tasks.load(model)
    runs = _runs(measured_with, counts, repeats)
    receipt = _receipt(model, choice, counts, repeats, measured_with.unit)
    receipt |= _measure(model, choice, wanted, url, measured_with, runs, starts)
    target = PROJECT / "benchmarks" / model.slug / receipt["machine"]["slug"]
    if only or not is_usual:
        why = "--only left subjects out" if only else f"{choice.engine} is not the first engine for {choice.device}"
        print(f"no receipt is written, because {why}", file=sys.stderr)
    else:
        target.parent.mkdir(exist_ok=True)
        target.with_suffix(".json").write_text(json.dumps(receipt, indent=2) + "\n", encoding="utf-8")
        report.draw(receipt, target)
        print(f"wrote {target.relative_to(PROJECT)}.json, .png and .svg; README.md: make render", file=sys.stderr)
    _print(receipt, counts, tasks.attribute(model, "TARGETS", report.TARGETS))


def _counts(streams: str) -> list[int]:
    """The numbers of streams that the command line names.

    Raises:
        UsageError: one of them is not a number of streams.
    """
    named = streams.split(",")
    if wrong := [count for count in named if not count.isdigit() or int(count) < 1]:
        raise command.UsageError(f"{wrong[0]!r} is not a number of streams: write --streams 1,8,16")
    return [int(count) for count in named]


def _runs(measured_with: load.Load, counts: list[int], repeats: int) -> Runs:
    """The runs of each subject; no input is used twice if a repeated one would be answered faster."""
    inputs = measured_with.inputs
    repeat = [count for count in counts for _ in range(max(_SINGLE_RUNS // count, 1))]
    most = (len(inputs) - _WARM_UP) // sum(repeat)
    if repeats > most and not measured_with.may_repeat:
        raise command.UsageError(f"there are inputs for {most} repeats of {sum(repeat)} streams, not for {repeats}")
    unused = itertools.cycle(inputs)
    return [list(itertools.islice(unused, count)) for _ in range(repeats) for count in repeat]


def _measure(
    model: Manifest,
    choice: EngineChoice,
    wanted: list[str],
    url: str,
    measured_with: load.Load,
    runs: Runs,
    count: int,
) -> dict[str, Any]:
    task, peer = tasks.of(model), tasks.attribute(model, "PEER", None)
    faithfulness = tasks.attribute(model, "FAITHFULNESS", None)
    weights.ensure(model, choice)
    if "baseline" in wanted:
        weights.ensure(model, next(one for one in model.engines if one.engine == "transformers"))
    tag = f"{model.slug}:{choice.device}"
    if "container" in wanted:
        image.build(model, choice.device, tag)
    starting: dict[str, Start] = {
        "baseline": partial(subjects.baseline, model, tasks.attribute(model, "BASELINE", ""), measured_with),
        "peer": partial(subjects.bare_engine, model, choice, getattr(peer, "__name__", ""), measured_with),
        "engine": partial(subjects.bare_engine, model, choice, task.__name__, measured_with),
        "server": partial(subjects.local, model, measured_with),
        "container": partial(subjects.container, tag, measured_with),
        "url": partial(subjects.served, url, measured_with),
    }
    with ExitStack() as stack, Progress(console=console.stderr(), transient=True) as progress:
        starts = _starts({name: starting[name] for name in wanted}, count, progress)
        running = {name: stack.enter_context(starting[name]()) for name in wanted}
        samples = _samples(running, measured_with.inputs[-_WARM_UP:], runs, progress)
        measured = {
            name: {
                "start_seconds": round(statistics.median(starts[name]), 2),
                "peak_memory_mb": round(subject.peak_memory() / 1e6),
                "streams": {str(count): report.row(of_count) for count, of_count in samples[name].items()},
            }
            for name, subject in running.items()
        }
    return {
        "subjects": measured,
        "faithfulness": faithfulness(model, choice.engine) if faithfulness else {},
        "loading": loading.measured(model, choice.engine, task.__name__) if hasattr(task, "load_engine") else {},
        "deliveries": _deliveries(model, tag, measured_with) if "container" in wanted else {},
    }


def _deliveries(model: Manifest, tag: str, measured_with: load.Load) -> dict[str, float]:
    """A container's start by delivery of its weights; an error here does not discard the other measurements."""
    try:
        return loading.deliveries(model, tag, measured_with)
    except TemplateError as error:
        print(f"the start with fetched weights was not measured: {error}", file=sys.stderr)
        return {}


def _starts(starting: dict[str, Start], count: int, progress: Progress) -> dict[str, list[float]]:
    """Seconds to each subject's first output; each is started alone and stopped, in turn, the first time to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in starting}
    for _ in progress.track(range(1 + count), description="starting"):
        for name, start in starting.items():
            with start() as subject:
                seconds[name].append(subject.start_seconds)
    return {name: measured[1:] for name, measured in seconds.items()}


def _samples(
    running: dict[str, subjects.Subject], warm_up: Sequence[load.Inputs], runs: Runs, progress: Progress
) -> dict[str, dict[int, list[load.Sample]]]:
    """Warm up, then do each run with every subject in turn; by subject and number of streams."""
    for subject in running.values():
        subject.run(warm_up)
    samples: dict[str, dict[int, list[load.Sample]]] = {name: {} for name in running}
    task = progress.add_task("measuring", total=len(runs) * len(running))
    for inputs in runs:
        for name, subject in running.items():
            progress.update(task, description=f"{name}, {len(inputs)} streams")
            samples[name].setdefault(len(inputs), []).append(subject.run(inputs))
            progress.advance(task)
    return samples


def _receipt(model: Manifest, choice: EngineChoice, counts: list[int], repeats: int, unit: str) -> dict[str, Any]:
    return {
        "model": model.title,
        "date": datetime.date.today().isoformat(),
        "commit": repository.commit(),
        "machine": machine.described(choice),
        "versions": {"python": platform.python_version()} | machine.versions(PACKAGES),
        "settings": {
            "engine": choice.model_dump(),
            "streams": counts,
            "repeats": repeats,
            "unit": unit,
        },
        "labels": LABELS,
    }


def _wanted(model: Manifest, is_usual: bool, only: str, url: str) -> list[str]:
    """The subjects to measure: those in `only`, or all possible ones. An image has only its device's usual engine.

    Raises:
        UsageError: `only` names something that is not a subject or cannot be measured.
    """
    missing = {
        "baseline": _without_baseline(model),
        "engine": "" if hasattr(tasks.of(model), "bare_engine") else "an engine that its task runs without Cog",
        "peer": _without_peer(model),
        "container": "" if shutil.which("cog") and shutil.which("docker") else "cog and Docker (make doctor)",
        "url": "" if url else "a server's --url",
    }
    if not is_usual:
        missing["container"] = "the engine that images contain: leave ENGINE out"
    names = only.split(",") if only else [name for name in LABELS if not missing.get(name)]
    for name in names:
        if name not in LABELS:
            raise command.UsageError(f"there is no subject {name!r}: {', '.join(LABELS)}")
        if reason := missing.get(name):
            raise command.UsageError(f"{name} cannot be measured without {reason}")
    if not only and missing["container"]:
        print(f"no container is measured without {missing['container']}", file=sys.stderr)
    return names


def _without_baseline(model: Manifest) -> str:
    """What is missing for the baseline, or "": it reads the weights with transformers."""
    if not hasattr(tasks.of(model), "BASELINE"):
        return f"an example of Cog's for the task {model.task}"
    return "" if any(one.engine == "transformers" for one in model.engines) else "an engine transformers"


def _without_peer(model: Manifest) -> str:
    """What it lacks, if anything: it is a package of the development environment, and reads its own format."""
    peer = tasks.attribute(model, "PEER", None)
    if peer is None or not peer.reads(model):
        return f"a library that the task {model.task} compares with, and weights in its format"
    return "" if importlib.util.find_spec(peer.PACKAGE) else f"the package {peer.PACKAGE} (make test installs it)"


def _print(receipt: report.Receipt, counts: list[int], targets: Sequence[report.Target]) -> None:
    output = console.stdout()
    table = Table(
        f"{receipt['settings']['unit']} a second", *[f"{count} streams" for count in counts], "start", "peak memory"
    )
    for name, measured in receipt["subjects"].items():
        rates = [f"{measured['streams'][str(count)]['per_second']:.0f}" for count in counts]
        table.add_row(LABELS[name], *rates, f"{measured['start_seconds']} s", f"{measured['peak_memory_mb']} MB")
    output.print(table, *report.faithfulness_lines(receipt), *report.loading_lines(receipt), sep="\n")
    held = Table("target", "bound", "measured", "")
    for target in targets:
        value, sign = target.value(receipt), "at least" if target.at_least else "at most"
        shown = "" if value is None else f"{value:.2f} {target.unit}"
        held.add_row(target.what, f"{sign} {target.bound:g} {target.unit}", shown, target.verdict(receipt))
    output.print(held)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
