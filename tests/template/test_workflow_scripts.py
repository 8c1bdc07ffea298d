"""The scripts of the GitHub workflows, run on a local repository: inputs, the ledger, upgraded packages."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.template.workflows import PROJECT, step

TYPED = """it's "50%" $HOME $(touch made) `touch made` $(shell touch made); touch made # äöü"""


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    """A folder with our Makefile and a fake Python that records its arguments and environment."""
    shutil.copy(PROJECT / "Makefile", tmp_path)
    shutil.copytree(PROJECT / "requirements", tmp_path / "requirements")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text(
        "#!/usr/bin/env python3\nimport json, os, sys\n"
        "open('asked', 'w').write(json.dumps([sys.argv[1:], dict(os.environ)]))\n"
    )
    python.chmod(0o755)
    for name in (".python", ".openvino", ".transformers"):
        (tmp_path / ".venv" / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("workflow", "name", "typed"),
    [
        ("staging.yml", "Push to staging", {}),
        ("release.yml", "Promote", {"REASON": TYPED, "DIGEST": ""}),
        ("release.yml", "Promote", {"REASON": "slow", "DIGEST": TYPED}),
        ("release.yml", "Roll back", {"REASON": TYPED, "DIGEST": "sha256:" + "0" * 64}),
    ],
)
def test_workflow_inputs_reach_the_script_unchanged(
    stand_in: Path, workflow: str, name: str, typed: dict[str, str]
) -> None:
    settings = {"REPLICATE_MODEL": "acme/smollm2", "DEVICE": "cpu"} | typed
    done = run(step(workflow, name)["run"], stand_in, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    words, environment = json.loads((stand_in / "asked").read_text())
    assert words[0] == "-m"
    assert "r8.im/acme/smollm2" in words
    for key, value in typed.items():
        assert value in words or environment[key] == value
    assert not (stand_in / "made").exists()


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A server's repository and a clone of it, with a tag and a later line in the ledger."""
    person = tmp_path / "person"
    run("git init --quiet --bare --initial-branch main origin && git clone --quiet origin person", tmp_path)
    commit(person, "predict.py", "first\n")
    commit(person, "releases/smollm2.jsonl", "1\n")
    run("git tag v1.0.0 && git push --quiet --tags origin main", person)
    commit(person, "releases/smollm2.jsonl", "1\n2\n")
    run("git push --quiet origin main", person)
    return tmp_path


def run(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script like GitHub's runner, with isolated settings of git and make."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS", "GIT_"))}
    person = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_COUNT": "2"}
    for number, (key, value) in enumerate({"user.name": "ada", "user.email": "ada@example.com"}.items()):
        person |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder,
        env=kept | person | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def commit(folder: Path, name: str, text: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    done = run(f"git add {name} && git commit --quiet --message {name}", folder)
    assert done.returncode == 0, done.stderr


def record(workflow: str, checkout: Path) -> subprocess.CompletedProcess[str]:
    script = step(workflow, "Record it in the ledger of the default branch")["run"]
    place = {"BRANCH": "main", "RUNNER_TEMP": str(checkout.parent), "GITHUB_REF_NAME": "v1.0.0", "ACTION": "promote"}
    return run(script, checkout, **place)


def on_the_server(published: Path, name: str) -> str:
    return run(f"git show main:{name}", published / "origin").stdout


def runner_of(workflow: str, published: Path) -> Path:
    """A checkout like that of actions/checkout, of the tag or the default branch, then with the ledger."""
    checkout = published / "checkout"
    ref = "v1.0.0" if workflow == "staging.yml" else "main"
    run(f"git clone --quiet origin checkout && git -C checkout checkout --quiet {ref}", published)
    if workflow == "staging.yml":
        taken = run(step(workflow, "Take the ledger as the default branch has it")["run"], checkout, BRANCH="main")
        assert taken.returncode == 0, taken.stderr
    assert (checkout / "releases" / "smollm2.jsonl").read_text() == "1\n2\n"
    return checkout


@pytest.mark.parametrize("workflow", ["staging.yml", "release.yml"])
def test_the_ledger_is_pushed_to_the_default_branch_despite_other_pushes(published: Path, workflow: str) -> None:
    checkout = runner_of(workflow, published)
    (checkout / "releases" / "smollm2.jsonl").write_text("1\n2\n3\n")
    (checkout / "releases" / ".smollm2.lock").touch()
    (checkout / "baked").mkdir()
    commit(published / "person", "predict.py", "second\n")
    run("git push --quiet origin main", published / "person")
    done = record(workflow, checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "+3" in done.stdout
    assert on_the_server(published, "releases/smollm2.jsonl") == "1\n2\n3\n"
    assert on_the_server(published, "predict.py") == "second\n"
    changed = run("git show --format=%ae --name-only main", published / "origin").stdout.split()
    assert changed == ["ada@example.com", "releases/smollm2.jsonl"]


@pytest.mark.parametrize("workflow", ["staging.yml", "release.yml"])
def test_an_unchanged_ledger_makes_no_commit(published: Path, workflow: str) -> None:
    before = run("git rev-parse main", published / "origin").stdout
    done = record(workflow, runner_of(workflow, published))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "the ledger is as it was"), done.stderr
    assert run("git rev-parse main", published / "origin").stdout == before


def test_two_different_ledgers_are_never_merged_silently(published: Path) -> None:
    checkout = runner_of("release.yml", published)
    (checkout / "releases" / "smollm2.jsonl").write_text("1\n2\n3\n")
    commit(published / "person", "releases/smollm2.jsonl", "1\n2\nfrom a laptop\n")
    run("git push --quiet origin main", published / "person")
    done = record("release.yml", checkout)
    assert done.returncode != 0
    assert "+3" in done.stdout  # an entry that could not be recorded is at least in the log
    assert on_the_server(published, "releases/smollm2.jsonl") == "1\n2\nfrom a laptop\n"


def test_upgraded_packages_are_pushed_as_a_branch_that_is_made_anew_each_time(published: Path) -> None:
    script = step("packages.yml", "Push what has changed")["run"]
    checkout = published / "checkout"
    run("git clone --quiet origin checkout", published)
    summary = {"GITHUB_STEP_SUMMARY": str(published / "summary"), "GITHUB_SERVER_URL": "https://github.com"}
    variables = summary | {"GITHUB_REPOSITORY": "ada/fork"}
    for text in ("pip==1\n", "pip==2\n"):
        run("git checkout --quiet -B main origin/main", checkout)
        (checkout / "requirements").mkdir(exist_ok=True)
        (checkout / "requirements" / "lock.txt").write_text(text)
        (checkout / "made").touch()
        done = run(script, checkout, **variables)
        assert done.returncode == 0, done.stderr
        assert run("git show packages:requirements/lock.txt", published / "origin").stdout == text
    assert run("git diff --name-only main packages", published / "origin").stdout == "requirements/lock.txt\n"
    assert "https://github.com/ada/fork/compare/packages?expand=1" in (published / "summary").read_text()
    run("git checkout --quiet -B main origin/packages && git branch --quiet -u origin/packages", checkout)
    assert "all packages are the newest" in run(script, checkout, **variables).stdout


def test_git_gets_the_token_only_through_the_environment(tmp_path: Path) -> None:
    variables = step("release.yml", "Record it in the ledger of the default branch")["env"]
    helper = {key: variables[key] for key in ("GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_2", "GIT_CONFIG_VALUE_2")}
    asked = run(
        "printf 'protocol=https\\nhost=github.com\\n\\n' | git credential fill",
        tmp_path,
        GITHUB_TOKEN="ghs_x",
        **helper,
    )
    assert {"username=x-access-token", "password=ghs_x"} <= set(asked.stdout.split()), asked.stderr
