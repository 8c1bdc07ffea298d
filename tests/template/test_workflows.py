"""The GitHub workflows: checked by actionlint, their permissions, and their scripts, run on a local repository."""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.dependencies.pins import pinned
from tests.commands import skip_or_fail

PROJECT = Path(__file__).parents[2]
WORKFLOWS = sorted((PROJECT / ".github" / "workflows").iterdir())
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
TYPED = """it's "50%" $HOME $(touch made) `touch made` $(shell touch made); touch made # äöü"""

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


def parsed(path: Path) -> dict[str, Any]:
    """A parsed workflow; every scalar is a string, so that the key `on` does not become true."""
    workflow: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    return workflow


def steps(path: Path) -> list[tuple[str, dict[str, Any]]]:
    """Every step of every job, with the job's name."""
    return [(name, step) for name, job in parsed(path)["jobs"].items() for step in job["steps"]]


def step(workflow: str, name: str) -> dict[str, Any]:
    """The step with this name."""
    (found,) = [one for _, one in steps(PROJECT / ".github" / "workflows" / workflow) if one.get("name") == name]
    return found


def strings(value: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every string in a workflow, with its path of keys."""
    if isinstance(value, str):
        yield at, value
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from strings(inner, (*at, str(key)))


def make_commands() -> list[tuple[str, list[str]]]:
    """Every `make` command in the workflows: the workflow's name and the command's words."""
    lines = [
        (path.name, line)
        for path in WORKFLOWS
        for _, one in steps(path)
        for line in one.get("run", "").replace("\\\n", " ").splitlines()
    ]
    words = [(name, shlex.split(line, comments=True)) for name, line in lines if re.search(r"\bmake\b", line)]
    return [(name, found[found.index("make") + 1 :]) for name, found in words]


@pytest.fixture(scope="module")
def actionlint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command actionlint, built from its Go module."""
    if shutil.which("go") is None:
        skip_or_fail("the go command, which builds actionlint (https://go.dev/doc/install)")
    folder = tmp_path_factory.mktemp("actionlint")
    environment = os.environ | {"GOBIN": str(folder), "GOFLAGS": "-buildvcs=false"}
    built = subprocess.run(
        ["go", "install", ACTIONLINT], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    if built.returncode:
        skip_or_fail(f"actionlint, which go install {ACTIONLINT} cannot build: {built.stderr.strip()[-500:]}")
    return folder / "actionlint"


def lint(command: Path, path: Path) -> subprocess.CompletedProcess[str]:
    """Run actionlint without shellcheck and pyflakes, which only some machines have."""
    arguments = [str(command), "-no-color", "-shellcheck=", "-pyflakes=", str(path)]
    return subprocess.run(arguments, cwd=PROJECT, capture_output=True, text=True, timeout=60)


@each_workflow
def test_actionlint_finds_nothing(actionlint: Path, path: Path) -> None:
    done = lint(actionlint, path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_would_find_a_wrong_key_and_an_input_in_a_script(actionlint: Path, tmp_path: Path) -> None:
    text = next(path for path in WORKFLOWS if path.name == "ci.yml").read_text(encoding="utf-8")
    broken = tmp_path / "broken.yml"
    broken.write_text(text.replace("run: make check", "run: make check ${{ github.head_ref }}", 1))
    assert "github.head_ref" in lint(actionlint, broken).stdout
    broken.write_text(text.replace("runs-on:", "run-on:", 1))
    assert "run-on" in lint(actionlint, broken).stdout


@each_workflow
def test_only_a_job_that_pushes_may_write(path: Path) -> None:
    workflow = parsed(path)
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        pushes = any("git push" in one.get("run", "") for one in job["steps"])
        assert job.get("permissions") == ({"contents": "write"} if pushes else None)
        assert int(job["timeout-minutes"]) <= 120


@each_workflow
def test_no_script_contains_an_expression(path: Path) -> None:
    """Typed inputs and chosen names reach a script only through its environment."""
    assert [one["run"] for _, one in steps(path) if "${{" in one.get("run", "")] == []


@each_workflow
def test_a_secret_is_passed_only_to_the_step_that_needs_it(path: Path) -> None:
    for at, text in strings(parsed(path)):
        if re.search(r"\bsecrets\b|github\.token", text):
            assert (at[0], at[2], at[4]) == ("jobs", "steps", "env"), at
            assert text == f"${{{{ secrets.{at[5]} }}}}" or (at[5], text) == ("GITHUB_TOKEN", "${{ github.token }}")
    for _, one in steps(path):
        if "actions/checkout@" in one.get("uses", ""):
            assert one["with"]["persist-credentials"] == "false"


@each_workflow
def test_every_action_is_pinned_to_a_commit(path: Path) -> None:
    uses = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
    assert uses
    assert [one for one in uses if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one)] == []


@each_workflow
def test_workflows_use_the_same_version_of_cog_as_the_scripts(path: Path) -> None:
    version = pinned("plain")["cog"]
    assert set(re.findall(r"cog/releases/download/v([\d.]+)/", path.read_text(encoding="utf-8"))) <= {version}
    for name, one in steps(path):
        if re.search(r"\bcog login\b|make (push|promote|rollback)\b", one.get("run", "")):
            assert any("cog/releases" in other.get("run", "") for job, other in steps(path) if job == name)


def test_staging_and_release_never_run_at_the_same_time() -> None:
    groups = [parsed(path)["concurrency"] for path in WORKFLOWS if path.name in ("staging.yml", "release.yml")]
    assert groups == [{"group": "release", "cancel-in-progress": "false"}] * 2


def test_production_is_reached_only_through_its_environment() -> None:
    reaching = {words[0] for name, words in make_commands() if name == "release.yml"}
    assert {"promote", "rollback"} <= reaching
    for path in WORKFLOWS:
        for name, one in steps(path):
            if re.search(r"make (promote|rollback)\b", one.get("run", "")):
                assert parsed(path)["jobs"][name]["environment"] == "production"
    for _, words in make_commands():
        assert words[0] != "push" or "UNTIL=staging" in words


def test_every_verb_and_variable_of_make_exists() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    scripts = "".join(path.read_text(encoding="utf-8") for path in (PROJECT / "scripts").rglob("*.py"))
    verbs = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert make_commands()
    for name, (verb, *rest) in make_commands():
        assert verb in verbs, f"{name}: make {verb}"
        given = [word.partition("=")[0] for word in rest]
        given += ["DIGEST", "REASON"] if verb in ("promote", "rollback") else []
        for variable in given:
            in_recipe = re.search(rf"\$\$\{{?{variable}\b|\$\({variable}\)", makefile)
            in_script = re.search(rf"""environ(\.get\(|\[)["']{variable}["']|envvar="{variable}\"""", scripts)
            assert in_recipe or in_script, f"{name}: make {verb} {variable}="


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
