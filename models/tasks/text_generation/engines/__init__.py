"""What runs text generation: token ids in, token ids out as they come. `start` loads the engine of the manifest."""

import importlib
import time
from pathlib import Path
from types import ModuleType

from models import runtimes, weights
from models.tasks.text_generation.engines import memory
from models.tasks.text_generation.engines.interface import Engine, Generation, Logits, Sampling
from models.tasks.text_generation.manifest import EngineChoice, Manifest

_WARM_STREAMS = 16


def start(manifest: Manifest) -> Engine:
    """Load the first engine of the manifest that this machine can run, and warm it up; logs its name and settings.

    Raises:
        EngineError: no engine can run here.
        WeightsError: its weights are missing or damaged.
    """
    engine: Engine = runtimes.start(manifest, lambda choice, folder: load(manifest, choice, folder))
    begun = time.monotonic()
    warm_up(engine)
    memory.release(engine.folder)
    print(
        f"{engine.name}: warmed up in {time.monotonic() - begun:.1f} s; {engine.dtype} with {engine.attention}, "
        f"a cache of {engine.cache_tokens} tokens"
    )
    return engine


def logits(manifest: Manifest) -> Logits:
    """A function that computes a text's logits as the chosen engine does, to evaluate it. The weights must be present.

    Raises:
        EngineError: no engine can run here.
    """
    choice = runtimes.choose(manifest)
    folder = weights.folder(manifest.slug, runtimes.part_of(manifest, choice))
    computing: Logits = _module(choice.engine).logits(manifest, choice, folder)
    return computing


def load(manifest: Manifest, choice: EngineChoice, folder: Path) -> Engine:
    """Load the weights in `folder` with the engine `choice`; models/runtimes has prepared them for it."""
    engine: Engine = _module(choice.engine).start(manifest, choice, folder)
    return engine


def _module(engine: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{engine}")


def warm_up(engine: Engine) -> None:
    """Generate with one stream and with many, so that the first prediction is as fast as later ones."""
    prompt = range(5)
    sampling = Sampling(max_tokens=2, temperature=0, top_p=1, top_k=0, repetition_penalty=1, seed=0)
    for streams in (1, _WARM_STREAMS):
        generations = [Generation(prompt, sampling) for _ in range(streams)]
        for generation in generations:
            engine.submit(generation)
        for generation in generations:
            for _ in generation:
                pass
