"""python -m scripts.licence [--of llama3.1]

Shows whether the licence allows what the selected model's manifest plans (a public copy, an API, a paid API, changed
weights, another licence), and which duties follow. Writes the files that it requires beside the manifest.
With --of, shows what one licence allows in general. This is not legal advice: only the licence's text is binding.
"""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from models import manifest
from models.publication import License
from scripts.cli import command, console
from scripts.licences import answers, files
from scripts.licences.answers import Answer
from scripts.licences.terms import ACTS, Terms, terms_of

NO_ADVICE = "This is not legal advice; only the text is binding:"


def main(argv: list[str]) -> int:
    """0 if everything planned is allowed, 1 refused, 2 wrong usage."""
    return command.run(licence, argv, "scripts.licence")


def licence(
    of: Annotated[str, typer.Option(help="a licence's id on the Hub, instead of the selected model")] = "",
) -> None:
    """Show what is allowed; write the files that the licence requires."""
    if of:
        terms = terms_of(License(id=of, link=""), "")
        _show(terms.name, [answers.answer(terms, act, changed=True) for act in terms.rights])
        print(f"{NO_ADVICE} {terms.link}")
        return
    model = manifest.selected()
    _show(model.title, answers.check(model))
    print(f"{NO_ADVICE} {_source(model).link}")
    files.write(model, files.files(model))


def _source(model: manifest.Manifest) -> Terms:
    """The terms that bind the publisher, or those of the publisher's own licence."""
    return answers.inherited(model) or terms_of(model.license, model.slug)


def _show(title: str, found: Sequence[Answer]) -> None:
    from rich.table import Table

    table = Table("", "", "clause", "duties", title=title, title_justify="left", box=None)
    for one in found:
        takes = [one.why, one.only_if and f"only if {one.only_if}"]
        takes += [f"{duty.in_words()} ({duty.clause})" for duty in one.duties]
        table.add_row(ACTS[one.act], one.verdict, one.clause, "\n".join(filter(None, takes)))
    console.stdout().print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
