"""python -m scripts.benchmark.bare_engine

The engine without Cog: reads a JSON list of prompts a line, runs them at once, writes the sample as one JSON line.
"""

import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import asdict
from functools import partial

from models.manifest import selected_as
from models.tasks.text_generation import engines
from models.tasks.text_generation.engines.interface import Engine, Generation, Sampling
from models.tasks.text_generation.manifest import Manifest
from models.tasks.text_generation.model_text import ModelText
from scripts.benchmark import load
from scripts.cli import command


def main(argv: list[str]) -> int:
    """Answer until standard input ends; 0 then."""
    return command.run(answer, argv, "scripts.benchmark.bare_engine")


def answer() -> None:
    """Run the prompts of each line that comes in."""
    with redirect_stdout(sys.stderr):
        model = selected_as(Manifest)
        engine = engines.start(model)
        text = ModelText(engine.folder, model)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps(asdict(_run(engine, text, json.loads(line)))), flush=True)


def _run(engine: Engine, text: ModelText, prompts: Sequence[str]) -> load.Sample:
    sampling = Sampling(load.OUTPUT_TOKENS, 0, 1, 0, 1, 0, text.end_ids)
    generations = [Generation(text.raw_ids(prompt), sampling) for prompt in prompts]
    started = time.perf_counter()
    for generation in generations:
        engine.submit(generation)
    with ThreadPoolExecutor(len(generations)) as pool:
        streams = list(pool.map(partial(_read, started=started), generations))
    return load.summed(streams, time.perf_counter() - started)


def _read(generation: Generation, started: float) -> load.Stream:
    stream = load.Stream(input_tokens=len(generation.prompt_ids))
    for token_ids in generation:
        now = time.perf_counter() - started
        stream.first = stream.first or now
        stream.arrivals.append(now)
        stream.output_tokens += len(token_ids)
    return stream


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
