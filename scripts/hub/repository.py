"""A repository of the Hub: its current state, and how it differs from the files to publish."""

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
class Repo:
    """A repository's name, ORG/NAME, and its kind."""

    name: str
    kind: Kind = "model"

    @property
    def to(self) -> str:
        """Its name in the ledger."""
        return f"hf.co/spaces/{self.name}" if self.kind == "space" else f"hf.co/{self.name}"


@dataclass(frozen=True)
class Remote:
    """A repository's state: its last commit, and its files by path, each a huggingface_hub.RepoFile."""

    head: Any
    files: dict[str, Any]
    is_private: bool
    gated: Literal[False, "auto", "manual"]

    @property
    def is_new(self) -> bool:
        """Whether it is still as it was created."""
        return set(self.files) <= _NEW


@dataclass(frozen=True)
class Difference:
    """The files to send, those that are unchanged, and the ones to remove: published earlier and no longer wanted."""

    send: list[Item]
    unchanged: list[Item]
    remove: list[str]

    @property
    def is_none(self) -> bool:
        return not self.send and not self.remove


def parse(to: str, kind: Kind = "model") -> Repo:
    """The repository that TO names.

    Raises:
        UsageError: it is not an ORG/NAME that the Hub accepts.
    """
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", to):
        raise UsageError(f"where to? TO=ORG/NAME on the Hub, or release.hub in the manifest; not {to!r}")
    return Repo(to, kind)


def look(api: Any, repo: Repo) -> Remote | None:
    """The repository's current state; None if it does not exist, or the token may not see it.

    Raises:
        HubRefusal: the Hub refuses, or cannot be reached.
    """
    from huggingface_hub import RepoFile

    try:
        with explained(repo.name):
            info = api.repo_info(repo.name, repo_type=repo.kind)
            head = api.list_repo_commits(repo.name, repo_type=repo.kind, revision=info.sha)[0]
            tree = api.list_repo_tree(repo.name, recursive=True, revision=info.sha, repo_type=repo.kind)
            files = {item.path: item for item in tree if isinstance(item, RepoFile)}
            return Remote(head, files, bool(info.private), getattr(info, "gated", None) or False)
    except HubRefusal as refusal:
        if refusal.status == 404:
            return None
        raise


def difference(remote: Remote | None, items: Sequence[Item], entries: Sequence[Entry], repo: Repo) -> Difference:
    """How `items` differ from the repository. `entries`: the ledger, which has what was published earlier."""
    files = remote.files if remote else {}
    same = {item.path for item in items if item.path in files and item.matches(files[item.path])}
    wanted = {item.path for item in items}
    earlier = {path for entry in _published(entries, repo) for path in entry.details.get("files", [])}
    return Difference(
        [item for item in items if item.path not in same],
        [item for item in items if item.path in same],
        sorted((earlier & set(files)) - wanted),
    )


def is_ours(remote: Remote, entries: Sequence[Entry], repo: Repo) -> bool:
    """Whether the last commit is in the ledger, or belongs to a publication that is."""
    published = _published(entries, repo)
    return any(entry.digest == remote.head.commit_id or entry.release in remote.head.message for entry in published)


def _published(entries: Sequence[Entry], repo: Repo) -> list[Entry]:
    return [entry for entry in entries if (entry.step, entry.to) == (STEP, repo.to)]
