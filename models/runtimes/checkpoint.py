"""Loads a language model with transformers from a folder of safetensors, and refuses missing or unexpected tensors.

https://huggingface.co/docs/transformers/main_classes/model (from_pretrained)
"""

import contextlib
from pathlib import Path
from typing import Any

from models.errors import EngineError

_RENAMED = {"num_local_experts": "num_experts"}
"""Keys of config.json: the name that newer versions of transformers write, and the name that older versions read."""


def load(folder: Path, **options: Any) -> Any:
    """The language model in a folder; for a multimodal model, the part that `text_config` describes.

    If tensors are missing, transformers only warns and uses random values: here that is an error. Its report leaves out
    tied weights, tensors that the architecture does not need, and those that it is known not to use. `options`: passed
    to from_pretrained.

    Raises:
        EngineError: tensors are missing, unexpected or have another shape; names them.
    """
    import transformers

    remedy = "take the weights from another source"
    config = transformers.AutoConfig.from_pretrained(folder)
    text = config.get_text_config(decoder=True)
    for newer, older in _RENAMED.items():
        if hasattr(text, newer) and hasattr(text, older):
            setattr(text, older, getattr(text, newer))
    is_part = text is not config
    tensors = {"state_dict": _language_tensors(folder)} if is_part else {}
    try:
        model, report = _class_of(text).from_pretrained(
            None if is_part else folder, config=text, output_loading_info=True, **tensors, **options
        )
    except RuntimeError as error:
        if type(error) is not RuntimeError:  # a subclass: out of memory, for example
            raise
        raise EngineError(f"{folder} does not fit its config.json, as reported above: {remedy}") from error
    wrong = [
        f"{len(names)} {word} ({', '.join(sorted(names)[:3])})"
        for word, names in (("missing", report["missing_keys"]), ("unexpected", report["unexpected_keys"]))
        if names
    ]
    if wrong:
        raise EngineError(f"{folder} is not a complete model, tensors: {' and '.join(wrong)}; {remedy}")
    if is_part:
        with contextlib.suppress(OSError):  # there is none
            model.generation_config = transformers.GenerationConfig.from_pretrained(folder)
    return model


def _class_of(config: Any) -> Any:
    import transformers

    try:
        return transformers.MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    except KeyError:
        raise EngineError(
            f"transformers {transformers.__version__} knows no language model of the type {config.model_type}: "
            "take another model"
        ) from None


def _language_tensors(folder: Path) -> dict[str, Any]:
    """The language model's tensors in a multimodal checkpoint, renamed as a plain language model has them.

    A checkpoint names them `language_model.model.NAME`, `model.language_model.NAME` or similar.
    """
    import safetensors

    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safetensors.safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                _, inside, rest = name.rpartition("language_model.")
                if inside or name.startswith("lm_head."):
                    own = inside and not rest.startswith(("model.", "lm_head."))
                    found[f"model.{rest}" if own else rest] = file.get_tensor(name)
    return found
