"""make publish-all of a model sold through its API: version and page on Replicate, and a card on the Hub."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.hub import Hub

from .fork import Fork, on_replicate


@pytest.fixture
def fork(r8_im: str, tmp_path: Path) -> Iterator[Fork]:
    with on_replicate(tmp_path / "fork") as fork, Hub() as hub:
        hub.writer("hf_writer", "ada", "acme")
        fork.variables |= {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": "hf_writer", "HF_HUB_DISABLE_TELEMETRY": "1"}
        yield fork
        repo = hub.repos["acme/large"]
        assert not [path for path in repo.commits[repo.refs["main"]] if path.endswith((".gguf", ".safetensors"))]
        assert "hf_writer" not in fork.output


def test_every_step_of_a_plan_is_done_once(fork: Fork, tmp_path: Path) -> None:
    assert fork.service is not None
    fork.change(f"models/catalog/{fork.slug}/model.yaml", "\nrelease: open\n", "\nrelease: api-only\n")
    plan = tmp_path / "plan.yaml"
    tier = {"model": fork.slug, "hub": "acme/large", "replicate": fork.model, "device": "cpu"}
    plan.write_text("tiers:\n  - {" + ", ".join(f"{key}: {value}" for key, value in tier.items()) + "}\n")

    done = fork.run("publish_all", str(plan))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("done, ") == 3
    assert fork.held() == f"sha256:{fork.newest()}" == fork.last("promote")["digest"]
    assert fork.last("page")["result"] == fork.last("publish")["result"] == "ok"
    model = fork.service.models[fork.model]
    assert model.readme.lstrip().startswith("# SmolLM2 135M Instruct")
    assert fork.model in model.readme

    again = fork.run("publish_all", str(plan))
    assert again.returncode == 0, again.stderr
    assert "the version is up to date" in again.stderr
    assert len([entry for entry in fork.entries() if entry["step"] == "push"]) == 1

    fork.change("predict.py", "Answers with the capital of France.", "Answers with a capital.")
    left = fork.run("publish_all", str(plan), "--dry-run")
    assert "left: the project changed since" in left.stdout
