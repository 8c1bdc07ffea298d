"""python -m scripts.use [--dry-run] SLUG

Selects the model of the catalog that cog.yaml, the image and every command use from now on.
"""

import sys
from typing import Annotated

import typer

from models import manifest
from models.weights import lock
from scripts.cli import command
from scripts.rendering.files import out_of_date, write


def main(argv: list[str]) -> int:
    return command.run(use, argv, "scripts.use")


def use(
    slug: Annotated[str, typer.Argument(help="a model of the catalog: make models lists them")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print what would be written")] = False,
) -> None:
    """Serve another model of the catalog."""
    if not slug:
        raise command.UsageError(f"say which model: make use MODEL=SLUG, one of {', '.join(manifest.slugs())}")
    model = manifest.load(slug)
    changed = out_of_date(model)
    if dry_run:
        print("\n".join(f"would write {name}" for name in changed) or f"{slug} is served already")
        return
    write(changed)
    print(f"{model.slug} ({model.title}) is what cog.yaml, the image and the commands serve", file=sys.stderr)
    is_locked = not model.weights.source or lock.path_of(slug).is_file()
    print(f"next: {'make predict' if is_locked else 'make weights-lock, then make predict'}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
