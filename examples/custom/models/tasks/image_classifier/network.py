"""The network, and what it reads of a picture: put yours here. torch is imported here, so import this in functions."""

import numpy
import torch
from PIL import Image, ImageOps
from torch import nn

_SIDE = 32


class Network(nn.Module):  # type: ignore[misc]
    """Of float32[pictures, 3, 32, 32], from 0 to 1, the logits: float32[pictures, labels]."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(16 * 8 * 8, labels),
        )

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.layers(pixels)


def pixels_of(picture: Image.Image) -> torch.Tensor:
    """float32[3, 32, 32], from 0 to 1: the picture upright, in colour, in the size that the network was trained on."""
    small = ImageOps.exif_transpose(picture).convert("RGB").resize((_SIDE, _SIDE))
    return torch.from_numpy(numpy.array(small, numpy.float32) / 255).permute(2, 0, 1)
