"""The GitHub workflows, as their tests read them."""

from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).parents[2]
WORKFLOWS = sorted((PROJECT / ".github" / "workflows").iterdir())


def parsed(path: Path) -> dict[str, Any]:
    """A parsed workflow; every scalar is a string, so that the key `on` does not become true."""
    workflow: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    return workflow


def steps(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Every step of every job, with the job's name."""
    return [(name, step) for name, job in parsed(path)["jobs"].items() for step in job["steps"]]


def step(workflow: str, name: str) -> dict[str, Any]:
    """The step with this name."""
    (found,) = [one for _, one in steps(PROJECT / ".github" / "workflows" / workflow) if one.get("name") == name]
    return found
