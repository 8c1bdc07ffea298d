"""python -m scripts.space [WHAT] [--out DIR]

Writes the folder of a Space of the Hugging Face Hub: a Gradio demo of the selected model, with everything it needs. The
model runs in the Space, on its free CPU, unless WHAT says where it runs: deployment:OWNER/NAME or OWNER/NAME[:VERSION]
on Replicate (the Space then needs the secret REPLICATE_API_TOKEN), or https://HOST, a Cog server.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from models import manifest
from models.manifest import PROJECT
from scripts.cli import command


def main(argv: list[str]) -> int:
    return command.run(space, argv, "scripts.space")


def space(
    what: Annotated[str, typer.Argument(help="where predictions run; by default in the Space")] = "",
    out: Annotated[Path | None, typer.Option(help="the folder to write, by default spaces/MODEL")] = None,
) -> None:
    """Write a Space's folder."""
    from scripts.hub.space import folder

    model = manifest.selected()
    to = out or PROJECT / "spaces" / model.slug
    if to.exists() and not (to / "demo.json").is_file() and any(to.iterdir()):
        raise command.UsageError(f"{to} has files that are not a Space: name another folder with --out")
    files = folder.write(model, what or "own", to)
    size = sum((to / file).stat().st_size for file in files)
    print(f"wrote {to}: {len(files)} files, {size / 1e6:.1f} MB", file=sys.stderr)
    print("to publish it on the Hub: make publish SPACE=YOUR-NAME/DEMO", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
