"""What to publish of a model, and where: its repository, and the Space of its demo."""

from pathlib import Path
from typing import get_args

from models import runtimes, weights
from models.manifest import Manifest
from scripts.cli.command import UsageError
from scripts.conversion.weights import ensure
from scripts.hub import contents, repository
from scripts.hub.card import Other, Pages
from scripts.hub.publication import Create, Gated, Publication
from scripts.hub.space import folder as space_folder
from scripts.release.release import Refused


def repository_of(
    model: Manifest,
    to: str,
    *,
    create: str = "",
    onto: str = "",
    space: str = "",
    replicate: str = "",
    other: Other | None = None,
) -> Publication:
    """The publication of the model's repository, in `to` or where the manifest says.

    `space`, `replicate` (OWNER/NAME, by default from the manifest), `other`: linked from the card.

    Raises:
        TemplateError: neither the manifest nor the command line says where, or the licence forbids it.
    """
    access, release = contents.access_today(model), model.release
    repo = repository.parse(to or (release and release.hub) or "")
    pages = Pages(repo.name, replicate or (release.replicate if release else None), space or None, other)
    gated: Gated = release.gate.approval if access == "gated" and release and release.gate else False
    return Publication(model, repo, contents.of(model, pages), gated, checked(create), onto)


def space_of(model: Manifest, to: str, what: str, folder: Path, *, create: str = "", onto: str = "") -> Publication:
    """The publication of the Space, whose files are written into `folder`. `what`: where predictions run (make space).

    Raises:
        TemplateError: the weights are not available or not open, or the place that `what` names cannot be reached.
    """
    repo = repository.parse(to, "space")
    check_demo(model, what)
    space_folder.write(model, what or "own", folder)
    return Publication(model, repo, contents.of_space(folder), create=checked(create), onto=onto)


def check_demo(model: Manifest, what: str) -> None:
    """Keep restricted weights out of a Space. A demo that runs in the Space itself would publish them.

    Raises:
        Refused: the weights are restricted, and the demo would run in the Space.
    """
    access = contents.access_today(model)
    if what in ("", "own") and model.weights.source and access != "open":
        raise Refused(
            f"the weights of {model.slug} are {access} today, and its demo would contain them: run it elsewhere, "
            "WHAT=deployment:OWNER/NAME (in a plan runs: ...)"
        )


def checked(create: str) -> Create:
    """The visibility of a new repository.

    Raises:
        UsageError: it is not one of Create.
    """
    for known in get_args(Create):
        if create == known:
            return known  # type: ignore[no-any-return]
    raise UsageError(f"a repository is private or public, not {create!r}: CREATE=private or CREATE=public")


def ready(model: Manifest) -> None:
    """Make the published files of the weights, and verify every byte of them.

    Raises:
        TemplateError: what failed, and the remedy.
    """
    if not contents.publishes_weights(model):
        return
    choice = contents.published_choice(model) or runtimes.choose(model)
    ensure(model, choice)
    for part in sorted({weights.SOURCE, runtimes.part_of(model, choice)}):
        weights.verify(model, part, full=True)
