"""The project in git: a repository, a folder of a larger one, a worktree, a submodule, or no repository.

If there is a repository, a failure of git is an error: nothing counts as absent because git failed.
"""

import os
import subprocess

from models.errors import TemplateError
from models.manifest import PROJECT

# Git sets these for its hooks; they name the hook's repository, which may be another one.
_OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX")


class GitRefused(TemplateError):
    """There is a repository, but git fails in it."""


def exists() -> bool:
    """Whether this folder or one of its parents has a repository."""
    return any(os.path.lexists(folder / ".git") for folder in (PROJECT, *PROJECT.parents))


def commit() -> str:
    """The id of the last commit; "" if there is no repository, or no commit with this folder.

    Raises:
        GitRefused: git fails.
    """
    if not exists():
        return ""
    head = _run("rev-parse", "--verify", "--quiet", "HEAD")
    if head.returncode == 1 and not head.stderr:
        return ""
    return _printed(head).strip() if _git("ls-tree", "--name-only", "HEAD") else ""


def changed_files() -> list[str]:
    """The files of this folder that differ from the last commit, except releases/; by path from this folder.

    Raises:
        GitRefused: git fails.
    """
    if not exists():
        return []
    above = _git("rev-parse", "--show-prefix").strip("\n")
    options = ("--porcelain", "-z", "--no-renames", "--untracked-files=all")
    lines = _git("status", *options, "--", ".", ":(exclude)releases").split("\0")
    return [line[3:].removeprefix(above) for line in lines if line]


def is_unchanged_since(commit: str) -> bool:
    """Whether nothing in this folder except releases/ differs from a commit; False if git does not know the commit."""
    if not exists():
        return False
    return _run("diff", "--quiet", commit, "--", ".", ":(exclude)releases").returncode == 0 and not changed_files()


def committed(path: str) -> str | None:
    """A file's text in the last commit; None if it is not in it. `path`: from this folder.

    Raises:
        GitRefused: git fails.
    """
    found = _git("ls-tree", "HEAD", "--", path) if commit() else ""
    return _git("cat-file", "blob", found.split()[2]) if found else None


def email() -> str:
    """The user's address in git; "" if there is none."""
    try:
        return _run("config", "user.email").stdout.strip()
    except GitRefused:
        return ""


def _git(*arguments: str) -> str:
    return _printed(_run(*arguments))


def _printed(done: "subprocess.CompletedProcess[str]") -> str:
    if done.returncode != 0:
        message = " ".join(done.stderr.split()).removeprefix("fatal: ")
        raise GitRefused(f"git fails in {PROJECT}: {message or f'exit code {done.returncode}'}")
    return done.stdout


def _run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run git in this folder; file names may contain any bytes."""
    command = ["git", "--no-optional-locks", *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK}
    try:
        return subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, encoding="utf-8", errors="backslashreplace"
        )
    except OSError as error:
        raise GitRefused(f"{PROJECT} is in a repository, but git cannot be run ({error}): install it") from error
