"""The versions in requirements/: NAME.in lists needed packages, lock.txt pins them and the packages that they need.

lock.txt is for every machine and Python of the project, so its lines can have markers. ENGINE.txt is the part that an
image of that engine installs: Cog copies a single file, which must not refer to another.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast, get_args

from packaging.markers import Environment, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from models.engine import EngineName
from models.errors import TemplateError
from models.manifest import PROJECT

FOLDER = PROJECT / "requirements"
LOCK = "lock.txt"
ENGINES: tuple[str, ...] = get_args(EngineName)
IMAGE_PYTHON = "3.11"
IN_THE_IMAGE = cast(
    Environment,
    {
        **default_environment(),
        "os_name": "posix",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
        "python_version": IMAGE_PYTHON,
        "python_full_version": f"{IMAGE_PYTHON}.0",
    },
)
"""The values of markers in an image."""


@dataclass(frozen=True)
class Pin:
    """A line of a compiled file; `needed_by`: names of packages, or `-r requirements/NAME.in`."""

    requirement: Requirement
    needed_by: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name as package indexes normalise it."""
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        return str(self.requirement.specifier).removeprefix("==")

    def holds(self, environment: Environment | None) -> bool:
        """Whether the line applies to an environment; None: this one."""
        marker = self.requirement.marker
        return marker is None or marker.evaluate(cast("dict[str, str] | None", environment))


def needed(name: str) -> list[Requirement]:
    """The packages in requirements/NAME.in and in the files that it includes.

    Raises:
        TemplateError: there is no such file.
    """
    path = FOLDER / f"{name}.in"
    if not path.is_file():
        raise TemplateError(f"requirements/{name}.in is missing: list what {name} needs, one package per line")
    lines = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    included = [line.removeprefix("-r ").removesuffix(".in") for line in lines if line.startswith("-r ")]
    own = [Requirement(line) for line in lines if line and not line.startswith("-")]
    return [*(one for file in included for one in needed(file)), *own]


def compiled(file: str) -> Iterator[Pin]:
    """The lines of a compiled file.

    Raises:
        TemplateError: it is missing, or a line pins no version; names both.
    """
    path = FOLDER / file
    if not path.is_file():
        raise TemplateError(f"requirements/{file} is missing: python -m scripts.requirements")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        text, _, note = line.partition("#")
        if not text.strip():
            continue
        if not re.fullmatch(r"[\w.-]+==[\w.+!-]+(\s*;.*)?", text.strip()):
            raise TemplateError(
                f"requirements/{file}:{number}: {text.strip()}: a line here is NAME==VERSION, no option"
            )
        yield Pin(Requirement(text.strip()), tuple(note.strip().removeprefix("via ").split(", ")))


def versions(file: str = LOCK, environment: Environment | None = None) -> dict[str, str]:
    """The versions in a compiled file by normalised name, for an environment; None: this one."""
    return {pin.name: pin.version for pin in compiled(file) if pin.holds(environment)}


def pinned(name: str, environment: Environment | None = None) -> dict[str, str]:
    """The locked versions of the packages in requirements/NAME.in, by name."""
    locked = versions(LOCK, environment)
    names = [one.name for one in needed(name)]
    if missing := [one for one in names if canonicalize_name(one) not in locked]:
        raise TemplateError(f"requirements/{LOCK} is missing {', '.join(missing)}: python -m scripts.requirements")
    return {one: locked[canonicalize_name(one)] for one in names}
