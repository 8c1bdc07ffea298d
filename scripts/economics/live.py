"""Measures seconds a prediction by input and output length against a running Cog server, with the benchmark's load."""

import datetime
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from models import runtimes
from models.manifest import Manifest
from models.weights import PROJECT
from scripts.benchmark import load, machine
from scripts.cli.progress import counted
from scripts.economics import receipts
from scripts.economics.price_list import Hardware
from scripts.serving import local_server

INPUT_WORDS = (12, 100, 300)
OUTPUT_TOKENS = (8, 64, 192)


def measure(url: str, model: Manifest, streams: Sequence[int], hardware: Hardware | None) -> Path:
    """Measure every pair of lengths at every number of streams, and write the receipt; returns its path.

    `hardware`: where the server runs; None for this machine, which the price list does not have.

    Raises:
        ServerError: no Cog server is ready at `url`.
        TemplateError: it refused a prediction.
    """
    local_server.check_served(url)
    runs = list(itertools.product(streams, INPUT_WORDS, OUTPUT_TOKENS))
    texts, points = _texts(), []
    load.run(url, [next(texts)(INPUT_WORDS[0])], OUTPUT_TOKENS[0])  # to warm up
    with counted("measuring lengths", len(runs)) as progress:
        for done, (count, words, tokens) in enumerate(runs, start=1):
            prompts = [next(texts)(words) for _ in range(count)]
            begun = time.perf_counter()
            sample = load.run(url, prompts, tokens)
            seconds = time.perf_counter() - begun
            points.append(_row(count, sample, seconds))
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


def _row(streams: int, sample: load.Sample, seconds: float) -> dict[str, Any]:
    """The lengths as the server counted them: on average, where a prediction ended before its full length."""
    return {
        "streams": streams,
        "seconds": round(seconds, 4),
        "input_tokens": round(sum(sample.input_tokens) / streams, 1),
        "output_tokens": round(sum(sample.output_tokens) / streams, 1),
    }


def _texts() -> Iterator[Any]:
    """Prompts of any number of words, no two of which begin alike, so that a cache of one helps no other."""
    words = (PROJECT / "benchmarks" / "alice.txt").read_text(encoding="utf-8").split()
    for first in itertools.cycle(range(len(words))):
        rotated = words[first:] + words[:first]
        yield lambda count, rotated=rotated: " ".join((rotated * (count // len(rotated) + 1))[:count])
