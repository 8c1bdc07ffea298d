"""`python -m scripts.releases`: what was shipped, newest first, and what is live."""

import json
from pathlib import Path

import pytest

from models import manifest
from scripts import promote, releases
from scripts.cli.command import UsageError
from scripts.release import ledger
from scripts.release.ledger import Entry, Result

TO = "r8.im/acme/x"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "FOLDER", tmp_path)


def note(step: str, digest: str = "", result: Result = "ok", dirty: bool = False, why: str = "") -> None:
    entry = Entry(
        time="2026-11-24T10:41:26+00:00",
        release="s",
        step=step,
        result=result,
        to=TO,
        commit="0123456789abcdef",
        dirty=dirty,
        who="ada@example.com",
        digest=digest,
        why=why,
    )
    ledger.append(manifest.selected().slug, entry)


def rows(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert releases.main(list(arguments)) == 0
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_an_empty_ledger_says_how_to_make_a_release(capsys: pytest.CaptureFixture[str]) -> None:
    assert releases.main([]) == 0
    assert "make push TO=r8.im/OWNER/MODEL" in capsys.readouterr().err


def test_pushes_promotions_and_what_went_wrong_newest_first(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
    note("release", result="begun")
    note("ready")
    note("push", first)
    note("promote", first, "begun")
    note("promote", first)
    note("proof", result="refused", why="it fails")
    note("release", result="refused")
    note("push", second, dirty=True)
    note("promote", second, why="faster")
    header, *listed = rows(capsys)
    assert header == "time step result digest commit to who why"
    seen = [row.removeprefix("2026-11-24T10:41:26 ") for row in listed]
    assert seen == [
        f"promote ok, live sha256:222222222222 012345678 {TO} ada@example.com faster",
        f"push ok sha256:222222222222 012345678 and changes {TO} ada@example.com",
        f"proof refused 012345678 {TO} ada@example.com it fails",
        f"promote ok sha256:111111111111 012345678 {TO} ada@example.com",
        f"push ok sha256:111111111111 012345678 {TO} ada@example.com",
    ]
    assert len(rows(capsys, "--all")) == 1 + 9


def test_a_digest_is_found_by_the_prefix_that_the_table_shows() -> None:
    first, second = f"sha256:{'1' * 64}", f"sha256:{'12' * 32}"
    note("push", first)
    note("push", second)
    assert promote.begin(TO, "sha256:11").digest == first
    assert promote.begin(TO, second).digest == second
    assert promote.begin(TO).digest == ""
    with pytest.raises(
        UsageError, match="several digests of the ledger begin with sha256:1: give one as make releases"
    ):
        promote.begin(TO, "sha256:1")
    with pytest.raises(UsageError, match="no digest of the ledger begins with sha256:3"):
        promote.begin(TO, "sha256:3")


def test_json_is_the_ledger_oldest_first(capsys: pytest.CaptureFixture[str]) -> None:
    note("push", "sha256:1")
    note("promote", "sha256:1")
    assert releases.main(["--json"]) == 0
    assert [entry["step"] for entry in json.loads(capsys.readouterr().out)] == ["push", "promote"]
