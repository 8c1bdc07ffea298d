"""The ledger: append-only, intact after a crash, and its answers: what is live, passed and earlier."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from models import manifest
from models.manifest import PROJECT
from scripts.release import ledger, promotion
from scripts.release.ledger import Entry, LedgerError, Result
from scripts.release.release import Refused, Release, Stuck
from scripts.release.target import parse

TO = "registry.example/acme/x"
SLUG = manifest.selected().slug


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(ledger, "FOLDER", tmp_path / "releases")
    return tmp_path / "releases"


def note(step: str, digest: str = "", result: Result = "ok", to: str = TO, id: str = "s", **more: str) -> Entry:
    entry = Entry(time=ledger.now(), release=id, step=step, result=result, to=to, commit="c", digest=digest, **more)
    ledger.append(SLUG, entry)
    return entry


def a_release(digest: str = "") -> Release:
    return Release(manifest.load(SLUG), "cpu", parse(TO), digest=digest)


def test_lines_are_only_added_and_never_changed() -> None:
    assert ledger.read(SLUG) == []
    first = note("push", "sha256:1")
    before = ledger.path_of(SLUG).read_bytes()
    second = note("promote", "sha256:1", why="faster")
    assert ledger.path_of(SLUG).read_bytes().startswith(before)
    assert ledger.read(SLUG) == [first, second]


def test_an_incomplete_last_line_after_a_crash_is_ignored_and_then_replaced() -> None:
    first = note("push", "sha256:1")
    with open(ledger.path_of(SLUG), "ab") as file:
        file.write(b'{"time":"2026-11-24T10:41:26+00:00","release":"c41fa43cd59e","why":"\xc3')
    assert ledger.read(SLUG) == [first]
    second = note("promote", "sha256:1")
    assert ledger.read(SLUG) == [first, second]
    assert all(json.loads(line) for line in ledger.path_of(SLUG).read_text().splitlines())


@pytest.mark.parametrize("damage", [b"<<<<<<< HEAD", b"", b"\xff", b'{"time": "now"}', b'{"surprise": 1}'])
def test_a_damaged_line_is_refused_by_its_number_with_a_remedy(damage: bytes) -> None:
    note("push")
    with open(ledger.path_of(SLUG), "ab") as file:
        file.write(damage + b"\n")
    note("promote")
    with pytest.raises(LedgerError, match=rf"{SLUG}.jsonl:2 is not an entry of a ledger: correct the line; git diff"):
        ledger.read(SLUG)


def test_the_last_successful_promotion_of_a_target_is_live() -> None:
    assert ledger.live([], TO) is None
    first = note("promote", "sha256:1")
    note("promote", "sha256:2", "begun")
    note("promote", "sha256:2", "refused")
    note("promote", "sha256:3", to="registry.example/acme/y")
    assert ledger.live(ledger.read(SLUG), TO) == first


def test_passed_is_the_last_success_of_the_given_stage() -> None:
    note("proof", content="a")
    last = note("proof", content="a", to="registry.example/acme/y")
    note("proof", result="refused", content="a")
    note("proof", content="b")
    entries = ledger.read(SLUG)
    assert ledger.passed(entries, "proof", content="a") == last
    assert ledger.passed(entries, "proof", TO, content="a") == entries[0]
    assert ledger.passed(entries, "proof", content="c") is None
    assert ledger.passed(entries, "push") is None


def test_each_rollback_returns_to_the_version_before_and_forgets_later_ones() -> None:
    def earlier() -> str:
        return promotion.earlier(a_release()).digest

    with pytest.raises(Refused, match=r"nothing was live before the current one at registry\.example/acme/x"):
        earlier()
    note("promote", "v1")
    with pytest.raises(Refused, match="nothing was live before"):
        earlier()
    note("promote", "v2")
    assert earlier() == "v1"
    note("promote", "v1", why="rollback")
    with pytest.raises(Refused, match="nothing was live before"):
        earlier()
    note("promote", "v3")
    assert earlier() == "v1"
    note("promote", "v4")
    assert earlier() == "v3"
    note("promote", "v5", "refused")
    assert earlier() == "v3"
    assert promotion.earlier(a_release("v2")).digest == "v2"
    with pytest.raises(Refused, match="v5 was never live"):
        promotion.earlier(a_release("v5"))


@pytest.mark.parametrize("result", ["begun", "interrupted", "failed"])
def test_a_rollback_after_an_interrupted_promotion_returns_to_the_live_version(result: Result) -> None:
    note("promote", "v1")
    note("promote", "v2")
    note("promote", "v3", result)
    assert promotion.earlier(a_release()).digest == "v2"


def test_only_a_version_that_passed_staging_there_is_promoted() -> None:
    note("push", "v1")
    note("staging", "v1", "refused")
    note("staging", "v1", to="registry.example/acme/y")
    with pytest.raises(Refused, match=f"nothing has passed staging for {TO}: make push TO={TO}"):
        promotion.passed_staging(a_release())
    note("staging", "v1")
    assert promotion.passed_staging(a_release()).digest == "v1"
    with pytest.raises(Refused, match="v2 has not passed staging"):
        promotion.passed_staging(a_release("v2"))


def test_a_release_that_never_ended_is_recorded_as_interrupted_by_the_next() -> None:
    note("release", result="begun", id="killed")
    note("image", id="killed")
    note("release", result="begun", id="refused")
    note("release", result="refused", id="refused")
    for _ in range(2):
        a_release().run([])
    noted = [entry for entry in ledger.read(SLUG) if entry.result == "interrupted"]
    assert [(entry.release, entry.step, entry.where) for entry in noted] == [("killed", "release", "after image")]


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (Refused("too\nbad"), "refused"),
        (Stuck("COULD NOT go back"), "failed"),
        (KeyboardInterrupt(), "interrupted"),
        (ZeroDivisionError("0"), "failed"),
    ],
)
def test_the_result_of_a_stage_is_recorded(error: BaseException, result: str) -> None:
    def stage(release: Release) -> str:
        release.details = {"size": 1}
        raise error

    with pytest.raises(type(error)):
        a_release().run([("image", stage)])
    begun, image, release = ledger.read(SLUG)
    assert (begun.step, begun.result) == ("release", "begun")
    assert (image.step, image.result, image.details) == ("image", result, {"size": 1})
    assert image.why == " ".join(str(error).split())
    assert (release.step, release.result, release.where) == ("release", result, "image")


def test_a_contract_is_stored_once_and_a_missing_one_is_named(folder: Path) -> None:
    contract = {"components": {"schemas": {"Input": {}}}}
    kept = ledger.keep_schema(contract)
    assert ledger.keep_schema(dict(contract)) == kept
    assert ledger.schema(kept) == contract
    (folder / "schemas" / f"{kept}.json").unlink()
    with pytest.raises(LedgerError, match=rf"{kept}.json is missing or malformed: git checkout"):
        ledger.schema(kept)


def test_only_one_release_runs_and_a_second_is_told_its_age_and_process() -> None:
    with ledger.exclusive(SLUG):
        refused = "another release of .* is under way, begun [01] s ago by process"
        with (
            pytest.raises(LedgerError, match=f"{refused} {os.getpid()}: wait for it, or end it"),
            ledger.exclusive(SLUG),
        ):
            pytest.fail("two at once")
        with ledger.exclusive("another-model"):
            pass
    with ledger.exclusive(SLUG):
        pass


def test_a_killed_process_does_not_block_the_next_release(folder: Path) -> None:
    hold = (
        "import sys, time; from pathlib import Path; from scripts.release import ledger\n"
        "ledger.FOLDER = Path(sys.argv[1])\n"
        "with ledger.exclusive(sys.argv[2]): print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", hold, str(folder), SLUG]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(LedgerError, match=f"by process {process.pid}"), ledger.exclusive(SLUG):
            pytest.fail("two at once")
        process.kill()
    begun = time.monotonic()
    with ledger.exclusive(SLUG):
        assert time.monotonic() - begun < 1
