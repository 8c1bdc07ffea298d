"""One release of a model: the state shared by all stages, and how a stage is run, timed and noted in the ledger."""

import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.engine import Device
from models.errors import TemplateError
from models.manifest import Manifest
from scripts.cli import repository
from scripts.release import ledger
from scripts.release.ledger import Entry, Result
from scripts.release.target import Target


class Refused(TemplateError):
    """A stage stops the release; the message says why and what to do."""


class Stuck(TemplateError):
    """A stage failed, and some of its changes could not be undone; the message says which, and the remedy."""


@dataclass
class Release:
    """`breaking`: why a breaking contract may pass; `may_be_dirty`: whether uncommitted changes may be released.

    The stages fill in the rest: `content` and `schema_id` (of the built image), `digest` (of the pushed one). `commit`
    and `dirty` are those of the checkout, until a stage continues with the image of an earlier release.
    """

    model: Manifest
    device: Device
    target: Target
    breaking: str = ""
    may_be_dirty: bool = False
    create: str = ""
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    commit: str = field(default_factory=lambda: repository.commit() or "none")
    dirty: bool = field(default_factory=lambda: bool(repository.changed_files()) or not repository.commit())
    content: str = ""
    digest: str = ""
    schema_id: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    why: str = ""

    @property
    def entries(self) -> list[Entry]:
        """The current ledger."""
        return ledger.read(self.model.slug)

    def continue_from(self, entry: Entry) -> None:
        """Release the image of an earlier step: take over its digest, content, contract and commit."""
        self.digest, self.content, self.schema_id = entry.digest, entry.content, entry.schema_id
        self.commit, self.dirty = entry.commit, entry.dirty

    def note(self, step: str, result: Result, seconds: float = 0, where: str = "", why: str = "") -> None:
        entry = Entry(
            time=ledger.now(),
            release=self.id,
            step=step,
            result=result,
            to=self.target.production,
            commit=self.commit,
            dirty=self.dirty,
            who=ledger.who(),
            content=self.content,
            digest=self.digest,
            schema_id=self.schema_id,
            where=where,
            why=why or self.why,
            seconds=round(seconds, 1),
            details=self.details,
        )
        ledger.append(self.model.slug, entry)

    def run(self, stages: Sequence[tuple[str, Callable[["Release"], str]]]) -> None:
        """Run stages in order and stop at the first that refuses; each returns a line with its result.

        Raises:
            TemplateError: a stage refused.
        """
        self._note_interrupted()
        self.note("release", "begun", where=", ".join(name for name, _ in stages))
        for name, stage in stages:
            say(f"{name} ...")
            begun = time.monotonic()
            self.details, self.why = {}, ""
            try:
                found = stage(self)
            except BaseException as error:
                self.note(name, result_of(error), time.monotonic() - begun, why=" ".join(str(error).split())[:500])
                self.details = {}
                self.note("release", result_of(error), where=name)
                say(f"{name}: {result_of(error)} after {time.monotonic() - begun:.1f} s")
                raise
            self.note(name, "ok", time.monotonic() - begun)
            say(f"{name}: {found} ({time.monotonic() - begun:.1f} s)")
        self.details, self.why = {}, ""
        self.note("release", "ok")

    def _note_interrupted(self) -> None:
        """Note each earlier release that was killed: the ledger has its beginning but not its end."""
        entries = self.entries
        ended = {entry.release for entry in entries if entry.step == "release" and entry.result != "begun"}
        for entry in entries:
            if entry.step == "release" and entry.result == "begun" and entry.release not in ended:
                last = [other for other in entries if other.release == entry.release][-1]
                after = last.step if last.step != "release" else "its beginning"
                closing = entry.model_copy(
                    update={"time": ledger.now(), "result": "interrupted", "where": f"after {after}"}
                )
                ledger.append(self.model.slug, closing)
                say(f"the release {entry.release} of {entry.time} was interrupted after {after}: noted in the ledger")


def say(line: str) -> None:
    """Print a line of progress on standard error."""
    print(line, file=sys.stderr, flush=True)


def result_of(error: BaseException) -> Result:
    """The ledger's result of a step that raised `error`."""
    if isinstance(error, TemplateError) and not isinstance(error, Stuck):
        return "refused"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
