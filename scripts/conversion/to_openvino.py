"""OpenVINO's files of safetensors: optimum-intel makes them, and they are compared with their source.

It runs in an environment of its own, .venv-optimum, which is made when it is first needed; `make clean` removes it.
"""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

from filelock import FileLock

from models.errors import EngineError
from models.weights import PROJECT
from scripts.conversion import comparison, encoder

FOLDER = PROJECT / ".venv-optimum"
REQUIREMENTS = PROJECT / "requirements" / "optimum.txt"
KINDS: dict[str, Any] = {"decoder": comparison, "encoder": encoder}
"""What compares a converted model with its source: of a language model, of an encoder."""
_STAMP = FOLDER / ".installed"


def export(kind: str, source: Path, folder: Path, weight_format: str) -> None:
    """Make OpenVINO's files in `folder` of the safetensors in `source`; `kind`: one of KINDS.

    Raises:
        EngineError: the environment cannot be made, the model not be converted, or OpenVINO computes something else.
    """
    make_environment()
    variables = os.environ | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "PYTHONPATH": str(PROJECT)}
    command = [str(python()), "-m", "scripts.conversion.export", kind, str(source), str(folder), weight_format]
    ran = subprocess.run(
        command,
        cwd=PROJECT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if ran.returncode != 0:
        lines = ran.stdout.strip().splitlines() or [f"the converter ended with exit code {ran.returncode}"]
        killed = " (killed: it needs four bytes of memory a parameter, and more)" if ran.returncode == -9 else ""
        raise EngineError(f"{lines[-1]}{killed}: let transformers run it, under `engines` in the manifest")
    difference, bound = KINDS[kind].check(folder, weight_format), KINDS[kind].BOUNDS[weight_format]
    print(f"compared with the source: a difference of {difference:.4f}, where {bound} may be", file=sys.stderr)


def make_environment() -> None:
    """Install what REQUIREMENTS pins, unless that is done; says so, as it takes minutes the first time.

    Raises:
        EngineError: pip cannot.
    """
    (PROJECT / ".cog").mkdir(exist_ok=True)
    with FileLock(PROJECT / ".cog" / "optimum.lock"):
        _make_environment()


def _make_environment() -> None:
    wanted = REQUIREMENTS.read_text(encoding="utf-8")
    if _STAMP.is_file() and _STAMP.read_text(encoding="utf-8") == wanted and python().is_file():
        return
    print(
        f"installing optimum-intel, which converts safetensors for OpenVINO, into {FOLDER.name}, once (6 GB, minutes)",
        file=sys.stderr,
        flush=True,
    )
    shutil.rmtree(FOLDER, ignore_errors=True)
    venv.create(FOLDER, with_pip=True, symlinks=True)
    command = [str(python()), "-m", "pip", "--disable-pip-version-check", "install", "--no-user", "--quiet"]
    bar = "on" if sys.stderr.isatty() else "off"
    if subprocess.run([*command, "--progress-bar", bar, "-r", str(REQUIREMENTS)], stdout=sys.stderr).returncode != 0:
        raise EngineError(
            f"{FOLDER.name} was not made: see pip's message above; it needs 6 GB there, and room in TMPDIR"
        )
    _STAMP.write_text(wanted, encoding="utf-8")


def python() -> Path:
    """The environment's interpreter."""
    return FOLDER / "bin" / "python"
