"""python -m scripts.render [--check]

Writes what follows from the selected model's manifest, from predict.py and from the benchmark's receipts: cog.yaml,
cog.cpu.yaml, .dockerignore, schemas/<class>.json, the rendered parts of README.md and docs/, and each model card of the
catalog that `make card` has made, with the files that its licence asks for. With --check it writes nothing and fails
where a file differs from what would be written.
"""

import difflib
import sys
from typing import Annotated

import typer

from models import manifest, runtimes
from models.errors import TemplateError
from models.weights import PROJECT
from scripts.cli import command
from scripts.contract import schema
from scripts.rendering.files import out_of_date, write


def main(argv: list[str]) -> int:
    """Write or check; 0 when all agree."""
    return command.run(render, argv, "scripts.render")


def render(
    check: Annotated[bool, typer.Option("--check", help="write nothing; fail where a file differs")] = False,
) -> None:
    """Write what is rendered from the manifest and predict.py; say which descriptions Cog cannot read."""
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
