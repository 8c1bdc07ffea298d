"""Prepares weights for an engine, with a progress bar."""

from functools import partial

from models import runtimes
from models.engine import EngineChoice
from models.manifest import Manifest
from scripts import tasks
from scripts.cli.progress import progress
from scripts.conversion import merging, to_openvino


def ensure(model: Manifest, choice: EngineChoice) -> None:
    """Fetch and convert weights as needed; if they are in place, only names and sizes are checked.

    Raises:
        TemplateError: what failed, and the remedy.
    """
    make = to_openvino.export if choice.engine == "openvino" else merging.make
    for part in model.parts:
        export = partial(make, tasks.fact(part, "CONVERTED_AS", "decoder"))
        runtimes.ensure(part, part.like(choice), progress(), export)
