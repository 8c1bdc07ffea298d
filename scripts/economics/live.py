"""Measures seconds a prediction by its sizes, against a running Cog server, with the benchmark's load."""

import datetime
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from models import runtimes
from models.manifest import Manifest
from scripts import tasks
from scripts.benchmark import machine
from scripts.benchmark.load import Inputs, Load, Sample, run
from scripts.cli.progress import counted
from scripts.economics import receipts
from scripts.hardware.price_list import Hardware
from scripts.serving import local_server


def measure(url: str, model: Manifest, streams: Sequence[int], hardware: Hardware | None) -> Path:
    """Measure every size of prediction at every number of streams, and write the receipt; returns its path.

    `hardware`: where the server runs; None for this machine, which is not in the price list.

    Raises:
        ServerError: no Cog server is ready at `url`.
        TemplateError: the server refused a prediction.
    """
    local_server.check_served(url)
    load = tasks.load(model)
    kinds = tasks.attribute(model, "sweep", _examples)(model)
    runs, points = list(itertools.product(streams, kinds)), []
    run(url, [next(kinds[0])], load)  # to warm up
    with counted("measuring sizes", len(runs)) as progress:
        for done, (count, inputs) in enumerate(runs, start=1):
            points.append(_row(count, run(url, list(itertools.islice(inputs, count)), load), load))
            progress(done)
    where = _here(model) if hardware is None else _rented(hardware)
    receipt: dict[str, Any] = {
        "model": model.title,
        "date": datetime.date.today().isoformat(),
        **where,
        "points": points,
    }
    path = receipts.folder_of(model) / receipts.LENGTHS / f"{receipt['machine']['slug']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(receipt, indent=1) + "\n", encoding="utf-8")
    return path


def _here(model: Manifest) -> dict[str, Any]:
    choice = runtimes.choose(model)
    return {"machine": machine.described(choice), "device": choice.device, "hardware": ""}


def _rented(hardware: Hardware) -> dict[str, Any]:
    described = {"name": hardware.name, "slug": hardware.name.replace("/", "-"), "cores": hardware.cores}
    return {"machine": described, "device": "cuda" if hardware.gpu else "cpu", "hardware": hardware.name}


def _row(streams: int, sample: Sample, load: Load) -> dict[str, Any]:
    """The sizes that a price can be for, as the server counted them, on average: a prediction can end early."""
    counted = {name: sample.sizes[name] for name in receipts.SIZES if name in sample.sizes}
    sizes = {name: round(sum(found) / len(found), 1) for name, found in counted.items()}
    return {"streams": streams, "seconds": round(sample.seconds / load.each, 4), **sizes}


def _examples(model: Manifest) -> list[Iterator[Inputs]]:
    """The manifest's examples, each again and again."""
    return [itertools.repeat(example.input) for example in model.examples]
