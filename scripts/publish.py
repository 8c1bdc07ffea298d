"""python -m scripts.publish [TO] [--space ORG/NAME] [--what WHAT] [--create private|public] [--onto COMMIT] [--dry-run]

Publishes the selected model on the Hugging Face Hub, in one commit: weights, card, licence, evaluation, benchmarks and
examples; with --space the demo too. What is there already is not sent again, what was broken off goes on, and somebody
else's commit is not overwritten. TO is ORG/NAME, by default `release.hub` of the manifest. Needs `hf auth login` or
HF_TOKEN.
"""

import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from models import manifest
from models.errors import TemplateError
from models.manifest import Manifest
from models.publication import Base
from scripts.cli import command, console
from scripts.hub import client, contents, planning, repository
from scripts.hub.contents import Item
from scripts.hub.publication import Publication
from scripts.hub.repository import There
from scripts.licences import answers
from scripts.release import ledger
from scripts.release.release import say


def main(argv: list[str]) -> int:
    """Publish; 0 when the Hub has all of it."""
    return command.run(publish, argv, "scripts.publish")


def publish(
    to: Annotated[str, typer.Argument(help="ORG/NAME on the Hub")] = "",
    space: Annotated[str, typer.Option(help="ORG/NAME of a Space, for the demo")] = "",
    what: Annotated[str, typer.Option(help="where the demo's predictions run, as for make space")] = "",
    create: Annotated[str, typer.Option(help="what a new repository is: private or public")] = "",
    onto: Annotated[str, typer.Option(help="somebody else's last commit there, to publish on top of it")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="list every file, its size and why it is there")] = False,
) -> None:
    """Publish the selected model on the Hugging Face Hub."""
    model = manifest.selected()
    planned = planning.repository_of(model, to, create=create, onto=onto, space=space)
    with tempfile.TemporaryDirectory(prefix="space-") as name:
        demos = [planning.space_of(model, space, what, Path(name), create=create, onto=onto)] if space else []
        if model.base:
            say(_whose(model, model.base))
        if dry_run:
            for each in (planned, *demos):
                _explain(each)
            return
        api = client.connect()
        planning.ready(model)
        again = planning.repository_of(model, to, create=create, onto=onto, space=space)
        for each in (again, *demos):
            print(_published(api, each))
    say(f"the ledger has it, to be committed: releases/{model.slug}.jsonl")


def _published(api: Any, planned: Publication) -> str:
    """Publish it; its address."""
    commit = planned.publish(api)
    return f"{planned.page(api)}/tree/{commit}"


def _explain(planned: Publication) -> None:
    """Print what would be done, file by file, with what the Hub has if it can be asked."""
    there, unknown = _there(planned)
    found = repository.difference(there, planned.items, ledger.read(planned.model.slug), planned.place)
    table = Table("", "size", "file", "what it is", box=None)
    for verb, items in (("send", found.send), ("as it is there", found.unchanged)):
        for item in items:
            table.add_row(verb, _size(item), item.path, item.why)
    for path in found.remove:
        table.add_row("remove", "", path, "published earlier")
    console.stdout().print(table)
    size = sum(item.size or 0 for item in found.send) / 1e6
    print(f"{planned.place.to}: would send {len(found.send)} files, {size:.1f} MB; {_state(planned, there, unknown)}")
    if planned.place.kind == "model" and (later := contents.opens_later(planned.model)):
        print(f"the weights become {later}")


def _whose(model: Manifest, base: Base) -> str:
    """Whose weights these are, and what their licence allows of what is planned."""
    allowed = "; ".join(answer.in_words() for answer in answers.require(model))
    return f"the weights come from {base.model} ({base.relation}), {base.license.id}: {allowed}"


def _size(item: Item) -> str:
    return "not made yet" if item.size is None else f"{item.size:,}"


def _state(planned: Publication, there: There | None, unknown: str) -> str:
    if unknown:
        return f"what is there was not asked ({unknown})"
    if not there:
        return f"would create it, {planned.create or 'private'}"
    return f"it is {'private' if there.is_private else 'public'}, its last commit {there.head.commit_id[:9]}"


def _there(planned: Publication) -> tuple[There | None, str]:
    """What the repository has, and why that is not known."""
    try:
        return repository.look(client.connect(), planned.place), ""
    except TemplateError as error:
        return None, str(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
