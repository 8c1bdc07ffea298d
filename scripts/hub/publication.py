"""One publication: create and set up the repository, send what differs in one commit, read it back, note it all.

An interrupted publication continues when it is run again: large files that arrived are not sent again, and a commit
whose answer was lost is recognised by its message.
"""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from models.manifest import Manifest
from scripts.cli import repository as project
from scripts.hub import repository
from scripts.hub.client import explained
from scripts.hub.contents import Item
from scripts.hub.repository import STEP, Difference, Remote, Repo
from scripts.release import ledger
from scripts.release.ledger import Entry, Result
from scripts.release.release import Refused, Stuck, result_of, say

Gated = Literal[False, "auto", "manual"]
Create = Literal["", "private", "public"]


@dataclass
class Publication:
    """`onto`: somebody else's commit to build on; `create`: `private` (the default) or `public`, for a new repository;
    `gated`: how people get access.
    """

    model: Manifest
    repo: Repo
    items: Sequence[Item]
    gated: Gated = False
    create: Create = ""
    onto: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    def publish(self, api: Any) -> str:
        """Make the repository's files those of `items`; returns the id of its last commit.

        Raises:
            LedgerError: another publish or push of the model is under way.
            Refused: somebody else committed to it, or a file is missing.
            HubRefusal: the Hub refuses, or cannot be reached.
            Stuck: the repository afterwards does not have what was sent.
        """
        if missing := [item.path for item in self.items if not item.is_here]:
            raise Refused(f"{', '.join(missing)} of {self.model.slug} is not made yet: make card, make weights")
        with ledger.exclusive(self.model.slug):
            begun = time.monotonic()
            self._note("begun")
            try:
                commit = self._published(api)
            except BaseException as error:
                why = " ".join(str(error).split())[:500]
                self._note(result_of(error), seconds=time.monotonic() - begun, why=why)
                raise
            self._note("ok", commit, time.monotonic() - begun)
            return commit

    def _published(self, api: Any) -> str:
        remote = repository.look(api, self.repo) or self._made(api)
        self._set(api, remote)
        entries = ledger.read(self.model.slug)
        found = repository.difference(remote, self.items, entries, self.repo)
        if found.is_none:
            say(f"{self.repo.to}: all {len(self.items)} files are already there")
            commit = str(remote.head.commit_id)
        else:
            self._refuse_others_commit(remote, entries)
            commit = self._commit(api, remote, found)
        self._read_back(api, commit)
        return commit

    def _made(self, api: Any) -> Remote:
        visibility = self.create or "private"
        with explained(self.repo.name):
            sdk = {"space_sdk": "gradio"} if self.repo.kind == "space" else {}
            api.create_repo(self.repo.name, repo_type=self.repo.kind, visibility=visibility, exist_ok=True, **sdk)
        say(f"{self.repo.to}: created, {visibility}")
        remote = repository.look(api, self.repo)
        if not remote:
            raise Stuck(f"{self.repo.to} was created, and the Hub does not have it yet: run it again")
        return remote

    def _set(self, api: Any, remote: Remote) -> None:
        """Gate the repository before weights are sent; refuse if `create` asks for another visibility than it has."""
        if self.create and remote.is_private != (self.create == "private"):
            is_now = "private" if remote.is_private else "public"
            raise Refused(
                f"{self.repo.to} is {is_now}, and CREATE={self.create} is for a new one: "
                f"change it at {self.page(api)}/settings, or leave CREATE out"
            )
        if self.repo.kind == "model" and remote.gated != self.gated:
            with explained(self.repo.name):
                api.update_repo_settings(self.repo.name, gated=self.gated)
            say(f"{self.repo.to}: {f'gated, approval {self.gated}' if self.gated else 'not gated any more'}")

    def _refuse_others_commit(self, remote: Remote, entries: Sequence[Entry]) -> None:
        head = remote.head
        if remote.is_new or repository.is_ours(remote, entries, self.repo) or self.onto == head.commit_id:
            return
        authors = ", ".join(head.authors)
        raise Refused(
            f"{self.repo.to} has a commit that is not in this project's ledger: {head.commit_id[:9]} by {authors}, "
            f'"{head.title}", {head.created_at:%Y-%m-%d %H:%M} UTC: look at it, and to publish on top of it: '
            f"ONTO={head.commit_id}"
        )

    def _commit(self, api: Any, remote: Remote, found: Difference) -> str:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        additions = [CommitOperationAdd(item.path, item.source) for item in found.send]
        operations = [*additions, *(CommitOperationDelete(path) for path in found.remove)]
        size = sum(item.size or 0 for item in found.send)
        say(f"{self.repo.to}: sending {len(found.send)} files, {size / 1e6:.1f} MB, removing {len(found.remove)}")
        with explained(self.repo.name):
            made = api.create_commit(
                self.repo.name,
                operations,
                repo_type=self.repo.kind,
                commit_message=f"Publish {self.model.title}",
                commit_description=f"Commit {project.commit() or 'none'} of the project, publish {self.id}",
                parent_commit=remote.head.commit_id,
            )
        return str(made.oid)

    def _read_back(self, api: Any, commit: str) -> None:
        """Compare the Hub's hash and size of each file with the local file."""
        with explained(self.repo.name):
            paths = [item.path for item in self.items]
            found = api.get_paths_info(self.repo.name, paths, revision=commit, repo_type=self.repo.kind)
        files = {file.path: file for file in found}
        wrong = [item.path for item in self.items if item.path not in files or not item.matches(files[item.path])]
        if wrong:
            raise Stuck(f"{self.repo.to} at {commit[:9]} does not have what was sent: {', '.join(wrong)}: run it again")
        say(f"{self.repo.to}: read back at {commit[:9]}, all {len(self.items)} files are the same as here")

    def _note(self, result: Result, commit: str = "", seconds: float = 0, why: str = "") -> None:
        details = {"files": sorted(item.path for item in self.items)} if result == "begun" else {}
        fields = {"digest": commit, "seconds": round(seconds, 1), "why": why, "details": details}
        note(self.model, self.id, STEP, self.repo.to, result, **fields)

    def page(self, api: Any) -> str:
        return f"{api.endpoint}/{'spaces/' if self.repo.kind == 'space' else ''}{self.repo.name}"


def note(model: Manifest, release: str, step: str, to: str, result: Result, **fields: Any) -> None:
    """Add a line to the model's ledger; `fields`: more of its fields."""
    entry = Entry(
        time=ledger.now(),
        release=release,
        step=step,
        result=result,
        to=to,
        commit=project.commit() or "none",
        dirty=bool(project.changed_files()) or not project.commit(),
        who=ledger.who(),
        **fields,
    )
    ledger.append(model.slug, entry)
