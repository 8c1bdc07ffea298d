"""python -m scripts.verbs

Lists every verb of the Makefile and every command of scripts/, one line each: make help-all.
"""

import sys

from scripts.cli import command
from scripts.rendering import verbs


def main(argv: list[str]) -> int:
    return command.run(show, argv, "scripts.verbs")


def show() -> None:
    """List every verb and every command."""
    others = [verb for verb in verbs.verbs() if not verb.group]
    for group, members in {**verbs.by_group(), "the others": others}.items():
        print(group)
        for verb in members:
            print(f"  make {verb.name:18} {verb.what}")
    print("commands; --help shows the options of each")
    for typed, what in verbs.commands():
        print(f"  {typed}\n      {what}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
