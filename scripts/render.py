"""python -m scripts.render [--check]

Writes what follows from the selected model's manifest, from predict.py and from the benchmark's receipts: cog.yaml,
cog.cpu.yaml, .dockerignore, schemas/<class>.json, the rendered parts of README.md and docs/, and each model card of the
catalog that `make card` has made, with the files that its licence asks for. With --check it writes nothing and fails
where a file differs from what would be written.
"""

import difflib
import sys
from pathlib import Path
from typing import Annotated

import typer

from models import manifest, runtimes
from models.errors import TemplateError
from models.weights import PROJECT
from scripts.cli import command
from scripts.contract import schema
from scripts.rendering.files import rendered


def main(argv: list[str]) -> int:
    """Write or check; 0 when all agree."""
    return command.run(render, argv, "scripts.render")


def render(
    check: Annotated[bool, typer.Option("--check", help="write nothing; fail where a file differs")] = False,
) -> None:
    """Write what is rendered from the manifest and predict.py; say which descriptions Cog cannot read."""
    drifted = []
    model = manifest.selected()
    runtimes.check_delivery(model)
    for name, text in rendered(model).items():
        path = PROJECT / name
        present = path.read_text(encoding="utf-8") if path.is_file() else ""
        if present == text:
            continue
        if not check:
            _write(path, text)
            continue
        drifted.append(name)
        difference = difflib.unified_diff(present.splitlines(), text.splitlines(), name, "rendered", lineterm="", n=1)
        print("\n".join(list(difference)[:20]), file=sys.stderr)
    for remark in [remark for name in schema.class_names() for remark in schema.remarks(name)]:
        print(remark, file=sys.stderr)
    if drifted:
        raise TemplateError(f"{', '.join(drifted)}: not as rendered: make render, and commit the result")


def _write(path: Path, text: str) -> None:
    if text:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    else:
        path.unlink()
    print(f"{'wrote' if text else 'removed'} {path.relative_to(PROJECT)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
