"""python -m scripts.publish [TO] [--create private|public] [--onto COMMIT] [--dry-run]

Publishes the selected model on the Hugging Face Hub, in one commit: weights, card, licence, evaluation, benchmarks and
examples. What is there already is not sent again, what was broken off goes on, and somebody else's commit is not
overwritten. TO is ORG/NAME, by default `release.hub` of the manifest. Needs `hf auth login` or HF_TOKEN.
"""

import sys
from typing import Annotated

import typer
from rich.table import Table

from models import manifest, runtimes, weights
from models.errors import TemplateError
from models.manifest import Manifest
from models.publication import Base
from scripts.cli import command, console
from scripts.conversion.weights import ensure
from scripts.hub import client, contents, repository
from scripts.hub.contents import Item
from scripts.hub.publication import Gated, Publication
from scripts.hub.repository import There
from scripts.licences import answers
from scripts.release import ledger
from scripts.release.ship import say


def main(argv: list[str]) -> int:
    """Publish; 0 when the Hub has all of it."""
    return command.run(publish, argv, "scripts.publish")


def publish(
    to: Annotated[str, typer.Argument(help="ORG/NAME on the Hub")] = "",
    create: Annotated[str, typer.Option(help="what a new repository is: private or public")] = "",
    onto: Annotated[str, typer.Option(help="somebody else's last commit there, to publish on top of it")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="list every file, its size and why it is there")] = False,
) -> None:
    """Publish the selected model on the Hugging Face Hub."""
    model = manifest.selected()
    planned = plan(model, to, create, onto)
    if dry_run:
        _explain(planned)
        return
    if model.base:
        say(_whose(model, model.base))
    api = client.connect()
    ready(model)
    with ledger.alone(model.slug):
        commit = plan(model, to, create, onto).publish(api)
    say(f"the ledger has it, to be committed: releases/{model.slug}.jsonl")
    print(f"{api.endpoint}/{planned.place.name}/tree/{commit}")


def plan(model: Manifest, to: str, create: str = "", onto: str = "") -> Publication:
    """What is to be published where.

    Raises:
        TemplateError: the manifest or the command line does not say so, or the licence forbids it.
    """
    if create not in ("", "private", "public"):
        raise command.UsageError(f"a repository is private or public, not {create!r}: CREATE=private or CREATE=public")
    place = repository.parse(to or (model.release and model.release.hub) or "")
    gated: Gated = False
    if contents.access_today(model) == "gated" and model.release and model.release.gate:
        gated = model.release.gate.approval
    return Publication(model, place, contents.of(model), gated, create, onto)


def ready(model: Manifest) -> None:
    """Make the files that are published of the weights, and read every byte of them.

    Raises:
        TemplateError: what failed, and the remedy.
    """
    if contents.access_today(model) == "api-only":
        return
    choice = contents.published_choice(model) or runtimes.choose(model)
    ensure(model, choice)
    for part in sorted({weights.SOURCE, runtimes.part_of(model, choice)}):
        weights.verify(model, part, full=True)


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
    if planned.model.base:
        print(_whose(planned.model, planned.model.base))
    if later := contents.opens_later(planned.model):
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
