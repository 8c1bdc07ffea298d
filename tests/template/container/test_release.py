"""The complete path of a release: the real cog, Docker and registry, and a local Replicate that runs the pushed images.

One story: version 1 is released. Version 2 fails in staging, and production keeps version 1. Version 2 is fixed and
promoted to two deployments; the second fails at first, so both go back. Then it is promoted, and rolled back. Released
once more, it is already proven and pushed, and is rolled back to version 1 again. The released model is one that is
tried in seconds; tests/fork/test_container.py tries the project's default model as a release does.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from .fork import Fork, on_replicate

COSMETIC = ("How many words to say.", "How many words are said.")
STAGES = ["ready", "contract", "image", "proof", "push", "staging", "promote", "release"]


@pytest.fixture
def fork(r8_im: str, tmp_path: Path) -> Iterator[Fork]:
    with on_replicate(tmp_path / "fork") as fork:
        yield fork


def test_push_proof_staging_promotion_and_rollback_work(fork: Fork) -> None:
    service = fork.service
    assert service is not None
    first = fork.succeed("--create", "private")
    assert f"sha256:{fork.newest()}" == first == fork.held()
    assert {fork.last(step)["digest"] for step in ("push", "staging", "promote")} == {first}
    assert len({fork.last(step)["content"] for step in ("proof", "push", "promote")}) == 1
    assert [entry["step"] for entry in fork.entries() if entry["result"] == "ok"] == STAGES
    assert fork.last("staging")["details"]["hardware"] == "cpu"

    fork.deploy()
    fork.change("predict.py", *COSMETIC)
    second = fork.succeed("--until", "push")
    assert second != first
    service.break_version(second.removeprefix("sha256:"), f"models/{fork.model}-staging")
    failed = fork.push("--only", "staging")
    assert failed.returncode == 1
    assert "CUDA error" in failed.stderr
    assert fork.run("promote", fork.to, "--digest", second).returncode == 1
    assert fork.held() == first

    service.mend_version(second.removeprefix("sha256:"))
    assert fork.succeed("--only", "staging") == second
    service.break_version(second.removeprefix("sha256:"), f"deployments/{fork.deployments[1]}")
    failed = fork.run("promote", fork.to)
    assert failed.returncode == 1
    assert "went back" in failed.stderr
    assert [fork.held(), *fork.deployed()] == [first] * 3

    service.mend_version(second.removeprefix("sha256:"))
    assert fork.run("promote", fork.to, "--reason", "faster").returncode == 0
    assert [fork.held(), *fork.deployed()] == [second] * 3
    assert fork.last("promote")["why"] == "faster"

    back = fork.run("rollback")
    assert back.returncode == 0
    assert f"but {fork.newest()[:12]} stays the newest version" in back.stderr
    assert [fork.held(), *fork.deployed()] == [first] * 3
    built = next(entry for entry in fork.entries() if entry["step"] == "push" and entry["digest"] == first)
    assert fork.last("promote")["commit"] == built["commit"] != fork.last("push")["commit"]
    assert re.search(rf"ok, live\s+{first[:19]}", fork.run("releases").stdout)
    again = fork.run("rollback")
    assert again.returncode == 1
    assert again.stderr.splitlines()[-1].startswith("nothing was live before the current one")

    assert fork.succeed() == second
    assert [fork.held(), *fork.deployed()] == [second] * 3
    assert "this image was already proven at" in fork.output
    assert fork.run("rollback").returncode == 0
    assert [fork.held(), *fork.deployed()] == [first] * 3
