"""transformers: which downloaded files it loads as they are, and how its own files are made from a GGUF."""

from collections.abc import Sequence
from pathlib import Path

from models.weights import gguf_format

PACKAGES = ("torch", "transformers", "accelerate", "safetensors")
CONVERTER = ("transformers", "safetensors", "gguf")
EDITION = "3"


def reads(names: Sequence[str]) -> bool:
    """Whether the downloaded files are a model as transformers saves it."""
    return "config.json" in names and any(name.endswith(".safetensors") for name in names)


def convert(source: Path, folder: Path, dtype: str) -> None:
    """Make safetensors, configuration and tokenizer from a GGUF, once, and compare their results with its results.

    Raises:
        EngineError, WeightsError: a part of the GGUF cannot be read, or the results differ.
    """
    from models.runtimes.gguf import text, to_safetensors

    gguf = gguf_format.read(source)
    to_safetensors.write(gguf, folder, dtype)
    text.write(gguf, folder)
