"""Text encoders: models that read a whole text at once and return numbers, shared by embedding and classification.

`start` loads one on OpenVINO or on transformers; models/encoders/tokens.py makes its input, and pooling.py makes
vectors from its output. https://huggingface.co/docs/transformers/glossary#encoder-models
"""

import importlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from models import runtimes
from models.batching import Batcher
from models.encoders.tokens import Tokens
from models.engine import EngineChoice
from models.manifest import Manifest

_WARM_TEXTS = (1, 16)
_WARM_TOKENS = 16


class Encoder(Protocol):
    """A loaded model. Up to `workers` threads may call `run` at the same time."""

    name: str
    device: str
    dtype: str
    """The number format that it computes in."""
    folder: Path
    """The folder with its files and the model's tokenizer."""
    budget: int
    """The most tokens that one batch should have, padding included."""
    most_texts: int
    """The most texts that one batch should have."""
    workers: int

    def run(self, batch: Sequence[Tokens]) -> Any:
        """Hidden states, float32[texts, tokens, width]; for a classifier logits, float32[texts, labels]."""


def start(manifest: Manifest) -> Encoder:
    """Load the first engine of the manifest that this machine can run, and warm it up; logs its name and format.

    Raises:
        EngineError: no engine can run here.
        WeightsError: its weights are missing or damaged.
    """
    encoder: Encoder = runtimes.start(manifest, load)
    begun = time.monotonic()
    for texts in _WARM_TEXTS:
        encoder.run([Tokens([0] * _WARM_TOKENS, [0] * _WARM_TOKENS)] * texts)
    print(f"{encoder.name}: warmed up in {time.monotonic() - begun:.1f} s; computes in {encoder.dtype}")
    return encoder


def load(choice: EngineChoice, folder: Path) -> Encoder:
    """Load the weights in `folder` with the engine `choice`; models/runtimes has prepared them for it."""
    encoder: Encoder = importlib.import_module(f"{__name__}.{choice.engine}").load(choice, folder)
    return encoder


def batcher(encoder: Encoder, run: Callable[[Sequence[Tokens]], Any]) -> Batcher[Tokens, Any]:
    """Collects texts in batches as large as `encoder` takes, and computes each with `run`."""
    return Batcher(run, lambda tokens: len(tokens.ids), encoder.budget, encoder.most_texts, encoder.workers)
