"""The compiled files of requirements/: written by uv, and checked against the sources without a network."""

import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name

from models.errors import TemplateError
from scripts.dependencies.pins import ENGINES, FOLDER, IMAGE_PYTHON, IN_THE_IMAGE, LOCK, Pin, compiled, needed, versions

OPTIMUM = "optimum"
_OLDEST_PYTHON = "3.10"
_BY_COG = ("cog", "coglet")
_BY_TORCH = re.compile(r"nvidia-.*|cuda-.*|triton")
_UNIVERSAL = ("--universal", "--python-version", _OLDEST_PYTHON)
_IMAGE = ("--python-platform", "x86_64-manylinux_2_28", "--python-version", IMAGE_PYTHON, "--constraints", LOCK)


@dataclass(frozen=True)
class Compiled:
    """A compiled file: its sources, the options of uv, and its first lines."""

    file: str
    sources: tuple[str, ...]
    options: tuple[str, ...]
    header: str

    @property
    def is_image(self) -> bool:
        return self.sources[0] in ENGINES


def files() -> list[Compiled]:
    """Every compiled file of requirements/, in the order in which they must be compiled."""
    every = tuple(sorted(path.stem for path in FOLDER.glob("*.in") if path.stem != OPTIMUM))
    images = [Compiled(f"{name}.txt", (name,), _IMAGE, _IMAGE_HEADER.format(name=name)) for name in ENGINES]
    return [
        Compiled(LOCK, every, _UNIVERSAL, _LOCK_HEADER),
        *images,
        Compiled(f"{OPTIMUM}.txt", (OPTIMUM,), _UNIVERSAL, _OPTIMUM_HEADER),
    ]


def write(one: Compiled, upgraded: Sequence[str] = (), upgrade_all: bool = False) -> None:
    """Compile one file with uv, from the package index that uv's own settings name.

    Versions are kept if the sources allow it, except those of `upgraded`, or all. An image has the lock's versions.

    Raises:
        TemplateError: uv is not installed, or found no versions that fit together; its message is above.
    """
    if importlib.util.find_spec("uv") is None:
        raise TemplateError("uv is missing, it compiles requirements/: make .venv/.check")
    new = ["--upgrade"] if upgrade_all or one.is_image else [f"--upgrade-package={name}" for name in upgraded]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / one.file
        if (FOLDER / one.file).is_file():
            path.write_bytes((FOLDER / one.file).read_bytes())
        command = ["uv", "pip", "compile", "--quiet", "--no-header", "--annotation-style=line", "--no-emit-index-url"]
        left_out = [f"--no-emit-package={name}" for name in _left_out(one)]
        sources = [f"{name}.in" for name in one.sources]
        arguments = [*command, *one.options, *new, *left_out, "--output-file", str(path), *sources]
        if subprocess.run([sys.executable, "-m", *arguments], cwd=FOLDER).returncode != 0:
            raise TemplateError(f"requirements/{one.file} was not compiled: see uv's message above")
        (FOLDER / one.file).write_text(one.header + path.read_text(encoding="utf-8"), encoding="utf-8")


def problems() -> list[str]:
    """A line for each place where a compiled file does not match its sources; needs no network."""
    return [line for one in files() for line in _problems(one)]


def _problems(one: Compiled) -> Iterator[str]:
    where = f"requirements/{one.file}"
    pins = list(compiled(one.file))
    if not (FOLDER / one.file).read_text(encoding="utf-8").startswith(one.header):
        yield f"{where}: its first lines are not those of a compiled file"
    for source in one.sources:
        for requirement in needed(source):
            found = [pin for pin in pins if pin.name == canonicalize_name(requirement.name)]
            if not found and canonicalize_name(requirement.name) not in _left_out(one):
                yield f"{where} is missing {requirement.name}, which requirements/{source}.in needs"
            for pin in found:
                if not requirement.specifier.contains(pin.version, prereleases=True):
                    yield f"{where} has {pin.requirement}, where requirements/{source}.in needs {requirement}"
    yield from (f"{where} has {pin.requirement}, which nothing needs" for pin in _unneeded(one, pins))
    if one.is_image:
        locked = versions(LOCK, IN_THE_IMAGE)
        for pin in pins:
            if locked.get(pin.name) != pin.version:
                yield f"{where} has {pin.requirement}, but {LOCK} has {locked.get(pin.name)}"


def _unneeded(one: Compiled, pins: list[Pin]) -> list[Pin]:
    """The packages that no source names and no other package of the file needs, according to uv's notes."""
    names = {pin.name for pin in pins} | set(_left_out(one))
    named = {f"-r {file.name}": _names(file) for file in FOLDER.glob("*.in")}
    return [
        pin
        for pin in pins
        if not any(canonicalize_name(by) in names or pin.name in named.get(by, ()) for by in pin.needed_by)
    ]


def _names(source: Path) -> set[str]:
    return {canonicalize_name(one.name) for one in needed(source.stem)}


def _left_out(one: Compiled) -> list[str]:
    """Packages that an image's file must not name, although they are installed."""
    if not one.is_image:
        return []
    return [*_BY_COG, *sorted({pin.name for pin in compiled(LOCK) if _BY_TORCH.fullmatch(pin.name)})]


_LOCK_HEADER = """\
# The version of every package for every machine that develops this project (all sources but optimum.in).
# Compiled by `python -m scripts.requirements`; edit the sources.
"""
_IMAGE_HEADER = """\
# What `cog build` installs for the engine {name}: the packages of {name}.in in the versions of lock.txt.
# No hashes: cog 0.22 hands pip a copy of this file without them. Cog itself, and the CUDA packages that torch pins
# and brings, are left out: cog chooses torch's build for the device. Compiled by `python -m scripts.requirements`.
"""
_OPTIMUM_HEADER = """\
# What .venv-optimum installs, for every machine.
# Compiled from optimum.in by `python -m scripts.requirements`; edit that.
"""
