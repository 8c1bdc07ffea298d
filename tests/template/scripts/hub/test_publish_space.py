"""The demo of the default model as a Space of the local Hub."""

from pathlib import Path

import pytest
from huggingface_hub import HfApi, RepoCard

from models import manifest
from scripts import publish
from scripts.hub import client, planning
from scripts.release import ledger
from tests.services.hub import Hub

SPACE = "acme/demo"


@pytest.fixture
def api(hub: Hub, logged_in: Path) -> HfApi:
    return HfApi(endpoint=hub.endpoint, token="hf_writer")


def files(hub: Hub) -> dict[str, object]:
    repo = hub.repos[f"spaces/{SPACE}"]
    return {path: blob.content for path, blob in repo.commits[repo.refs["main"]].items()}


def test_the_demo_becomes_a_space_once(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    model = manifest.selected()
    for time in ("first", "second"):
        planned = planning.space_of(model, SPACE, "own", tmp_path / time)
        commit = planned.publish(client.connect())
    assert api.space_info(SPACE).private
    assert [one.commit_id for one in api.list_repo_commits(SPACE, repo_type="space")][:1] == [commit]
    assert len(api.list_repo_commits(SPACE, repo_type="space")) == 2
    found = files(hub)
    assert {"README.md", "app.py", "requirements.txt", "demo/page.py", "predict.py"} <= set(found)
    text = found["README.md"]
    assert isinstance(text, bytes)
    front = RepoCard(text.decode()).data.to_dict()
    assert (front["sdk"], front["app_file"]) == ("gradio", "app.py")
    assert [entry.to for entry in ledger.read(model.slug)] == [f"hf.co/spaces/{SPACE}"] * 4


def test_a_dry_run_lists_both_and_changes_nothing(
    hub: Hub, logged_in: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert publish.main(["acme/smollm2", "--space", SPACE, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "hf.co/acme/smollm2: would send" in shown
    assert f"hf.co/spaces/{SPACE}: would send" in shown
    assert next(line.split() for line in shown.splitlines() if "app.py" in line)[-2:] == ["app.py", "demo"]
    assert hub.repos == {}
