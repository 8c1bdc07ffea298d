"""Loads an encoder with transformers from a folder of safetensors, and refuses missing tensors."""

import re
from pathlib import Path
from typing import Any

from models.errors import EngineError
from models.facts import Facts
from models.json_files import read_json
from models.manifest import Manifest, path_of

_HEAD = "ForSequenceClassification"
_UNUSED = re.compile(r"(.*\.)?(pooler|position_ids|lm_head|cls|classifier|mask_predictions|lm_predictions)\b.*")
"""Tensors that hidden states do not depend on: those of a pooler and of heads for other tasks."""


def is_classifier(folder: Path) -> bool:
    """Whether config.json names a sequence classifier, whose output is logits. Other models return hidden states."""
    named = read_json(folder / "config.json").get("architectures") or []
    return any(str(name).endswith(_HEAD) for name in named)


def check(model: Manifest, facts: Facts) -> None:
    """Refuse weights that no engine runs, by what their files say.

    Raises:
        EngineError: the model needs code of its repository.
    """
    if facts.has_code:
        raise EngineError(
            f"{path_of(model.slug)}: {facts.architecture} needs code of its repository, which is never run: take a "
            "model whose config.json has no auto_map"
        )


def load(folder: Path, **options: Any) -> Any:
    """The model. `options`: passed to from_pretrained.

    Raises:
        EngineError: transformers does not know the architecture, or tensors are missing; names them.
    """
    import transformers

    has_head = is_classifier(folder)
    kind = transformers.AutoModelForSequenceClassification if has_head else transformers.AutoModel
    try:
        model, report = kind.from_pretrained(folder, output_loading_info=True, **options)
    except (ValueError, KeyError) as error:
        raise EngineError(f"transformers {transformers.__version__} cannot load {folder}: {error}") from error
    missing = [name for name in report["missing_keys"] if has_head or not _UNUSED.fullmatch(name)]
    missing += [name for name, *_ in report.get("mismatched_keys", [])]
    if missing:
        raise EngineError(
            f"{folder} is not a complete model: {len(missing)} tensors are missing ({', '.join(sorted(missing)[:3])}); "
            "take the weights from another source"
        )
    return model


def output(computed: Any) -> Any:
    """The part of the model's output that `Encoder.run` returns."""
    return computed.logits if "logits" in computed else computed.last_hidden_state
