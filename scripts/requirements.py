"""python -m scripts.requirements [--upgrade PACKAGE ...] [--upgrade-all] [--check]

Compiles requirements/*.in to lock.txt, a file for each engine's image, and optimum.txt. Versions are kept if the
sources allow it, except those of --upgrade. With --check it uses no package index, writes nothing, and fails if a
compiled file does not match its sources.
"""

import sys
from typing import Annotated

import typer

from models.errors import TemplateError
from scripts.cli import command
from scripts.dependencies import compiling


def main(argv: list[str]) -> int:
    return command.run(requirements, argv, "scripts.requirements")


def requirements(
    upgrade: Annotated[
        list[str], typer.Option(help="take the newest version of this package that the sources allow")
    ] = [],
    upgrade_all: Annotated[bool, typer.Option("--upgrade-all", help="the same for every package")] = False,
    check: Annotated[bool, typer.Option("--check", help="write nothing; fail if a file does not match")] = False,
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
