"""python -m scripts.container_predict -i prompt="Why is the sea salty?" [-i name=value ...] [--device cpu|cuda]

Builds the image and runs one prediction in it: `cog build`, then `cog predict IMAGE -i ...`.
"""

import os
import sys
from typing import Annotated

import typer

from models import manifest
from scripts.cli import command
from scripts.image import DeviceOption, build, chosen_device, run_cog


def main(argv: list[str]) -> int:
    """Build and predict; 0 when the prediction succeeded."""
    return command.run(container_predict, argv, "scripts.container_predict")


def container_predict(
    input: Annotated[list[str], typer.Option("-i", "--input", help="name=value, as for cog predict -i")] = [],
    device: DeviceOption = "",
) -> None:
    """Run one prediction in the container. The variable PROMPT is the input prompt."""
    pairs = command.with_prompt(input, os.environ)
    name = build(manifest.selected(), chosen_device(device))
    run_cog("predict", name, *[argument for pair in pairs for argument in ("-i", pair)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
