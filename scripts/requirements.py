"""python -m scripts.requirements [--upgrade PACKAGE ...] [--upgrade-all] [--check]

Compiles requirements/*.in: lock.txt, what the image of each engine installs, and optimum.txt. Versions stay as they are
where the sources allow it, but for those of --upgrade. With --check it asks no package index, writes nothing, and fails
where a compiled file does not follow from its sources.
"""

import sys
from typing import Annotated

import typer

from models.errors import TemplateError
from scripts.cli import command
from scripts.dependencies import compiling


def main(argv: list[str]) -> int:
    """Compile or check; 0 when all agree."""
    return command.run(requirements, argv, "scripts.requirements")


def requirements(
    upgrade: Annotated[
        list[str], typer.Option(help="take the newest version of this package that the sources allow")
    ] = [],
    upgrade_all: Annotated[bool, typer.Option("--upgrade-all", help="the same for every package")] = False,
    check: Annotated[bool, typer.Option("--check", help="write nothing; fail where a file does not follow")] = False,
) -> None:
    """Compile requirements/*.in."""
    if check:
        if problems := compiling.problems():
            raise TemplateError("\n".join([*problems, "python -m scripts.requirements, and commit the result"]))
        return
    for one in compiling.files():
        print(f"compiling requirements/{one.file}", file=sys.stderr)
        compiling.write(one, upgrade, upgrade_all)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
