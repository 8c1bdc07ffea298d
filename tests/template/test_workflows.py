"""The GitHub workflows: checked by actionlint, their permissions, and the verbs of make that they run."""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.dependencies.pins import pinned
from tests.commands import skip_or_fail
from tests.template.workflows import PROJECT, WORKFLOWS, parsed, steps

ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)


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
        ["go", "install", ACTIONLINT], cwd=folder, env=environment, capture_output=True, text=True, timeout=900
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
