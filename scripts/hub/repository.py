"""A repository of the Hub as it is now, and how it differs from what is to be there."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from scripts.cli.command import UsageError
from scripts.hub.client import HubRefusal, explained
from scripts.hub.contents import Item
from scripts.release.ledger import Entry

Kind = Literal["model", "space"]
STEP = "publish"
_NEW = {".gitattributes"}


@dataclass(frozen=True)
class Place:
    """A repository's name, ORG/NAME, and what it is."""

    name: str
    kind: Kind = "model"

    @property
    def to(self) -> str:
        """As the ledger names it."""
        return f"hf.co/spaces/{self.name}" if self.kind == "space" else f"hf.co/{self.name}"


@dataclass(frozen=True)
class There:
    """What a repository has: its last commit, and its files by path, each a huggingface_hub.RepoFile."""

    head: Any
    files: dict[str, Any]
    is_private: bool
    gated: Literal[False, "auto", "manual"]

    @property
    def is_new(self) -> bool:
        """Whether nothing was put there since it was created."""
        return set(self.files) <= _NEW


@dataclass(frozen=True)
class Difference:
    """What a publish sends, what is there already, and what an earlier one put there that is not wanted any more."""

    send: list[Item]
    unchanged: list[Item]
    remove: list[str]

    @property
    def is_none(self) -> bool:
        """Whether all is there as it should be."""
        return not self.send and not self.remove


def parse(to: str, kind: Kind = "model") -> Place:
    """The repository that TO names.

    Raises:
        UsageError: it is no ORG/NAME that the Hub takes.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", to):
        raise UsageError(f"where to? TO=ORG/NAME on the Hub, or release.hub in the manifest; not {to!r}")
    return Place(to, kind)


def look(api: Any, place: Place) -> There | None:
    """What is there now; None where there is no such repository, or none that the token may see.

    Raises:
        HubRefusal: the Hub refuses, or cannot be reached.
    """
    from huggingface_hub import RepoFile

    try:
        with explained(place.name):
            info = api.repo_info(place.name, repo_type=place.kind)
            head = api.list_repo_commits(place.name, repo_type=place.kind, revision=info.sha)[0]
            tree = api.list_repo_tree(place.name, recursive=True, revision=info.sha, repo_type=place.kind)
            files = {item.path: item for item in tree if isinstance(item, RepoFile)}
            return There(head, files, bool(info.private), getattr(info, "gated", None) or False)
    except HubRefusal as refusal:
        if refusal.status == 404:
            return None
        raise


def difference(there: There | None, items: Sequence[Item], entries: Sequence[Entry], place: Place) -> Difference:
    """How `items` differ from what is there. `entries`: the ledger, which knows what was published earlier."""
    files = there.files if there else {}
    same = {item.path for item in items if item.path in files and item.is_as(files[item.path])}
    wanted = {item.path for item in items}
    earlier = {path for entry in _published(entries, place) for path in entry.details.get("files", [])}
    return Difference(
        [item for item in items if item.path not in same],
        [item for item in items if item.path in same],
        sorted((earlier & set(files)) - wanted),
    )


def is_ours(there: There, entries: Sequence[Entry], place: Place) -> bool:
    """Whether the last commit there is one that the ledger has, or was begun by a publish that it has."""
    published = _published(entries, place)
    return any(entry.digest == there.head.commit_id or entry.ship in there.head.message for entry in published)


def _published(entries: Sequence[Entry], place: Place) -> list[Entry]:
    return [entry for entry in entries if (entry.step, entry.to) == (STEP, place.to)]
