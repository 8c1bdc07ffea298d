"""python -m scripts.card

Writes the selected model's card beside its manifest, as README.md of its repository on the Hub, and the files that its
licence asks for. Facts come from the manifest, figures from evals/ and benchmarks/. The card as a page to look at is
reports/<model>/card.html.
"""

import sys
from pathlib import Path

from models import manifest
from models.manifest import PROJECT
from scripts.cli import command
from scripts.hub import card, card_page


def main(argv: list[str]) -> int:
    """0 written, 1 a fact is missing or the licence forbids it, 2 wrong usage."""
    return command.run(make_card, argv, "scripts.card")


def make_card() -> None:
    """Write the card and its page."""
    model = manifest.selected()
    folder = manifest.path_of(model.slug).parent
    for name, text in card.files(model, card.pages_of(model)).items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            _write(path, text)
    text = (folder / "README.md").read_text(encoding="utf-8")
    _write(PROJECT / "reports" / model.slug / "card.html", card_page.page(text, PROJECT / "benchmarks" / model.slug))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(f"wrote {path.relative_to(PROJECT)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
