"""Prepares weights for an engine, with a progress bar."""

from functools import partial
from pathlib import Path

from models import runtimes
from models.engine import EngineChoice
from models.manifest import Manifest
from scripts.cli.progress import progress


def ensure(model: Manifest, choice: EngineChoice) -> None:
    """Fetch and convert weights as needed; if they are in place, only names and sizes are checked.

    Raises:
        TemplateError: what failed, and the remedy.
    """
    for part in model.parts:
        runtimes.ensure(part, part.like(choice), progress(), partial(_export, part, choice))


def _export(model: Manifest, choice: EngineChoice, source: Path, folder: Path, weight_format: str) -> None:
    """Convert safetensors. The converters are imported here, as weights are in place nearly always."""
    from scripts import tasks
    from scripts.conversion import merging, to_openvino

    make = to_openvino.export if choice.engine == "openvino" else merging.make
    make(tasks.attribute(model, "CONVERTED_AS", "decoder"), source, folder, weight_format)
