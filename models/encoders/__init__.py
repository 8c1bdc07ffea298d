"""Encoders of text: models that read whole texts at once and give numbers, shared by the tasks that do.

`start` loads one on OpenVINO or on transformers; models/encoders/tokens.py makes its input, pooling.py vectors of its
output. https://huggingface.co/docs/transformers/glossary#encoder-models
"""

import importlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from models import runtimes
from models.encoders.tokens import Tokens
from models.manifest import EngineChoice, Manifest

_WARM_TEXTS = (1, 16)
_WARM_TOKENS = 16


class Encoder(Protocol):
    """A loaded model. `run` may be called by as many threads at a time as `workers` says."""

    name: str
    device: str
    dtype: str
    """What it computes in."""
    folder: Path
    """Where its files are, and with them the model's tokenizer."""
    budget: int
    """Tokens that one batch should have at most, padding included."""
    most_texts: int
    """Texts that one batch should have at most."""
    workers: int

    def run(self, batch: Sequence[Tokens]) -> Any:
        """Hidden states, float32[texts, tokens, width]; of a classifier logits, float32[texts, labels]."""


def start(manifest: Manifest) -> Encoder:
    """Load the first engine of the manifest that this machine can run, and warm it up; logs what it is.

    Raises:
        EngineError: no engine can run here.
        WeightsError: its weights are missing or not what they should be.
    """
    encoder: Encoder = runtimes.start(manifest, load)
    begun = time.monotonic()
    for texts in _WARM_TEXTS:
        encoder.run([Tokens([0] * _WARM_TOKENS, [0] * _WARM_TOKENS)] * texts)
    print(f"{encoder.name}: warmed up in {time.monotonic() - begun:.1f} s; computes in {encoder.dtype}")
    return encoder


def load(choice: EngineChoice, folder: Path) -> Encoder:
    """The engine `choice` with the weights in `folder`, which models/runtimes made ready for it."""
    encoder: Encoder = importlib.import_module(f"{__name__}.{choice.engine}").load(choice, folder)
    return encoder
