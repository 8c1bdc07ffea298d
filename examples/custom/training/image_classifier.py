"""python -m training.image_classifier

Draws circles, squares and triangles, trains the network on them for some seconds, and saves its weights beside this
file. Of a network that is trained already, save the weights like this, then: make weights-lock
"""

import random
from pathlib import Path

from PIL import Image, ImageDraw

from models import manifest
from models.tasks.image_classifier.manifest import Manifest

TARGET = Path(__file__).with_name("image-classifier.safetensors")
_PICTURES, _ROUNDS, _BATCH = 1500, 8, 50


def drawn(shape: str, choices: random.Random) -> Image.Image:
    """A picture of a bright shape on a dark ground; its place, size and colours are random."""
    ground, colour = (tuple(choices.randint(low, low + 90) for _ in range(3)) for low in (0, 165))
    picture = Image.new("RGB", (64, 64), ground)
    size = choices.randint(28, 48)
    left, top = choices.randint(4, 60 - size), choices.randint(4, 60 - size)
    right, bottom = left + size, top + size
    draw = ImageDraw.Draw(picture)
    if shape == "circle":
        draw.ellipse((left, top, right, bottom), fill=colour)
    elif shape == "square":
        draw.rectangle((left, top, right, bottom), fill=colour)
    else:
        draw.polygon([(left, bottom), (right, bottom), ((left + right) // 2, top)], fill=colour)
    return picture


def main() -> None:
    """Train and save: with the same packages and machine, the same weights each time."""
    import torch
    from safetensors.torch import save_file

    from models.tasks.image_classifier.network import Network, pixels_of

    model = manifest.load("image-classifier")
    assert isinstance(model, Manifest)
    choices, labels = random.Random(0), model.labels
    right = torch.tensor([choices.randrange(len(labels)) for _ in range(_PICTURES)])
    pixels = torch.stack([pixels_of(drawn(labels[number], choices)) for number in right])
    torch.set_num_threads(1)  # sums in one order, so that the weights are the same each time; and it is small
    torch.manual_seed(0)
    network = Network(len(labels))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.003)
    for _ in range(_ROUNDS):
        for batch in torch.randperm(_PICTURES).split(_BATCH):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(pixels[batch]), right[batch]).backward()
            optimizer.step()
    with torch.inference_mode():
        accuracy = (network(pixels).argmax(dim=1) == right).float().mean()
    save_file(network.state_dict(), TARGET)
    print(f"saved {TARGET.name}, right for {accuracy:.1%} of what it was trained on; next: make weights-lock")


if __name__ == "__main__":
    main()
