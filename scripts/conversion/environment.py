"""The converter's separate environment, .venv-optimum, created on first use; `make clean` removes it."""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from filelock import FileLock

from models.errors import EngineError, TemplateError, in_words
from models.manifest import PROJECT
from scripts.cli.files import link_or_copy
from scripts.dependencies import cpu_torch, pins

FOLDER = PROJECT / ".venv-optimum"
REQUIREMENTS = pins.FOLDER / "optimum.in"
PINS = pins.FOLDER / "optimum.txt"
_STAMP = FOLDER / ".installed"


def run(command: str, *arguments: str) -> None:
    """Run a module of scripts/conversion in it.

    Raises:
        EngineError: the environment cannot be made, or the module fails.
    """
    make_environment()
    variables = os.environ | {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "PYTHONPATH": str(PROJECT)}
    ran = subprocess.run(
        [str(python()), "-m", f"scripts.conversion.{command}", *arguments],
        cwd=PROJECT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    if ran.returncode != 0:
        lines = ran.stdout.strip().splitlines() or [f"the converter ended with exit code {ran.returncode}"]
        killed = " (killed: it needs over four bytes of memory for each parameter)" if ran.returncode == -9 else ""
        raise EngineError(f"{lines[-1]}{killed}")


def main(work: Callable[[str, Path, Path, str], None], argv: list[str], failure: str) -> int:
    """Do the work of a module that `run` starts; 0 if it is done, 1 with a reason on standard error.

    `argv`: KIND SOURCE FOLDER FORMAT; `failure`: the message for an error of a library, with {source} and {reason}.
    """
    kind, source, folder, weight_format = argv[0], Path(argv[1]), Path(argv[2]), argv[3]
    try:
        work(kind, source, folder, weight_format)
    except TemplateError as error:
        print(error, file=sys.stderr)
        return 1
    except Exception as error:
        print(failure.format(source=source, reason=in_words(error)), file=sys.stderr)
        return 1
    return 0


def make_environment() -> None:
    """Install the packages of REQUIREMENTS unless they are installed; prints a line, because it takes minutes.

    Raises:
        EngineError: pip failed.
    """
    (PROJECT / ".cog").mkdir(exist_ok=True)
    with FileLock(PROJECT / ".cog" / "optimum.lock"):
        _make_environment()


def _make_environment() -> None:
    wanted = REQUIREMENTS.read_text(encoding="utf-8") + PINS.read_text(encoding="utf-8")
    if _STAMP.is_file() and _STAMP.read_text(encoding="utf-8") == wanted and python().is_file():
        return
    page = cpu_torch.page()
    size = "about 1 GB" if page else "6 GB, or 0.5 GB where .venv has torch"
    what = f"installing optimum-intel, which converts safetensors, and peft into {FOLDER.name}, once (minutes; {size})"
    print(what, file=sys.stderr, flush=True)
    shutil.rmtree(FOLDER, ignore_errors=True)
    venv.create(FOLDER, with_pip=True, symlinks=True)
    _link_packages()
    command = [str(python()), "-m", "pip", "--disable-pip-version-check", "install", "--no-user", "--quiet"]
    command += ["--progress-bar", "on" if sys.stderr.isatty() else "off", *(["--find-links", page] if page else [])]
    if subprocess.run([*command, "-c", str(PINS), "-r", str(REQUIREMENTS)], stdout=sys.stderr).returncode != 0:
        raise EngineError(f"{FOLDER.name} was not made: see pip's message above; it needs {size}, and room in TMPDIR")
    _STAMP.write_text(wanted, encoding="utf-8")


def _link_packages() -> None:
    """Give it hard links to the pinned packages that this program's environment has in the same version.

    torch and its libraries take 5 GB, and pip would download and store them once more.
    """
    site = FOLDER / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    for name, version in pins.versions(PINS.name).items():
        with suppress(metadata.PackageNotFoundError):
            package = metadata.distribution(name)
            if package.version.partition("+")[0] == version:  # +cpu
                _link_package(package, site)


def _link_package(package: metadata.Distribution, site: Path) -> None:
    for file in set(package.files or ()):  # some packages list a file twice
        if ".." not in file.parts:  # a command, which names its own interpreter
            (site / file).parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(str(package.locate_file(file)), str(site / file))


def python() -> Path:
    return FOLDER / "bin" / "python"
