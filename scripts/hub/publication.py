"""A publish: the repository is made and set, one commit brings what differs, and it is read back; the ledger has it.

What was broken off goes on when it is run again: large files that arrived are not sent again, and a commit whose answer
was lost is known by its message.
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
from scripts.hub.repository import STEP, Difference, Place, There
from scripts.release import ledger
from scripts.release.ledger import Entry, Result
from scripts.release.release import Refused, Stuck, result_of, say

Gated = Literal[False, "auto", "manual"]
Create = Literal["", "private", "public"]


@dataclass
class Publication:
    """`onto`: a commit of somebody else on which to build; `create`: `private` or `public` for a new repository, and
    left empty `private`; `gated`: how people get access; `sdk`: of a Space.
    """

    model: Manifest
    place: Place
    items: Sequence[Item]
    gated: Gated = False
    create: Create = ""
    onto: str = ""
    sdk: str = "gradio"
    ship: str = field(default_factory=lambda: uuid.uuid4().hex[:12])

    def publish(self, api: Any) -> str:
        """Bring the repository to what it should be; the id of its last commit.

        Raises:
            LedgerError: another publish or push of the model is under way.
            Refused: somebody else committed there, or a file is missing.
            HubRefusal: the Hub refuses, or cannot be reached.
            Stuck: what is there afterwards is not what was sent.
        """
        if missing := [item.path for item in self.items if not item.is_here]:
            raise Refused(f"{', '.join(missing)} of {self.model.slug} is not made yet: make card, make weights")
        with ledger.alone(self.model.slug):
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
        there = repository.look(api, self.place) or self._made(api)
        self._set(api, there)
        entries = ledger.read(self.model.slug)
        found = repository.difference(there, self.items, entries, self.place)
        if found.is_none:
            say(f"{self.place.to}: all {len(self.items)} files are there already")
            commit = str(there.head.commit_id)
        else:
            self._refuse_others_commit(there, entries)
            commit = self._commit(api, there, found)
        self._read_back(api, commit)
        return commit

    def _made(self, api: Any) -> There:
        visibility = self.create or "private"
        with explained(self.place.name):
            sdk = {"space_sdk": self.sdk} if self.place.kind == "space" else {}
            api.create_repo(self.place.name, repo_type=self.place.kind, visibility=visibility, exist_ok=True, **sdk)
        say(f"{self.place.to}: created, {visibility}")
        there = repository.look(api, self.place)
        if not there:
            raise Stuck(f"{self.place.to} was created, and the Hub does not have it yet: run it again")
        return there

    def _set(self, api: Any, there: There) -> None:
        """Gate it before the weights are there; refuse another visibility, which `create` does not change."""
        if self.create and there.is_private != (self.create == "private"):
            is_now = "private" if there.is_private else "public"
            raise Refused(
                f"{self.place.to} is {is_now}, and CREATE={self.create} is for a new one: "
                f"change that at {self.page(api)}/settings, or leave CREATE out"
            )
        if self.place.kind == "model" and there.gated != self.gated:
            with explained(self.place.name):
                api.update_repo_settings(self.place.name, gated=self.gated)
            say(f"{self.place.to}: {f'gated, approval {self.gated}' if self.gated else 'not gated any more'}")

    def _refuse_others_commit(self, there: There, entries: Sequence[Entry]) -> None:
        head = there.head
        if there.is_new or repository.is_ours(there, entries, self.place) or self.onto == head.commit_id:
            return
        authors = ", ".join(head.authors)
        raise Refused(
            f"{self.place.to} has a commit that is not in this project's ledger: {head.commit_id[:9]} by {authors}, "
            f'"{head.title}", {head.created_at:%Y-%m-%d %H:%M} UTC: see what it did, and to publish on top of it: '
            f"ONTO={head.commit_id}"
        )

    def _commit(self, api: Any, there: There, found: Difference) -> str:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        additions = [CommitOperationAdd(item.path, item.source) for item in found.send]
        operations = [*additions, *(CommitOperationDelete(path) for path in found.remove)]
        size = sum(item.size or 0 for item in found.send)
        say(f"{self.place.to}: sending {len(found.send)} files, {size / 1e6:.1f} MB, removing {len(found.remove)}")
        with explained(self.place.name):
            made = api.create_commit(
                self.place.name,
                operations,
                repo_type=self.place.kind,
                commit_message=f"Publish {self.model.title}",
                commit_description=f"Commit {project.commit() or 'none'} of the project, publish {self.ship}",
                parent_commit=there.head.commit_id,
            )
        return str(made.oid)

    def _read_back(self, api: Any, commit: str) -> None:
        """Compare what the Hub says of each file with the file here."""
        with explained(self.place.name):
            paths = [item.path for item in self.items]
            found = api.get_paths_info(self.place.name, paths, revision=commit, repo_type=self.place.kind)
        files = {file.path: file for file in found}
        wrong = [item.path for item in self.items if item.path not in files or not item.is_as(files[item.path])]
        if wrong:
            raise Stuck(f"{self.place.to} at {commit[:9]} has not what was sent: {', '.join(wrong)}: run it again")
        say(f"{self.place.to}: read back at {commit[:9]}, all {len(self.items)} files as they are here")

    def _note(self, result: Result, commit: str = "", seconds: float = 0, why: str = "") -> None:
        details = {"files": sorted(item.path for item in self.items)} if result == "begun" else {}
        told = {"digest": commit, "seconds": round(seconds, 1), "why": why, "details": details}
        note(self.model, self.ship, STEP, self.place.to, result, **told)

    def page(self, api: Any) -> str:
        """The repository's address."""
        return f"{api.endpoint}/{'spaces/' if self.place.kind == 'space' else ''}{self.place.name}"


def note(model: Manifest, ship: str, step: str, to: str, result: Result, **told: Any) -> None:
    """Add a line to the model's ledger; `told`: more of its fields."""
    entry = Entry(
        time=ledger.now(),
        ship=ship,
        step=step,
        result=result,
        to=to,
        commit=project.commit() or "none",
        dirty=bool(project.changed_files()) or not project.commit(),
        who=ledger.who(),
        **told,
    )
    ledger.append(model.slug, entry)
