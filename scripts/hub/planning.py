"""What is to be published of a model, and where: its repository, and the Space of its demo."""

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
    """What the model's repository is to be: `to`, or where the manifest says.

    `space`, `replicate` (OWNER/NAME, or what the manifest says), `other`: what its card links to.

    Raises:
        TemplateError: the manifest or the command line does not say so, or the licence forbids it.
    """
    access, release = contents.access_today(model), model.release
    place = repository.parse(to or (release and release.hub) or "")
    pages = Pages(place.name, replicate or (release.replicate if release else None), space or None, other)
    gated: Gated = release.gate.approval if access == "gated" and release and release.gate else False
    return Publication(model, place, contents.of(model, pages), gated, checked(create), onto)


def space_of(model: Manifest, to: str, what: str, folder: Path, *, create: str = "", onto: str = "") -> Publication:
    """What the Space is to be: its folder is written into `folder`. `what`: where predictions run, as for make space.

    Raises:
        TemplateError: the weights cannot be had or may not leave, or what is elsewhere cannot be reached.
    """
    place = repository.parse(to, "space")
    check_demo(model, what)
    space_folder.write(model, what or "own", folder)
    return Publication(model, place, contents.of_space(folder), create=checked(create), onto=onto)


def check_demo(model: Manifest, what: str) -> None:
    """Keep weights that not everybody may have out of a Space, which has them itself when the demo runs there.

    Raises:
        Refused: the demo would run there.
    """
    access = contents.access_today(model)
    if what in ("", "own") and model.weights.source and access != "open":
        raise Refused(
            f"the weights of {model.slug} are {access} today, and its demo would have them: let it run elsewhere, "
            "WHAT=deployment:OWNER/NAME (in a plan runs: ...)"
        )


def checked(create: str) -> Create:
    """What a new repository is to be.

    Raises:
        UsageError: it is something else.
    """
    for known in get_args(Create):
        if create == known:
            return known  # type: ignore[no-any-return]
    raise UsageError(f"a repository is private or public, not {create!r}: CREATE=private or CREATE=public")


def ready(model: Manifest) -> None:
    """Make the files that are published of the weights, and read every byte of them.

    Raises:
        TemplateError: what failed, and the remedy.
    """
    if not contents.leave(model):
        return
    choice = contents.published_choice(model) or runtimes.choose(model)
    ensure(model, choice)
    for part in sorted({weights.SOURCE, runtimes.part_of(model, choice)}):
        weights.verify(model, part, full=True)
