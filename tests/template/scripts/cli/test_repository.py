"""Git's data about the project, in repositories of every kind and without one; and errors of git."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.cli import repository
from scripts.cli.repository import GitRefused

PREDICT = "predict.py"
SLUG = "mödel 'x' 漢字"


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "protocol.file.allow=always", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def repository_in(folder: Path, *names: str) -> None:
    """A repository with one commit of these files."""
    git(folder, "init", "--quiet")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"committed as {name}\n", encoding="utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "first")


def own(base: Path) -> Path:
    repository_in(base, PREDICT, "schemas/A.json")
    return base


def part(base: Path) -> Path:
    repository_in(base, "other/file", f"part/{PREDICT}", "part/schemas/A.json")
    return base / "part"


def worktree(base: Path) -> Path:
    (base / "main").mkdir()
    own(base / "main")
    git(base / "main", "worktree", "add", "--quiet", "../beside")
    return base / "beside"


def submodule(base: Path) -> Path:
    for name in ("source", "outer"):
        (base / name).mkdir()
    own(base / "source")
    repository_in(base / "outer")
    git(base / "outer", "submodule", "--quiet", "add", "../source", "inner")
    return base / "outer" / "inner"


KINDS = [own, part, worktree, submodule]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's folder, with everything committed."""
    return in_use(request.param(tmp_path), monkeypatch)


def in_use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(repository, "PROJECT", folder)
    return folder


def test_the_commit_is_found_and_nothing_is_changed(folder: Path) -> None:
    assert repository.exists()
    assert repository.commit() == git(folder, "rev-parse", "HEAD")
    assert repository.changed_files() == []
    assert (repository.committed("schemas/A.json") or "").endswith("schemas/A.json\n")
    assert repository.committed("schemas/B.json") is None


def test_changes_are_named_relative_to_the_projects_folder_and_the_ledger_does_not_count(folder: Path) -> None:
    (folder / PREDICT).write_text("changed")
    (folder / f"new {SLUG}").write_text("new")
    (folder / "releases").mkdir()
    (folder / "releases" / f"{SLUG}.jsonl").write_text("{}\n")
    assert sorted(repository.changed_files()) == [f"new {SLUG}", PREDICT]
    git(folder, "add", "--all")
    assert sorted(repository.changed_files()) == [f"new {SLUG}", PREDICT]
    git(folder, "mv", "schemas/A.json", "schemas/moved.json")
    assert {"schemas/A.json", "schemas/moved.json"} <= set(repository.changed_files())


def test_an_earlier_commit_matches_the_folder_until_something_other_than_the_ledger_changes(folder: Path) -> None:
    first = repository.commit()
    (folder / "releases").mkdir()
    (folder / "releases" / "ledger.jsonl").write_text("{}\n")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "ledger")
    assert repository.is_unchanged_since(first)
    assert not repository.is_unchanged_since("0" * 40)
    (folder / "new").write_text("new")
    assert not repository.is_unchanged_since(first)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "new")
    assert not repository.is_unchanged_since(first)
    assert repository.is_unchanged_since(repository.commit())


def test_changes_outside_the_projects_folder_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_use(part(tmp_path), monkeypatch)
    (tmp_path / "other" / "file").write_text("changed")
    (tmp_path / "new").write_text("new")
    assert repository.changed_files() == []


@pytest.mark.parametrize("variable", ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"])
def test_the_environment_of_a_git_hook_does_not_select_another_repository(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = git(in_use(own(tmp_path), monkeypatch), "rev-parse", "HEAD")
    monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
    assert (repository.commit(), repository.changed_files()) == (commit, [])


def test_a_folder_that_a_larger_repository_ignores_is_not_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository_in(tmp_path, "other", ".gitignore")
    in_use(tmp_path / "ignored", monkeypatch).mkdir()
    (tmp_path / ".gitignore").write_text("ignored/\n")
    assert (repository.commit(), repository.committed(PREDICT)) == ("", None)


def test_a_repository_without_commits_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(in_use(tmp_path, monkeypatch), "init", "--quiet")
    (tmp_path / PREDICT).write_text("new")
    assert (repository.commit(), repository.changed_files()) == ("", [PREDICT])
    assert repository.committed(PREDICT) is None


def test_without_a_repository_there_is_no_commit_and_git_is_not_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_use(tmp_path, monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not repository.exists()
    assert (repository.commit(), repository.changed_files(), repository.committed(PREDICT)) == ("", [], None)
    assert repository.email() == ""


def another_owner(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """https://git-scm.com/docs/git-config#Documentation/git-config.txt-safedirectory"""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    return rf"detected dubious ownership .*git config --global --add safe\.directory {folder}$"


def without_git(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PATH", str(folder))
    return "is in a repository, but git cannot be run .*: install it"


def lost_worktree(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (folder / ".git").rename(folder / ".git-gone")
    (folder / ".git").write_text("gitdir: /nowhere/.git/worktrees/x\n")
    return "git fails in .*: not a git repository: /nowhere/"


def lost_object(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (folder / ".git" / "objects").rename(folder / ".git" / "gone")
    return "git fails in .*"


def wrong_configuration(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (folder / ".git" / "config").write_text("[core\n")
    return "git fails in .*: bad config line 1 in file"


@pytest.mark.parametrize("damage", [another_owner, without_git, lost_worktree, lost_object, wrong_configuration])
def test_an_error_of_git_is_reported_with_its_message(
    damage: Callable[[Path, pytest.MonkeyPatch], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = damage(in_use(own(tmp_path), monkeypatch), monkeypatch)
    for ask in (repository.commit, repository.changed_files, lambda: repository.committed("schemas/A.json")):
        with pytest.raises(GitRefused, match=message) as refused:
            ask()
        assert "\n" not in str(refused.value)
    repository.email()
