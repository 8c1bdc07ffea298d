"""python -m scripts.publish [TO] [--space ORG/NAME] [--what WHAT] [--create private|public] [--onto COMMIT] [--dry-run]

Publishes the selected model on the Hugging Face Hub, in one commit: weights, card, licence, evaluation, benchmarks and
examples; with --space the demo too. Unchanged files are not sent again, an interrupted publication continues, and
somebody else's commit is not overwritten. TO is ORG/NAME, by default `release.hub` of the manifest. Needs `hf auth
login` or HF_TOKEN.
"""

import sys
import tempfile
from pathlib import Path
from typing import Annotated

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
from scripts.hub.repository import Remote
from scripts.licences import answers
from scripts.release import ledger
from scripts.release.release import say


def main(argv: list[str]) -> int:
    return command.run(publish, argv, "scripts.publish")


def publish(
    to: Annotated[str, typer.Argument(help="ORG/NAME on the Hub")] = "",
    space: Annotated[str, typer.Option(help="ORG/NAME of a Space, for the demo")] = "",
    what: Annotated[str, typer.Option(help="where the demo's predictions run, as for make space")] = "",
    create: Annotated[str, typer.Option(help="what a new repository is: private or public")] = "",
    onto: Annotated[str, typer.Option(help="somebody else's last commit, to publish on top of it")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="list every file, its size and purpose")] = False,
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
            commit = each.publish(api)
            print(f"{each.page(api)}/tree/{commit}")
    say(f"noted in the ledger, commit it: releases/{model.slug}.jsonl")


def _explain(planned: Publication) -> None:
    """Print what would be done, file by file, compared with the Hub if it can be reached."""
    remote, unknown = _remote(planned)
    found = repository.difference(remote, planned.items, ledger.read(planned.model.slug), planned.repo)
    table = Table("", "size", "file", "what it is", box=None)
    for verb, items in (("send", found.send), ("unchanged", found.unchanged)):
        for item in items:
            table.add_row(verb, _size(item), item.path, item.why)
    for path in found.remove:
        table.add_row("remove", "", path, "published earlier")
    console.stdout().print(table)
    size = sum(item.size or 0 for item in found.send) / 1e6
    print(f"{planned.repo.to}: would send {len(found.send)} files, {size:.1f} MB; {_state(planned, remote, unknown)}")
    if planned.repo.kind == "model" and (later := contents.opens_later(planned.model)):
        print(f"the weights become {later}")


def _whose(model: Manifest, base: Base) -> str:
    """Whose weights these are, and what their licence allows of the plan."""
    allowed = "; ".join(answer.in_words() for answer in answers.require(model))
    return f"the weights come from {base.model} ({base.relation}), {base.license.id}: {allowed}"


def _size(item: Item) -> str:
    return "not made yet" if item.size is None else f"{item.size:,}"


def _state(planned: Publication, remote: Remote | None, unknown: str) -> str:
    if unknown:
        return f"the Hub was not asked ({unknown})"
    if not remote:
        return f"would create it, {planned.create or 'private'}"
    return f"it is {'private' if remote.is_private else 'public'}, its last commit {remote.head.commit_id[:9]}"


def _remote(planned: Publication) -> tuple[Remote | None, str]:
    """The repository's state, and why it is unknown, or ""."""
    try:
        return repository.look(client.connect(), planned.repo), ""
    except TemplateError as error:
        return None, str(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
