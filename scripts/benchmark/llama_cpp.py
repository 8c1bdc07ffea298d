"""llama.cpp on the model's own GGUF, bare: what `make bench` compares the engine of text generation with."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from models import weights
from models.manifest import Manifest, selected
from scripts.benchmark.load import Inputs, Prediction, Sample, summed

PACKAGE = "xllamacpp"
"""The Python package with it, which only the development environment has."""
_SLOTS = 16
_SLOT_TOKENS = 512


def reads(model: Manifest) -> bool:
    """Whether the model's weights are in its format."""
    return bool(model.weights.source) and weights.are_gguf(model)


def bare_engine() -> Callable[[Sequence[Inputs]], Sample]:
    """Loads the GGUF with as many threads as there are processors; returns what runs inputs of the benchmark on it."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = str(weights.gguf_file(selected()))
    settings.n_parallel, settings.n_ctx = _SLOTS, _SLOTS * _SLOT_TOKENS
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = os.cpu_count() or 1
    settings.verbosity = 1  # errors alone
    server = xllamacpp.Server(settings)

    def run(inputs: Sequence[Inputs]) -> Sample:
        started = time.perf_counter()
        with ThreadPoolExecutor(len(inputs)) as pool:
            predictions = list(pool.map(partial(_predict, server, started), inputs))
        return summed(predictions, time.perf_counter() - started, "output_tokens")

    return run


def _predict(server: Any, started: float, inputs: Inputs) -> Prediction:
    found, usage = Prediction(), {}

    def arrived(piece: dict[str, Any]) -> bool:
        if "error" in piece or "code" in piece:
            raise RuntimeError(f"llama.cpp: {piece}")
        now = time.perf_counter() - started
        found.first = found.first or now
        found.arrivals.append(now)
        usage.update(piece.get("usage", {}))
        return False  # go on

    asked = {"prompt": inputs["prompt"], "max_tokens": inputs["max_tokens"], "temperature": 0, "stream": True}
    server.handle_completions(asked, arrived)
    found.sizes = {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]}
    return found
