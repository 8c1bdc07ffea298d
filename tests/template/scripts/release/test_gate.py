"""The first two stages, run as a command in a separate repository: what they refuse, and how."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.template.container.fork import Fork, make

TO = "registry.example/acme/x"
RENAMED = "input.loud: renamed to shout: Cog silently drops the old one from a request"
REPORT = f"""\
major: 1 breaking

Breaking: callers that work today would fail, or get something else.
  {RENAMED}
    instead: keep the old name with deprecated=True, and add the new one beside it, optional

To release it anyway, as a new major version: make push TO={TO} BREAKING="why"
"""


@pytest.fixture
def fork(tmp_path: Path) -> Fork:
    return make(tmp_path / "fork", TO)


def gate(fork: Fork, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return fork.push("--until", "contract", *arguments)


def test_a_committed_and_rendered_project_passes(fork: Fork) -> None:
    done = gate(fork)
    assert done.returncode == 0, done.stderr
    assert fork.last("ready")["who"] == "ada@example.com"
    assert fork.last("ready")["commit"] == fork.git("rev-parse", "HEAD").strip()
    assert "dirty" not in fork.last("ready")
    assert "ready: licence apache-2.0, all committed" in done.stderr


def test_nothing_is_imported_that_takes_long(fork: Fork) -> None:
    done = fork.push("--until", "contract", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    imported = set(re.findall(r"\| +(\w+)$", done.stderr, re.MULTILINE))
    assert "tree_sitter" in imported
    assert imported.isdisjoint(
        {"torch", "transformers", "openvino", "openvino_genai", "docker", "gradio", "matplotlib"}
    )


@pytest.mark.slow
def test_uncommitted_changes_are_named_and_dirty_allows_and_records_them(fork: Fork) -> None:
    for number in range(7):
        (fork.folder / f"note-{number}.txt").write_text("new")
    refused = gate(fork)
    assert refused.returncode == 1
    assert "not committed: note-0.txt, note-1.txt" in refused.stderr.splitlines()[-1]
    assert refused.stderr.splitlines()[-1].endswith(
        "note-4.txt, ...: commit first, or release it anyway with DIRTY=1, which the ledger records"
    )
    assert gate(fork, "--dirty").returncode == 0
    assert fork.last("contract")["dirty"] is True
    assert "and changes" in fork.run("releases", "--all").stdout


@pytest.mark.slow
def test_the_ledger_does_not_count_as_an_uncommitted_change(fork: Fork) -> None:
    assert gate(fork).returncode == 0
    assert "releases/" in fork.git("status", "--porcelain")
    assert gate(fork).returncode == 0


@pytest.mark.slow
def test_a_folder_outside_a_repository_is_not_committed(fork: Fork) -> None:
    (fork.folder / ".git").rename(fork.folder.parent / "gone")
    refused = gate(fork)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("nothing is committed: git init, git add --all and git commit")
    assert gate(fork, "--dirty").returncode == 0
    assert fork.last("contract")["dirty"] is True


@pytest.mark.slow  # five commands
def test_a_folder_of_a_larger_repository_can_be_released_like_a_repository(fork: Fork) -> None:
    shutil.rmtree(fork.folder / ".git")
    for arguments in (["init", "--quiet"], ["add", fork.folder.name], ["commit", "--quiet", "--message", "all"]):
        fork.git("-C", "..", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments)
    for _ in range(2):
        assert gate(fork).returncode == 0, fork.output
        assert fork.last("ready")["commit"] == fork.git("rev-parse", "HEAD").strip()
        assert "dirty" not in fork.last("ready")
    assert fork.last("contract")["details"] == {"the committed schema": []}
    path = fork.folder / "predict.py"
    path.write_text(path.read_text().replace("loud: bool", "shout: bool"))
    assert fork.run("render").returncode == 0
    assert "not committed: predict.py, schemas/TextGeneration.json: commit first" in gate(fork).stderr
    assert gate(fork, "--dirty").stderr.endswith(REPORT)


def test_an_error_of_git_is_not_taken_for_a_missing_repository_even_with_dirty(fork: Fork) -> None:
    refused = fork.push("--until", "contract", "--dirty", GIT_TEST_ASSUME_DIFFERENT_OWNER="1")
    assert refused.returncode == 1
    assert "detected dubious ownership" in refused.stderr.splitlines()[-1]
    assert refused.stderr.splitlines()[-1].endswith(f"git config --global --add safe.directory {fork.folder}")


@pytest.mark.slow
def test_a_committed_schema_that_is_not_json_is_refused(fork: Fork) -> None:
    (fork.folder / "schemas" / "TextGeneration.json").write_text("<<<<<<< HEAD\n")
    fork.git("commit", "--quiet", "--all", "--message", "conflict")
    assert fork.run("render").returncode == 0
    refused = gate(fork, "--dirty")
    assert refused.returncode == 1
    assert "schemas/TextGeneration.json is not JSON in the last commit" in refused.stderr.splitlines()[-1]


def test_a_rendered_file_that_is_not_current_is_refused(fork: Fork) -> None:
    (fork.folder / "cog.cpu.yaml").write_text("build: {}\n")
    refused = gate(fork, "--dirty")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == "cog.cpu.yaml: not as rendered: make render, and commit the result"


@pytest.mark.parametrize("licence", ["''", "unknown"])
def test_a_model_without_a_licence_is_refused(licence: str, fork: Fork) -> None:
    (fork.folder / "models" / "catalog" / fork.slug / "README.md").unlink()  # a card needs a licence to be rendered
    fork.change(f"models/catalog/{fork.slug}/model.yaml", "  id: apache-2.0", f"  id: {licence}")
    refused = gate(fork)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].endswith(
        f"{fork.slug}/model.yaml states no licence: name it under `license`, as the model's card does"
    )


@pytest.mark.slow
def test_a_breaking_change_is_refused_with_its_remedy_unless_a_reason_is_given(fork: Fork) -> None:
    path = fork.folder / "predict.py"
    path.write_text(path.read_text().replace("loud: bool", "shout: bool"))
    assert fork.run("render").returncode == 0
    refused = gate(fork, "--dirty")
    assert refused.returncode == 1
    assert refused.stderr.endswith(REPORT)
    assert fork.last("contract")["result"] == "refused"
    assert fork.last("contract")["details"] == {"the committed schema": [f"breaking {RENAMED}"]}

    allowed = gate(fork, "--dirty", "--breaking", "loud was a bad name")
    assert allowed.returncode == 0
    assert "major: 1 breaking (allowed: loud was a bad name)" in allowed.stderr
    assert fork.last("contract")["why"] == "loud was a bad name"


def test_an_unknown_stage_is_wrong_usage(fork: Fork) -> None:
    refused = fork.push("--until", "promotion")
    assert refused.returncode == 2
    assert refused.stderr.splitlines() == [
        "there is no stage 'promotion': ready, contract, image, proof, push, staging, promote"
    ]


@pytest.mark.slow
def test_a_release_that_the_licence_forbids_is_refused_by_its_clause(fork: Fork) -> None:
    (fork.folder / "models" / "catalog" / fork.slug / "README.md").unlink()
    fork.change(f"models/catalog/{fork.slug}/model.yaml", "license: {id: apache-2.0,", "license: {id: cc-by-nc-4.0,")
    fork.change(f"models/catalog/{fork.slug}/model.yaml", "release: open", "release: {tier: open, paid_api: true}")
    refused = gate(fork)
    assert refused.returncode == 1
    assert "a paid API: refused (section 2(a)(1))" in refused.stderr.splitlines()[-1]
