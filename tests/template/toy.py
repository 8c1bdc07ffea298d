"""A toy task in plain Python without weights: text in, a number out. It adds all that a new task needs to a copy."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from models import runtimes
from tests.checkout import PROJECT, copied

SLUG = "word-counter"
MANIFEST = """# Counts words: what the smallest task needs.
task: word-count
title: Word counter
summary: Counts the words of a text.
license: {id: apache-2.0, link: https://www.apache.org/licenses/LICENSE-2.0}
engines:
  - {engine: plain, device: cpu}
hardware: {replicate: cpu, memory_gb: 0.2}
examples:
  - {name: two words, input: {text: Hello world}, expect: {count: 2}}
  - {name: nothing, input: {text: ""}, expect: {count: 0}}
  - {name: again, input: {text: one two three, times: 4}, expect: {count: 12}}
"""
TASK = '''"""Counts the words of a text."""


class WordCount:
    """The task's verb."""

    def count(self, text: str, times: int) -> int:
        """The words of `text`, written `times` times."""
        return len((f"{text} " * times).split())


def load() -> WordCount:
    """Nothing is loaded."""
    return WordCount()
'''
TASK_MANIFEST = '''"""What the manifest of a word counter says beside what every model has."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from models import manifest


class Expectation(manifest.Expectation):
    """The number itself."""

    count: int

    def failures(self, output: Any, metrics: dict[str, Any]) -> list[str]:
        return [] if output == self.count else [f"counts {output}, not {self.count}"]


class Example(manifest.Example):
    """A text and the number of its words."""

    expect: Expectation


class Manifest(manifest.Manifest):
    """A word counter."""

    task: Literal["word-count"]
    examples: Sequence[Example] = Field(min_length=3)
'''
TOOLS = '''"""Counting words, as the tools see it: its schema and its examples say all."""
'''
PREDICTOR = '''

class WordCount(BasePredictor):
    """Counts the words of a text."""

    def setup(self) -> None:
        """Load nothing: it has no weights."""
        self.model = word_count.load()

    @inputs.whole_numbers
    def predict(
        self,
        text: str = Input(description="The text whose words are counted."),
        times: int = Input(description="How many times the text is there.", default=1, ge=1, le=10),
    ) -> int:
        """Count the words."""
        return self.model.count(text, times)
'''


def copy_project(target: Path) -> None:
    """A copy of the project with this tree's packages and its own stamps, so that make installs nothing.

    What the type checker has found is copied too: without it, it takes ten seconds for each copy.
    """
    copied(target)
    if (PROJECT / ".mypy_cache").is_dir():
        shutil.copytree(PROJECT / ".mypy_cache", target / ".mypy_cache")
    (target / ".venv").mkdir()
    for part in Path(sys.prefix).iterdir():
        if not part.name.startswith("."):
            (target / ".venv" / part.name).symlink_to(part)
    for stamp in ("python", *runtimes.ENGINES, "check", "economics", "evaluation", "dev"):
        (target / ".venv" / f".{stamp}").touch()


def run(project: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """A command in a copy, to its end; what it prints is kept."""
    ours = ("MAKE", "MODEL", "ENGINE", "WEIGHTS_ROOT")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, timeout=900)


def succeed(project: Path, *command: str) -> str:
    """What a command in a copy prints; it must succeed."""
    done = run(project, *command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def add_to(project: Path) -> None:
    """Add the class, the task's folder, the tools' file and the catalog entry; `make render` writes the schema."""
    for name, text in {
        "models/tasks/word_count/__init__.py": TASK,
        "models/tasks/word_count/manifest.py": TASK_MANIFEST,
        "scripts/tasks/word_count.py": TOOLS,
        f"models/catalog/{SLUG}/model.yaml": MANIFEST,
    }.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text, encoding="utf-8")
    seam = project / "predict.py"
    code = seam.read_text(encoding="utf-8")
    code, changed = re.subn(r"^(from models\.tasks import .+)$", r"\1, word_count", code, flags=re.MULTILINE)
    assert changed == 1
    seam.write_text(code + PREDICTOR, encoding="utf-8")
