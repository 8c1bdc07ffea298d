"""Refusals before anything is pushed: an image with a bug, a model that is not on Replicate."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from models import manifest
from tests.services.replicate import Fault
from tests.services.replicate_client import client_of

from .fork import Fork, make, new_name, on_replicate

BUGS = {
    "a bound": ("[: int(count)]", "[: 3 // (3 - int(count))]"),
    "setup": ('self.words = ["It is ", "Paris", "."]', 'raise FileNotFoundError("no words.txt here")'),
}


@pytest.fixture
def plain(engine: docker.DockerClient, tmp_path: Path) -> Fork:
    return make(tmp_path / "plain", f"127.0.0.1:5055/{new_name()}")


@pytest.fixture
def fork(r8_im: str, tmp_path: Path) -> Iterator[Fork]:
    with on_replicate(tmp_path / "fork") as fork:
        yield fork


@pytest.mark.parametrize(
    ("bug", "messages"),
    [
        ("a bound", ["ZeroDivisionError", "\n    curl -sS http://127.0.0.1:5000/predictions", '"count": 3']),
        ("setup", ["does not start, or ends by itself: no words.txt here; to reproduce it: docker run"]),
    ],
)
def test_an_image_with_a_bug_is_not_pushed_and_a_command_shows_the_bug(
    bug: str, messages: list[str], plain: Fork
) -> None:
    plain.change("predict.py", *BUGS[bug])
    refused = plain.push()
    assert refused.returncode == 1
    for words in [*messages, f"docker run --rm -p 5000:5000 {plain.to}:staging"]:
        assert words in refused.stderr
    assert plain.last("proof")["result"] == plain.last("release")["result"] == "refused"
    assert plain.held(tag="staging") == plain.held() == ""

    never = plain.push("--only", "push")
    assert never.returncode == 1
    assert never.stderr.splitlines()[-1].endswith(f"was never proven: make push TO={plain.to} UNTIL=proof")
    assert plain.held(tag="staging") == ""


def test_a_single_stage_names_the_stage_that_must_come_first(plain: Fork) -> None:
    for stage, words in {
        "proof": f"there is no image {plain.to}:staging",
        "push": f"there is no image {plain.to}:staging",
        "staging": f"nothing was pushed for {plain.to}: make push",
        "promote": f"nothing has passed staging for {plain.to}: make push",
    }.items():
        refused = plain.push("--only", stage)
        assert refused.returncode == 1
        assert refused.stderr.splitlines()[-1].startswith(words)


def test_a_missing_model_is_created_from_the_manifest_if_requested(fork: Fork) -> None:
    assert fork.service is not None
    refused = fork.push("--until", "ready")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == (
        f"{fork.model} is not on Replicate: make push TO={fork.to} CREATE=private (or public) makes it, "
        f"and {fork.model}-staging beside it"
    )
    assert fork.service.models == {}

    fork.service.faults += [Fault("POST", "/v1/models", 1, "after"), Fault("POST", "/v1/models", 1, 500)]
    fork.succeed("--until", "contract", "--create", "public")
    assert "no caller can break" in fork.output
    model = manifest.load(fork.slug)
    models = client_of(fork.service).models
    made, staging = models.get(fork.model), models.get(f"{fork.model}-staging")
    assert (made.visibility, staging.visibility) == ("public", "private")
    assert made.description == staging.description == model.summary
    assert made.license_url == model.license.link
    fork.succeed("--until", "ready")


def test_a_name_that_belongs_to_somebody_else_is_refused(fork: Fork) -> None:
    fork.to = f"r8.im/someone-else/{uuid.uuid4().hex[:8]}"
    refused = fork.push("--until", "ready", "--create", "private")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("this token may not do that")
