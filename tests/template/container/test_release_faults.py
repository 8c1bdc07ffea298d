"""A release that is killed, refused, cut off or concurrent: the same command continues, and the ledger records it.

A killed release and all processes that it started get SIGKILL, which nothing can catch.
"""

import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import docker
import pytest

from scripts.serving.local_container import LABEL
from tests.services.replicate import Fault
from tests.services.replicate_client import push_variant

from . import test_secrets
from .fork import Fork, on_replicate


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fork]:
    """A fork that was released once, and has two deployments."""
    with on_replicate(tmp_path_factory.mktemp("shipped") / "fork") as fork:
        fork.succeed("--create", "private")
        fork.deploy()
        yield fork


@pytest.fixture
def fork(r8_im: str, shipped: Fork) -> Fork:
    """The fork, whose last commit is not live: a test that released nothing leaves its change, and the proof of it."""
    assert shipped.service is not None
    shipped.service.faults.clear()
    live = [entry["commit"] for entry in shipped.entries() if (entry["step"], entry["result"]) == ("promote", "ok")][-1]
    if live == shipped.git("rev-parse", "HEAD").strip():
        change(shipped)
    return shipped


def change(fork: Fork) -> None:
    """Commit a change that was never released."""
    text = (fork.folder / "predict.py").read_text(encoding="utf-8")
    fork.commit("predict.py", f"{text}# at {time.time()}\n")


def containers(engine: docker.DockerClient, fork: Fork) -> list[str]:
    """The containers that releases of this fork have started."""
    found = engine.containers.list(all=True, filters={"label": LABEL}, ignore_removed=True)
    return [container.id for container in found if container.attrs["Config"]["Image"].startswith(fork.to)]


def test_after_a_kill_at_any_stage_the_same_command_continues(fork: Fork, engine: docker.DockerClient) -> None:
    live, before = fork.held(), len(fork.entries())
    for line in ("ready ...", "contract ...", "image ...", "  ready after", "push ...", "staging ..."):
        fork.killed_at(line)
        assert fork.last("release")["result"] == "begun"
        assert [fork.held(), *fork.deployed()] == [live] * 3
        if line == "  ready after":
            assert len(containers(engine, fork)) == 1
    pushed = fork.last("push")["digest"]
    for line in ("promote ...", "  deployment"):
        fork.killed_at(line)
        assert {fork.held(), *fork.deployed()} <= {live, pushed}
    assert fork.deployed() == [pushed, live]
    assert fork.last("staging")["digest"] == pushed

    assert fork.succeed() == pushed
    assert [fork.held(), *fork.deployed()] == [pushed] * 3
    assert containers(engine, fork) == []
    ended = [entry for entry in fork.entries()[before:] if entry["step"] == "release" and entry["result"] != "begun"]
    assert [entry["result"] for entry in ended] == ["interrupted"] * 8 + ["ok"]
    assert [entry["where"] for entry in ended[2:6]] == [
        f"after {step}" for step in ("contract", "image", "proof", "push")
    ]
    assert ended[7]["where"] == "after deploy"
    assert len({entry["release"] for entry in ended}) == 9
    proofs = [entry for entry in fork.entries()[before:] if entry["step"] in ("proof", "push")]
    assert {entry["content"] for entry in proofs} == {fork.last("promote")["content"]}


def test_a_container_that_a_killed_build_left_is_removed(fork: Fork, engine: docker.DockerClient) -> None:
    assert b"cog-tmp:" in Path(shutil.which("cog") or "").read_bytes()  # its name for an unfinished image
    unfinished = f"cog-tmp:{hashlib.sha256(f'{fork.to}-staging'.encode()).hexdigest()}"
    engine.images.get("python:3.11-slim").tag(unfinished)
    left = engine.containers.run(unfinished, ["sleep", "600"], detach=True)
    fork.succeed("--until", "image")
    assert left.id not in [container.id for container in engine.containers.list(all=True, ignore_removed=True)]


def test_a_rollback_after_a_killed_promotion_restores_the_live_version(fork: Fork) -> None:
    live = fork.held()
    fork.killed_at("  deployment")
    assert live not in (fork.held(), fork.deployed()[0])
    assert fork.run("rollback").returncode == 0
    assert [fork.held(), *fork.deployed()] == [live] * 3


def test_bursts_of_429_and_500_and_cut_connections_are_retried(fork: Fork) -> None:
    assert fork.service is not None
    soon = partial(Fault, retry_after=0)
    first, second = (f"/v1/deployments/{name}" for name in fork.deployments)
    fork.service.faults += [
        soon("GET", "/v1/account", 2, 500),
        soon("GET", f"/v1/models/{fork.model}", 2, 500),
        soon("GET", f"/v1/models/{fork.model}-staging", 1, "cut"),
        soon("POST", "/v1/predictions", 2, 429),
        soon("POST", f"{first}/predictions", 2, 500),
        soon("POST", f"{second}/predictions", 1, "after"),
        soon("GET", "/v1/predictions/.*", 1, 503),
        soon("GET", "/v1/predictions/.*", 1, "cut"),
        soon("GET", first, 1, "cut"),
        soon("PATCH", first, 1, 429),
        soon("PATCH", first, 1, "cut"),
        soon("PATCH", second, 1, "after"),
    ]
    digest = fork.succeed()
    assert [fork.held(), *fork.deployed()] == [digest] * 3
    assert all(fault.times == 0 for fault in fork.service.faults)


