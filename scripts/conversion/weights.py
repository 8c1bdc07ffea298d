"""Weights made ready for an engine, with a progress bar."""

from functools import partial

from models import runtimes
from models.manifest import EngineChoice, Manifest
from scripts import tasks
from scripts.cli.progress import progress
from scripts.conversion import to_openvino


def ensure(model: Manifest, choice: EngineChoice) -> None:
    """Do what is not done yet; in place already, it only looks at names and sizes.

    Raises:
        TemplateError: what failed, and the remedy.
    """
    export = partial(to_openvino.export, tasks.fact(model, "CONVERTED_AS", "decoder"))
    runtimes.ensure(model, choice, progress(), export)
