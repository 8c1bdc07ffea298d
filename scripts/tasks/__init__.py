"""What the tools must know of each task: one file a task, found by its name. No other file of scripts/ names a task."""

import importlib
from types import ModuleType
from typing import Any

from models.manifest import Manifest


def of(model: Manifest) -> ModuleType:
    """The file of a model's task: scripts/tasks/text_generation.py for text-generation."""
    return importlib.import_module(f"{__name__}.{model.task.replace('-', '_')}")


def fact(model: Manifest, name: str, otherwise: Any) -> Any:
    """What the file of a model's task has under a name, or `otherwise` where it says nothing."""
    return getattr(of(model), name, otherwise)
