"""A folder of safetensors as transformers loads it: the language model alone, whole, and nothing made up.

https://huggingface.co/docs/transformers/main_classes/model (from_pretrained)
"""

import contextlib
from pathlib import Path
from typing import Any

from models.errors import EngineError

_RENAMED = {"num_local_experts": "num_experts"}
"""Keys of config.json that newer versions of transformers write under another name than older ones read."""


def load(folder: Path, **options: Any) -> Any:
    """The language model of a folder; of a multimodal one the part that `text_config` describes.

    Transformers only warns of tensors that are missing and goes on with random ones: here they are refused. Its report
    counts as missing neither tied weights nor what the architecture does not need, and as unexpected nothing that the
    architecture is known to leave unused. `options`: of from_pretrained.

    Raises:
        EngineError: names tensors that are missing, unexpected or of another shape.
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
        if type(error) is not RuntimeError:  # no memory left, for instance
            raise
        raise EngineError(f"{folder} does not fit its config.json, as reported above: {remedy}") from error
    wrong = [
        f"{len(names)} {word} ({', '.join(sorted(names)[:3])})"
        for word, names in (("missing", report["missing_keys"]), ("unexpected", report["unexpected_keys"]))
        if names
    ]
    if wrong:
        raise EngineError(f"{folder} is no whole model, tensors: {' and '.join(wrong)}; {remedy}")
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
    """The tensors of a multimodal checkpoint's language model, under the names that it has by itself.

    Checkpoints have them as `language_model.model.NAME`, `model.language_model.NAME` and the like.
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
