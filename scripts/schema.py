"""python -m scripts.schema [CLASS]

Prints the OpenAPI schema of a class of predict.py, as `cog build` writes it into the image; without CLASS, of each.
"""

import json
import sys
from typing import Annotated

import typer

from scripts.cli import command
from scripts.contract.schema import SchemaError, class_names, generate


def main(argv: list[str]) -> int:
    return command.run(schema, argv, "scripts.schema")


def schema(name: Annotated[str, typer.Argument(metavar="CLASS", help="by default every class")] = "") -> None:
    """Print the schema of a class of predict.py."""
    names = [name] if name else class_names()
    if not names:
        raise SchemaError("predict.py has no class with a run or predict method")
    found = [generate(one) for one in names]
    print(json.dumps(found if len(found) > 1 else found[0], indent=2))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
