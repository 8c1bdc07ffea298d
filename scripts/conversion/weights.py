"""Weights made ready for an engine, with a progress bar."""

from functools import partial

from models import runtimes
from models.manifest import EngineChoice, Manifest
from scripts import tasks
from scripts.cli.progress import progress
from scripts.conversion import merging, to_openvino


def ensure(model: Manifest, choice: EngineChoice) -> None:
    """Do what is not done yet; in place already, it only looks at names and sizes.

    Raises:
        TemplateError: what failed, and the remedy.
    """
    make = to_openvino.export if choice.engine == "openvino" else merging.make
    export = partial(make, tasks.fact(model, "CONVERTED_AS", "decoder"))
    runtimes.ensure(model, choice, progress(), export)
