"""python -m scripts.contract OLD.json [NEW.json]

Compares two schemas of a Cog model, like those in schemas/, and prints what changes for callers: changes that break
them, with a remedy, compatible changes, and changes of texts. NEW is by default the current schema of predict.py: of
the class that OLD's file is named after, or else of the only class. Exit 0: nothing breaks; 1: something does; 2: wrong
usage.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts.cli import command
from scripts.cli.command import REFUSED, UsageError
from scripts.contract import schema
from scripts.contract.comparison import compare as compared
from scripts.contract.difference import report
from scripts.contract.document import ContractError
from scripts.contract.meaning import read, undescribed


def main(argv: list[str]) -> int:
    """Print the report; 0 if nothing breaks, 1 if something does, 2 for wrong usage."""
    return command.run(compare, argv, "scripts.contract")


def compare(
    old: Annotated[Path, typer.Argument(help="the schema that callers know")],
    new: Annotated[Path | None, typer.Argument(help="the schema to compare with; by default predict.py's")] = None,
) -> int:
    """Print what changes for callers between two schemas."""
    before, now = _read(old), _read(new) if new else schema.generate(_class_of(old))
    differences = compared(before, now)
    print(report(differences, undescribed(now)))
    return REFUSED if any(difference.kind == "breaking" for difference in differences) else 0


def _read(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        read(document)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} is not JSON: {error}") from error
    except ContractError as error:
        raise UsageError(f"{path} is {error}") from error
    return dict(document)


def _class_of(old: Path) -> str:
    names = schema.class_names()
    if old.stem in names:
        return old.stem
    if len(names) != 1:
        raise UsageError(f"which class? predict.py has {', '.join(names) or 'none'}: name NEW.json too")
    return names[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