def test_an_outage_between_two_deployments_rolls_both_back(fork: Fork) -> None:
    assert fork.service is not None
    live = fork.held()
    fork.service.faults.append(Fault("PATCH", f"/v1/deployments/{fork.deployments[1]}", 6, "cut"))
    failed = fork.push()
    assert failed.returncode == 1
    message = failed.stderr.splitlines()[-1]
    assert message.startswith(f"cannot reach Replicate for the deployment {fork.deployments[1]}")
    assert f"went back: {fork.deployments[1]} to " in message
    assert fork.last("promote")["result"] == fork.last("release")["result"] == "refused"
    assert [fork.held(), *fork.deployed()] == [live] * 3

    digest = fork.succeed()
    assert [fork.held(), *fork.deployed()] == [digest] * 3 != [live] * 3


def test_a_failed_rollback_is_reported_with_the_command_that_repeats_it(fork: Fork) -> None:
    assert fork.service is not None
    live = fork.held()
    fork.service.faults.append(Fault("PATCH", f"/v1/deployments/{fork.deployments[1]}", 2, 403))
    failed = fork.push()
    assert failed.returncode == 1
    command = re.search(r"make promote TO=(\S+) DIGEST=(\S+) tries again", failed.stderr)
    assert command is not None
    assert command[2] == live
    assert f"would make {live} live" in fork.run("rollback", "--dry-run").stderr
    fork.service.faults.append(Fault("GET", f"/v1/models/{fork.model}", 1, 403))  # the live version is live without it
    assert fork.run("promote", command[1], "--digest", command[2][:19]).returncode == 0
    assert [fork.held(), *fork.deployed()] == [live] * 3


def test_staging_without_credit_names_the_billing_page_and_nothing_is_promoted(fork: Fork) -> None:
    assert fork.service is not None
    live = fork.held()
    fork.service.is_out_of_credit = True
    try:
        failed = fork.push()
    finally:
        fork.service.is_out_of_credit = False
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1] == ("Replicate needs a payment first: https://replicate.com/account/billing")
    assert fork.last("staging")["result"] == "refused"
    assert fork.held() == live


def test_a_second_release_at_once_is_refused_with_the_first_one_s_age_and_process(fork: Fork) -> None:
    with fork.pushing() as first:
        assert first.stderr is not None
        assert any(line.startswith("image ...") for line in first.stderr)
        for second in (fork.push(), fork.run("rollback"), fork.run("promote")):
            assert second.returncode == 1
            assert re.fullmatch(
                rf"another release of {fork.slug} is under way, begun \d+ s ago by process {first.pid}: "
                r"wait for it, or end it\n",
                second.stderr,
            )


def test_no_token_is_printed_written_or_pushed(
    fork: Fork, engine: docker.DockerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fork.service is not None
    change(fork)
    (fork.folder / ".env").write_text(f"REPLICATE_API_TOKEN={fork.service.token}\n")
    try:
        digest = fork.succeed("--dirty")
    finally:
        (fork.folder / ".env").unlink()
    assert fork.last("promote")["dirty"] is True
    monkeypatch.setattr(test_secrets, "TOKENS", {"REPLICATE_API_TOKEN": fork.service.token})
    pushed = f"r8.im/{fork.model}@{digest}"
    assert test_secrets.found_in_image(engine, pushed) == set()
    assert fork.service.token not in json.dumps(engine.images.get(pushed).attrs)
    assert fork.service.token not in fork.output
    written = [path for path in (fork.folder / "releases").rglob("*") if path.is_file()]
    assert len(written) >= 2
    assert all(fork.service.token not in path.read_text(encoding="utf-8") for path in written)


def test_an_unknown_token_is_refused_before_anything_is_built(fork: Fork) -> None:
    refused = fork.push(REPLICATE_API_TOKEN="r8_nobody")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith(
        "Replicate does not know this token; set a new REPLICATE_API_TOKEN"
    )
    assert fork.last("ready")["result"] == "refused"
    refused = fork.push(REPLICATE_API_TOKEN="")
    assert refused.stderr.splitlines()[-1].startswith("REPLICATE_API_TOKEN is not set: export REPLICATE_API_TOKEN")


def test_the_contract_is_compared_with_a_newer_version_from_somebody_else(
    fork: Fork, engine: docker.DockerClient
) -> None:
    theirs = engine.images.get(f"r8.im/{fork.model}@{fork.held()}")
    contract = json.loads(theirs.labels["run.cog.openapi_schema"])
    contract["components"]["schemas"]["Input"]["properties"]["theirs"] = {"type": "string", "default": ""}
    label = json.dumps(json.dumps(contract)).replace("$", r"\$")
    push_variant(engine, theirs.id, fork.model, f"LABEL run.cog.openapi_schema={label}")

    refused = fork.push("--until", "contract")
    assert refused.returncode == 1
    assert "input.theirs: removed" in refused.stderr
