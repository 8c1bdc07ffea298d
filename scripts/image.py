"""python -m scripts.image [--device cpu|cuda] [--tag NAME:TAG]

Builds the container with `cog build`, with the weights that the device's engine loads. The weights get separate image
layers, so a push after a change of code sends only the code.
"""

import sys
from typing import Annotated

import typer

from models import manifest
from scripts.cli import command
from scripts.cli.device import DeviceOption, chosen_device
from scripts.release.image import build


def main(argv: list[str]) -> int:
    return command.run(image, argv, "scripts.image")


def image(device: DeviceOption = "", tag: Annotated[str, typer.Option(help="the image's name")] = "") -> None:
    """Build the container image, with the selected model's weights in it unless the container fetches them."""
    name = build(manifest.selected(), chosen_device(device), tag)
    print(f"built {name}: make container-predict PROMPT=...", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
