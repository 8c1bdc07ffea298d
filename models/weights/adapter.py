"""The adapter of a model: pins it in the model's lock, and refuses one that cannot be merged into the model.

https://huggingface.co/docs/peft/developer_guides/checkpoint
"""

import sys
from pathlib import Path

from models.errors import WeightsError
from models.facts import AdapterFacts
from models.manifest import Manifest
from models.weights import formats, model_facts, sources
from models.weights.download import Progress
from models.weights.lock import Lock

_KIND, _FILES = "LORA", (formats.ADAPTER_CONFIG, "adapter_model.safetensors")
_REMEDY = "name another under weights.adapter"


def added(model: Lock, manifest: Manifest, folder: Path, progress: Progress) -> Lock:
    """The lock of a model with the adapter that its manifest names, if any. Files that were downloaded are in `folder`.

    Raises:
        WeightsError: the source refuses, or the adapter cannot be merged into the model.
    """
    named = manifest.weights.adapter
    if model.facts.adapter:
        raise WeightsError(
            f"{model.resolved} is an adapter of {model.facts.adapter.base}: set weights.source to its base model, and "
            "weights.adapter.source to this one"
        )
    if named is None:
        return model
    folder.mkdir(exist_ok=True)
    try:
        lock: Lock = sources.module(named.source).lock(named, folder, progress)
    except WeightsError as error:
        raise WeightsError(f"weights.adapter: {error}") from error
    if not any(folder.iterdir()):
        folder.rmdir()
    if lock.facts.adapter is None or not lock.files.keys() >= set(_FILES):
        raise WeightsError(f"{lock.resolved} is no adapter: it does not have {' and '.join(_FILES)}; {_REMEDY}")
    if lock.facts.adapter.peft_type != _KIND:
        raise WeightsError(
            f"{lock.resolved} is an adapter of the kind {lock.facts.adapter.peft_type}, not {_KIND}: {_REMEDY}"
        )
    if model_facts.CONFIG not in model.files or not any(name.endswith(".safetensors") for name in model.files):
        raise WeightsError(
            f"an adapter is merged into safetensors with a config.json, which {model.resolved} does not have: set "
            "weights.source to the base model's repository"
        )
    _warn_of_another_base(lock.facts.adapter, manifest)
    return model.with_adapter(lock)


def described(lock: Lock) -> str:
    """The adapter that is merged into the model, and its rank; empty if there is none."""
    if not lock.adapter or not lock.facts.adapter:
        return ""
    return f"{lock.adapter.resolved} (LoRA of rank {lock.facts.adapter.rank})"


def _warn_of_another_base(facts: AdapterFacts, manifest: Manifest) -> None:
    source = manifest.weights.source
    bases = {source.removeprefix("hf://").rpartition("@")[0], source.removeprefix("file:")}
    bases |= {manifest.base.model} if manifest.base else set()
    if facts.base and facts.base not in bases:
        print(
            f"the adapter says that it was trained on {facts.base}, and weights.source is {source}: check that these "
            "are the same weights",
            file=sys.stderr,
        )
