"""Runs an encoder with torch and transformers, on CUDA or the CPU. https://huggingface.co/docs/transformers"""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models.encoders import checkpoint
from models.encoders.tokens import Tokens, padded
from models.engine import EngineChoice
from models.errors import EngineError


def load(choice: EngineChoice, folder: Path) -> "TransformersEncoder":
    """Load the safetensors onto the chosen device."""
    return TransformersEncoder(choice, folder)


class TransformersEncoder:
    """Computes in the manifest's dtype."""

    budget = 16384
    most_texts = 128
    workers = 1

    def __init__(self, choice: EngineChoice, folder: Path) -> None:
        import torch

        if choice.device == "cuda" and not torch.cuda.is_available():
            raise EngineError("torch cannot use this machine's GPU: check that nvidia-smi works and fits torch")
        self._model = checkpoint.load(folder, dtype=getattr(torch, choice.dtype), device_map=choice.device).eval()
        self._inputs = set(inspect.signature(self._model.forward).parameters)
        self._pad_id = self._model.config.pad_token_id or 0
        self.name, self.device, self.dtype, self.folder = choice.engine, choice.device, choice.dtype, folder

    def run(self, batch: Sequence[Tokens]) -> Any:
        import torch

        given = {
            name: torch.from_numpy(values).to(self.device)
            for name, values in padded(batch, self._pad_id).items()
            if name in self._inputs
        }
        with torch.inference_mode():
            return checkpoint.output(self._model(**given)).float().cpu().numpy()
