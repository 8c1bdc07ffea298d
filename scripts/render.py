"""python -m scripts.render [--check]

Writes the files that follow from the selected model's manifest, predict.py and the benchmark's receipts: cog.yaml,
cog.cpu.yaml, .dockerignore, schemas/<class>.json, the rendered sections of README.md and docs/, and each model card of
the catalog that `make card` has made, with the files that its licence requires. With --check it writes nothing, and
fails if a file differs from what would be written.
"""

import difflib
import sys
from typing import Annotated

import typer

from models import manifest, runtimes
from models.errors import TemplateError
from models.manifest import PROJECT
from scripts.cli import command
from scripts.contract import schema
from scripts.rendering.files import out_of_date, write


def main(argv: list[str]) -> int:
    return command.run(render, argv, "scripts.render")


def render(
    check: Annotated[bool, typer.Option("--check", help="write nothing; fail if a file differs")] = False,
) -> None:
    """Write the files rendered from the manifest and predict.py; report descriptions that Cog cannot read."""
    model = manifest.selected()
    runtimes.check_delivery(model)
    drifted = out_of_date(model)
    if check:
        for name, text in drifted.items():
            path = PROJECT / name
            present = path.read_text(encoding="utf-8") if path.is_file() else ""
            difference = difflib.unified_diff(
                present.splitlines(), text.splitlines(), name, "rendered", lineterm="", n=1
            )
            print("\n".join(list(difference)[:20]), file=sys.stderr)
    else:
        write(drifted)
    for remark in [remark for name in schema.class_names() for remark in schema.remarks(name)]:
        print(remark, file=sys.stderr)
    if check and drifted:
        raise TemplateError(f"{', '.join(drifted)}: not as rendered: make render, and commit the result")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
