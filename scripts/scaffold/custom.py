"""`make new TASK=custom`: copies examples/custom, a network of your own, into the project under a new name.

Each file is copied to the same path in the project, and the class is added to predict.py. The names image-classifier,
image_classifier and ImageClassifier are replaced by the new name.
"""

import ast
import importlib
import keyword
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from models import manifest
from models.errors import TemplateError
from models.manifest import PROJECT, Manifest
from scripts.cli import command
from scripts.scaffold import trial

TASK = "custom"
_EXAMPLE = PROJECT / "examples" / TASK
_NAME = "image-classifier"
_SEAM = PROJECT / "predict.py"
_MOST_CHARACTERS = 40
_WIDTH = 120


def new_files(name: str) -> dict[str, str]:
    """The texts of the files to write, by path in the project, including predict.py with the class added.

    Raises:
        UsageError: `name` cannot be the name of a module and a class.
        TemplateError: the name is taken, or the example was removed.
    """
    _check_name(name)
    paths = sorted(path for path in _EXAMPLE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    if not paths:
        raise TemplateError(f"there is no {_EXAMPLE} to copy: restore it from the template")
    texts = {
        _renamed(str(path.relative_to(_EXAMPLE)), name): _renamed(path.read_text(encoding="utf-8"), name)
        for path in paths
    }
    addition = texts.pop(_SEAM.name)
    if present := [path for path in texts if (PROJECT / path).exists()]:
        raise TemplateError(f"there is {present[0]} already: take another NAME")
    return texts | {_SEAM.name: _with_class(_SEAM.read_text(encoding="utf-8"), addition)}


@contextmanager
def written(texts: Mapping[str, str]) -> Iterator[None]:
    """Write the files. If the block fails, restore predict.py, and remove the files and new folders."""
    before = _SEAM.read_text(encoding="utf-8")
    new = {_highest_absent(PROJECT / path) for path in texts if path != _SEAM.name}
    try:
        for path, text in texts.items():
            (PROJECT / path).parent.mkdir(parents=True, exist_ok=True)
            (PROJECT / path).write_text(text, encoding="utf-8")
        importlib.invalidate_caches()
        yield
    except BaseException:
        for made in new:
            shutil.rmtree(made) if made.is_dir() else made.unlink(missing_ok=True)
        _SEAM.write_text(before, encoding="utf-8")
        raise


def train(name: str) -> None:
    """Make the weights.

    Raises:
        TemplateError: it failed; its message is shown above.
    """
    module = f"training.{name.replace('-', '_')}"
    print(f"python -m {module} trains the network, which takes some seconds ...", file=sys.stderr)
    if subprocess.run([sys.executable, "-m", module], cwd=PROJECT, stdout=sys.stderr).returncode != 0:
        raise TemplateError(f"python -m {module} failed, see above; torch comes with make setup ENGINE=torch")


def check_examples(model: Manifest) -> None:
    """Run the examples on Cog's server.

    Raises:
        TemplateError: the model cannot be served on this machine, or an example does not meet its expectations.
    """
    for example, answer in zip(model.examples, trial.run(model), strict=True):
        print(f"{example.name}: {trial.shown(answer['output'])}", file=sys.stderr)
        if broken := example.expect.failures(answer["output"], answer.get("metrics") or {}):
            raise TemplateError(f"example {example.name!r} {'; '.join(broken)}: make new again")


def _check_name(name: str) -> None:
    module = name.replace("-", "_")
    if not module.isidentifier() or keyword.iskeyword(module) or len(name) > _MOST_CHARACTERS or name[-1] == "-":
        raise command.UsageError(
            f"{name!r} cannot be the name of a Python module and class: small letters, digits and hyphens, a letter "
            f"first, at most {_MOST_CHARACTERS}, like my-model"
        )


def _highest_absent(path: Path) -> Path:
    """The path, or the highest of its parent folders that does not exist."""
    return next(one for one in [*reversed(path.parents), path] if not one.exists())


def _renamed(text: str, name: str) -> str:
    spellings = ((_NAME, name), (_NAME.replace("-", "_"), name.replace("-", "_")))
    for old, new in (*spellings, (manifest.class_of(_NAME), manifest.class_of(name))):
        text = text.replace(old, new)
    return text


def _with_class(seam: str, addition: str) -> str:
    """predict.py with the classes of another file and their imports added.

    Raises:
        TemplateError: it already has such a class.
    """
    here, new = ast.parse(seam).body, ast.parse(addition).body
    classes = [node for node in new if isinstance(node, ast.ClassDef)]
    known = {node.name for node in here if isinstance(node, ast.ClassDef)}
    if twice := [one.name for one in classes if one.name in known]:
        raise TemplateError(f"predict.py has a class {twice[0]} already: take another NAME")
    wanted = {str(node.module): _names(node) for node in new if isinstance(node, ast.ImportFrom)}
    present = [node for node in here if isinstance(node, ast.ImportFrom)]
    lines = seam.rstrip().splitlines()
    absent = sorted(wanted.keys() - {node.module for node in present})
    end = max(node.end_lineno or 0 for node in present)
    lines[end:end] = [line for module in absent for line in _import(module, wanted[module])]
    for node in reversed(present):  # from the bottom, so that the line numbers above stay right
        if more := wanted.get(str(node.module), set()) - _names(node):
            lines[node.lineno - 1 : node.end_lineno] = _import(str(node.module), _names(node) | more)
    return "\n".join([*lines, "", "", *addition.splitlines()[classes[0].lineno - 1 :]]) + "\n"


def _names(node: ast.ImportFrom) -> set[str]:
    return {alias.name for alias in node.names}


def _import(module: str, names: set[str]) -> list[str]:
    """The import statement, sorted and formatted like `ruff check` and `ruff format`."""
    ordered = sorted(names, key=lambda name: (name[0].islower(), name))
    line = f"from {module} import {', '.join(ordered)}"
    if len(line) <= _WIDTH:
        return [line]
    return [f"from {module} import (", *(f"    {name}," for name in ordered), ")"]
