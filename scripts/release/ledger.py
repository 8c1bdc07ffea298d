"""The ledger, releases/<slug>.jsonl: append-only, one line for each step: what was done, to which image, by whom, why.

It is committed with the project. releases/schemas/ has the contract of each image that was built, by its sha256.
"""

import getpass
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from models.errors import TemplateError
from models.manifest import PROJECT
from scripts.cli import repository

FOLDER = PROJECT / "releases"
Result = Literal["begun", "ok", "refused", "failed", "interrupted"]


class LedgerError(TemplateError):
    """The ledger is damaged, or another release is under way."""


class Entry(BaseModel):
    """A line of the ledger.

    `release`: the id of the release, the same for all steps of one command; `commit`, `dirty`: what the image was built
    from; `content`: sha256 of its layers and configuration, the same before and after a push; `digest`: of its manifest
    in the registry, on Replicate the version's id; `schema_id`: a file of releases/schemas/; `where`: the model, tag or
    deployment that the step changed; `why`: the reason that was given.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    time: str
    release: str
    step: str
    result: Result
    to: str
    commit: str
    dirty: bool = False
    who: str = ""
    content: str = ""
    digest: str = ""
    schema_id: str = ""
    where: str = ""
    why: str = ""
    seconds: float = 0
    details: dict[str, Any] = {}


def path_of(slug: str) -> Path:
    return FOLDER / f"{slug}.jsonl"


def read(slug: str) -> list[Entry]:
    """Every entry, oldest first; text after the last newline was cut short by a crash and is ignored.

    Raises:
        LedgerError: a line is not an entry; says which.
    """
    path = path_of(slug)
    lines = path.read_bytes().split(b"\n")[:-1] if path.is_file() else []
    return [_entry(line, f"{path}:{number}") for number, line in enumerate(lines, start=1)]


def _entry(line: bytes, where: str) -> Entry:
    try:
        return Entry.model_validate_json(line)
    except ValidationError as error:
        raise LedgerError(
            f"{where} is not an entry of a ledger: correct the line; git diff shows what changed it"
        ) from error


def append(slug: str, entry: Entry) -> None:
    """Add a line, and write it to disk before returning."""
    path = path_of(slug)
    path.parent.mkdir(exist_ok=True)
    line = entry.model_dump_json(exclude_defaults=True) + "\n"
    with open(path, "r+b" if path.exists() else "w+b") as file:
        file.seek(0)
        content = file.read()
        cut = content.rfind(b"\n") + 1
        file.truncate(cut)  # removes a line that a crash cut short
        file.seek(cut)
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())


def keep_schema(schema: dict[str, Any]) -> str:
    """Store a contract; returns its id."""
    text = json.dumps(schema, indent=2, sort_keys=True) + "\n"
    schema_id = hashlib.sha256(text.encode()).hexdigest()[:16]
    path = FOLDER / "schemas" / f"{schema_id}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return schema_id


def schema(schema_id: str) -> dict[str, Any]:
    """A stored contract.

    Raises:
        LedgerError: its file is missing or malformed.
    """
    path = FOLDER / "schemas" / f"{schema_id}.json"
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise LedgerError(f"{path} is missing or malformed: git checkout {path}") from error
    return found


def live(entries: list[Entry], to: str) -> Entry | None:
    """The promotion that is live: the last successful one (a rollback is a promotion)."""
    promoted = [entry for entry in entries if (entry.step, entry.result, entry.to) == ("promote", "ok", to)]
    return promoted[-1] if promoted else None


def passed(entries: list[Entry], step: str, to: str = "", content: str = "", digest: str = "") -> Entry | None:
    """The last time that a step succeeded, for this target and image if they are given."""
    for entry in reversed(entries):
        is_it = (entry.step, entry.result) == (step, "ok") and to in ("", entry.to)
        if is_it and content in ("", entry.content) and digest in ("", entry.digest):
            return entry
    return None


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def who() -> str:
    """The person's address in git, or else the account's name."""
    if named := repository.email():
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container, a user may be only a number
        return f"user {os.getuid()}"


@contextmanager
def exclusive(slug: str) -> Iterator[None]:
    """Allow only one release at a time; a process that died does not block it.

    Raises:
        LedgerError: another release is under way; says since when and which process.
    """
    from filelock import FileLock, Timeout

    FOLDER.mkdir(exist_ok=True)
    note = FOLDER / f".{slug}.running"
    lock = FileLock(FOLDER / f".{slug}.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise LedgerError(f"another release of {slug} is under way, {_noted(note)}: wait for it, or end it") from None
    try:
        note.write_text(f"{os.getpid()} {now()}", encoding="utf-8")
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def _noted(note: Path) -> str:
    """The process that is releasing, and since when."""
    try:
        process, begun = note.read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return "begun a moment ago"
    seconds = (datetime.now(timezone.utc) - datetime.fromisoformat(begun)).total_seconds()
    return f"begun {seconds:.0f} s ago by process {process}"
