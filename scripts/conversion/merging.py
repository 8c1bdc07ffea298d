""".venv-optimum/bin/python -m scripts.conversion.merging KIND SOURCE FOLDER FORMAT

Runs in the converter's own environment: merges the adapter in SOURCE/adapter into the safetensors in SOURCE, and writes
the merged model with its numbers in FORMAT, and the tokenizer and configuration. KIND: decoder (a language model) or
encoder. https://huggingface.co/docs/peft/developer_guides/lora#merge-lora-weights-into-the-base-model
"""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from models.encoders import checkpoint as encoders
from models.errors import EngineError, in_words
from models.runtimes import checkpoint as decoders
from models.weights import formats
from scripts.conversion import environment

_REMEDY = "take the adapter's own base model as weights.source, or another adapter"


def make(kind: str, source: Path, folder: Path, weight_format: str) -> None:
    """Run this module in the converter's environment.

    Raises:
        EngineError: the environment cannot be made, or the adapter does not fit.
    """
    environment.run("merging", kind, str(source), str(folder), weight_format)


def main(argv: list[str]) -> int:
    """Merge; 0 if FOLDER has all files, 1 with a reason on standard error."""
    failure = f"peft cannot merge {{source}}/{formats.ADAPTER} ({{reason}}): {_REMEDY}"
    return environment.main(merge, argv, failure)


def merge(kind: str, source: Path, folder: Path, weight_format: str) -> None:
    """Write the merged model into `folder`, which must exist.

    Raises:
        TemplateError: the source is not a complete model, or the adapter does not fit it.
    """
    import peft
    import torch

    adapter = source / formats.ADAPTER
    loaders: dict[str, Any] = {"decoder": decoders, "encoder": encoders}
    model = loaders[kind].load(source, dtype=torch.float32)
    config = peft.LoraConfig.from_pretrained(adapter)
    _check(adapter, config, "CAUSAL_LM" if kind == "decoder" else _task_of_encoder(source))
    adapted = peft.get_peft_model(model, config)
    try:
        report = adapted.load_adapter(adapter, "default", torch_device="cpu")
    except RuntimeError as error:
        sizes = [line.strip() for line in str(error).splitlines() if "size mismatch" in line]
        raise EngineError(f"{adapter} does not fit the model: {(sizes or [in_words(error)])[0]}; {_REMEDY}") from error
    wrong = [
        f"{len(names)} {word} ({', '.join(sorted(names)[:3])})"
        for word, names in (("missing", report.missing_keys), ("unexpected", report.unexpected_keys))
        if names
    ]
    if wrong:
        raise EngineError(f"{adapter} does not fit the model, tensors: {' and '.join(wrong)}; {_REMEDY}")
    merged = adapted.merge_and_unload(safe_merge=True).to(getattr(torch, weight_format))
    merged.save_pretrained(folder)
    copy_other_files(source, folder)  # after saving, which rewrites some of them


def _check(adapter: Path, config: Any, task: str) -> None:
    """Refuse adapters that peft would load with only a warning, or incompletely.

    Raises:
        EngineError: it is for another task, or uses a feature of a newer peft that this one does not know.
    """
    import peft

    if config.task_type not in (None, task):
        raise EngineError(f"{adapter} is an adapter for {config.task_type}, and the model is one for {task}: {_REMEDY}")
    written = json.loads((adapter / formats.ADAPTER_CONFIG).read_text(encoding="utf-8"))
    unknown = [key for key in sorted(set(written) - set(config.to_dict())) if written[key]]
    if unknown:
        raise EngineError(
            f"{adapter} says {', '.join(unknown)}, which peft {peft.__version__} does not know: {_REMEDY}"
        )


def _task_of_encoder(source: Path) -> str:
    return "SEQ_CLS" if encoders.is_classifier(source) else "FEATURE_EXTRACTION"


def copy_other_files(source: Path, folder: Path) -> None:
    """Copy the files of a model that are neither weights nor its adapter."""
    for path in source.rglob("*"):
        name = path.relative_to(source)
        is_kept = path.is_file() and name.parts[0] != formats.ADAPTER
        if is_kept and not path.name.endswith((".safetensors", ".safetensors.index.json")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
