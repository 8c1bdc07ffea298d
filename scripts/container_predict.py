"""python -m scripts.container_predict [name=value ...] [--device cpu|cuda]

Builds the image with `cog build` and runs one prediction in a container of it, like scripts.call with image:NAME.
"""

import sys
from typing import Annotated

import typer

from models import manifest
from scripts import call
from scripts.cli import command
from scripts.cli.device import DeviceOption, chosen_device
from scripts.release.image import build


def main(argv: list[str]) -> int:
    return command.run(container_predict, argv, "scripts.container_predict")


def container_predict(
    pairs: Annotated[list[str], typer.Argument(metavar="NAME=VALUE...", help="inputs; @file, or - for stdin")] = [],
    more_pairs: Annotated[list[str], typer.Option("-i", "--input", help="the same, as for cog predict -i")] = [],
    device: DeviceOption = "",
) -> int:
    """Build the container and run one prediction in it. The variable PROMPT is the input prompt."""
    name = build(manifest.selected(), chosen_device(device))
    return call.call(f"image:{name}", pairs, more_pairs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
