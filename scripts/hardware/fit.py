"""Checks whether a model's weights, in their number format, and its cache fit the hardware in its manifest."""

from models.engine import EngineChoice
from models.errors import WeightsError
from models.facts import Facts
from models.manifest import Manifest, path_of
from models.weights.lock import lock_of
from scripts.hardware import replicate
from scripts.hardware.price_list import SHARE_FOR_WEIGHTS

_NONE_FITS = "no single GPU of Replicate has that much, and the engine uses one: take less"


def facts_of(model: Manifest) -> Facts:
    """The facts in weights.lock, if there is one, with the parameters of the manifest."""
    try:
        locked = lock_of(model).facts
    except WeightsError:
        locked = Facts()
    return locked.model_copy(update={"parameters": model.parameters})


def needed_gb(choice: EngineChoice, facts: Facts) -> tuple[float, float] | None:
    """The GB (10^9 bytes) of the weights, and of what the engine needs besides; None if the parameters are unknown."""
    weights = choice.weight_bytes(facts)
    return None if weights is None else (weights / 1e9, choice.gb_beside_weights * 2**30 / 1e9)


def refusal(model: Manifest, choice: EngineChoice, facts: Facts) -> str:
    """Why `choice` cannot run on `hardware.replicate`, and what to change; "" if it can, or if that is unknown."""
    needed, sku = needed_gb(choice, facts), model.hardware.replicate
    if choice.device != "cuda" or needed is None:
        return ""
    weights, beside = needed
    fitting = replicate.that_fit(weights + beside)
    where = f"{path_of(model.slug)}: hardware.replicate: {sku}"
    other = f"set it to {' or '.join(fitting[:2])}" if fitting else _NONE_FITS
    single, count = replicate.single(sku)
    if count > 1:
        return f"{where} has {count} GPUs, and the engine uses one: {other if fitting else f'set it to {single}'}"
    hardware = replicate.known().get(sku)
    if hardware and not hardware.gpu:
        return f"{where} has no GPU, and the engine is for cuda: {other}"
    if hardware is None or weights + beside <= hardware.memory_gb * SHARE_FOR_WEIGHTS:
        return ""
    return (
        f"{where} has {hardware.memory_gb:g} GB, of which {SHARE_FOR_WEIGHTS:.0%} are for weights and cache, and "
        f"{choice.described} needs {weights:.1f} GB of weights and {beside:.1f} GB beside them: "
        f"{other}{_smaller(choice)}"
    )


def _smaller(choice: EngineChoice) -> str:
    """A remark on the keys of the engine that reduce what it needs."""
    less = ", or lower cache_gb" if hasattr(choice, "cache_gb") else ""
    return less + (", or add quantisation: int4" if getattr(choice, "quantisation", "int4") is None else "")
