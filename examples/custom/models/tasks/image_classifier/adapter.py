"""The task's verb: a picture is read, and every label gets a score."""

from pathlib import Path
from typing import Any

from models import runtimes
from models.engine import EngineChoice
from models.errors import EngineError, InputError, in_words
from models.manifest import selected_as
from models.tasks.image_classifier.manifest import Manifest

_DECIMALS = 6


def load() -> "ImageClassifier":
    """Load the selected model's weights onto the best device there is.

    Raises:
        ManifestError, EngineError, WeightsError: each names what is wrong and the remedy.
    """
    model = selected_as(Manifest)

    def loaded(choice: EngineChoice, folder: Path) -> ImageClassifier:
        return ImageClassifier(model.labels, choice, folder)

    return runtimes.start(model, loaded)  # type: ignore[no-any-return]


class ImageClassifier:
    """A loaded model; `folder`: where its safetensors are."""

    def __init__(self, labels: list[str], choice: EngineChoice, folder: Path) -> None:
        import torch
        from safetensors.torch import load_file

        from models.tasks.image_classifier.network import Network

        (weights,) = folder.glob("*.safetensors")
        self._labels, self._place = labels, {"device": choice.device, "dtype": getattr(torch, choice.dtype)}
        network = Network(len(labels))
        try:
            network.load_state_dict(load_file(weights))
        except RuntimeError as error:
            raise EngineError(
                f"the weights are not those of Network ({in_words(error)}): train it again, then make weights-lock"
            ) from error
        self._network = network.to(**self._place).eval()

    def classify(self, image: Path, top_k: int) -> list[tuple[str, float]]:
        """The `top_k` labels with the highest scores, the highest first.

        Raises:
            InputError: the file is no picture.
        """
        import torch

        with torch.inference_mode():
            logits = self._network(_pixels(image)[None].to(**self._place))[0]
        scores = logits.float().softmax(dim=0).tolist()
        ranked = sorted(zip(self._labels, scores, strict=True), key=lambda one: -one[1])
        return [(label, round(score, _DECIMALS)) for label, score in ranked[:top_k]]


def _pixels(image: Path) -> Any:
    from PIL import Image

    from models.tasks.image_classifier.network import pixels_of

    try:
        with Image.open(image) as picture:
            return pixels_of(picture)
    except Exception as error:  # Pillow raises many kinds for damaged files
        raise InputError(f"image is no picture that can be read ({error}): send a PNG, a JPEG or a WebP") from error
