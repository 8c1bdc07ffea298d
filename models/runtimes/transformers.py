"""transformers: which downloaded files it loads as they are, and how its own files are made from a GGUF."""

from collections.abc import Sequence
from pathlib import Path

from models.weights import formats, gguf_format

PACKAGES = ("torch", "transformers", "accelerate", "safetensors")
CONVERTER = ("transformers", "safetensors", "gguf")
EXPORTER = {"peft": "0.21.2", "edition": "1"}
"""What merges an adapter into a model: requirements/optimum.txt, and the edition of scripts/conversion/merging.py."""
EDITION = "3"


def reads(names: Sequence[str]) -> bool:
    """Whether the downloaded files are a model as transformers saves it, with no adapter to merge."""
    is_model = "config.json" in names and any(name.endswith(".safetensors") for name in names)
    return is_model and not formats.has_adapter(names)


def exports(names: Sequence[str]) -> bool:
    """Whether an exporter makes its files from the downloaded ones: it merges an adapter into the model."""
    return formats.has_adapter(names)


def convert(source: Path, folder: Path, dtype: str) -> None:
    """Make safetensors, configuration and tokenizer from a GGUF, once, and compare their results with its results.

    Raises:
        EngineError, WeightsError: a part of the GGUF cannot be read, or the results differ.
    """
    from models.runtimes.gguf import text, to_safetensors

    gguf = gguf_format.read(source)
    to_safetensors.write(gguf, folder, dtype)
    text.write(gguf, folder)
