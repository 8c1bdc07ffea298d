"""How tokens are chosen if a prediction does not say: from the manifest, the model's own files, or this template.

https://huggingface.co/docs/transformers/main_classes/text_generation#transformers.GenerationConfig
"""

from collections.abc import Mapping
from typing import Any

_HERE = {"temperature": 0.7, "top_p": 0.95, "top_k": 50, "repetition_penalty": 1.0}
_WHERE_SAMPLED = {"temperature": 1.0, "top_p": 1.0, "top_k": 50, "repetition_penalty": 1.0}
"""The values for what generation_config.json leaves out if it has `do_sample: true`, as transformers documents them."""

_READ_ELSEWHERE = {"bos_token_id", "eos_token_id", "pad_token_id", "do_sample"}
_CHANGES_NOTHING = {
    "transformers_version",
    "_from_model_config",
    "use_cache",
    "cache_implementation",
    "trust_remote_code",
}
_NEUTRAL: dict[str, Any] = {
    "min_p": 0,
    "typical_p": 1,
    "epsilon_cutoff": 0,
    "eta_cutoff": 0,
    "num_beams": 1,
    "num_return_sequences": 1,
    "no_repeat_ngram_size": 0,
    "diversity_penalty": 0,
    "length_penalty": 1,
    "encoder_repetition_penalty": 1,
    "min_length": 0,
    "max_length": 20,
}
"""The values with which a key that is not supported here has no effect."""


def resolve(chosen: Mapping[str, float], generation_config: Mapping[str, Any]) -> dict[str, float]:
    """temperature, top_p, top_k and repetition_penalty. `chosen`: the manifest's values.

    `do_sample: false` in generation_config.json means a temperature of 0.
    """
    own = {name: float(value) for name, value in generation_config.items() if name in _HERE and value is not None}
    if generation_config.get("do_sample"):
        own = {**_WHERE_SAMPLED, **own}
    elif generation_config.get("do_sample") is False:
        own["temperature"] = 0
    if "top_k" in own:
        own["top_k"] = max(0, int(own["top_k"]))
    return {**_HERE, **own, **chosen}


def not_honoured(generation_config: Mapping[str, Any]) -> list[str]:
    """The keys of generation_config.json that have an effect which no engine here supports."""
    known = _HERE.keys() | _READ_ELSEWHERE | _CHANGES_NOTHING
    return sorted(
        key
        for key, value in generation_config.items()
        if key not in known and value not in (None, False, [], {}) and _NEUTRAL.get(key) != value
    )
