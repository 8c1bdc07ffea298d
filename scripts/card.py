"""python -m scripts.card

Writes the selected model's card beside its manifest (README.md of its repository on the Hub), and the files that its
licence requires. Facts come from the manifest, figures from evals/ and benchmarks/. A preview of the card is
reports/<model>/card.html.
"""

import sys

from models import manifest
from models.manifest import PROJECT
from scripts.cli import command
from scripts.hub import card, card_page, measured
from scripts.licences import files


def main(argv: list[str]) -> int:
    """0 written, 1 a fact is missing or the licence forbids it, 2 wrong usage."""
    return command.run(make_card, argv, "scripts.card")


def make_card() -> None:
    """Write the card and its page."""
    model = manifest.selected()
    texts = card.files(model, card.pages_of(model))
    files.write(model, texts)
    for line in measured.left_out(model):
        print(line, file=sys.stderr)
    page = PROJECT / "reports" / model.slug / "card.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(card_page.page(texts["README.md"], PROJECT / "benchmarks" / model.slug), encoding="utf-8")
    print(f"wrote {page.relative_to(PROJECT)}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
