"""What git knows of this project: a repository, a folder of a larger one, a worktree, a submodule, or none.

Where there is a repository, whatever git refuses is an error: nothing is ever taken for absent because git failed.
"""

import os
import subprocess

from models.errors import TemplateError
from models.weights import PROJECT

# Set for git's hooks, and then of the repository that the hook is for.
_OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX")


class GitRefused(TemplateError):
    """There is a repository, and git does not say what is in it."""


def exists() -> bool:
    """Whether this folder, or one that it is in, has a repository."""
    return any(os.path.lexists(folder / ".git") for folder in (PROJECT, *PROJECT.parents))


def commit() -> str:
    """The id of the last commit; "" where there is no repository, or none of its commits has this folder.

    Raises:
        GitRefused: git does not say.
    """
    if not exists():
        return ""
    head = _run("rev-parse", "--verify", "--quiet", "HEAD")
    if head.returncode == 1 and not head.stderr:
        return ""
    return _printed(head).strip() if _git("ls-tree", "--name-only", "HEAD") else ""


def changed_files() -> list[str]:
    """The files of this folder that differ from the last commit, without releases/; each by its path from here.

    Raises:
        GitRefused: git does not say.
    """
    if not exists():
        return []
    above = _git("rev-parse", "--show-prefix").strip("\n")
    options = ("--porcelain", "-z", "--no-renames", "--untracked-files=all")
    lines = _git("status", *options, "--", ".", ":(exclude)releases").split("\0")
    return [line[3:].removeprefix(above) for line in lines if line]


def is_as(commit: str) -> bool:
    """Whether nothing of this folder but releases/ differs from an earlier commit; not where git does not know that."""
    if not exists():
        return False
    return _run("diff", "--quiet", commit, "--", ".", ":(exclude)releases").returncode == 0 and not changed_files()


def committed(path: str) -> str | None:
    """A file as the last commit has it; None where it has none. `path`: from this folder.

    Raises:
        GitRefused: git does not say.
    """
    found = _git("ls-tree", "HEAD", "--", path) if commit() else ""
    return _git("cat-file", "blob", found.split()[2]) if found else None


def email() -> str:
    """The person, as git knows them; "" where it does not."""
    try:
        return _run("config", "user.email").stdout.strip()
    except GitRefused:
        return ""


def _git(*arguments: str) -> str:
    return _printed(_run(*arguments))


def _printed(done: "subprocess.CompletedProcess[str]") -> str:
    if done.returncode != 0:
        message = " ".join(done.stderr.split()).removeprefix("fatal: ")
        raise GitRefused(f"git refuses in {PROJECT}: {message or f'exit code {done.returncode}'}")
    return done.stdout


def _run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run git here; names of files may be any bytes."""
    command = ["git", "--no-optional-locks", *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK}
    try:
        return subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, encoding="utf-8", errors="backslashreplace"
        )
    except OSError as error:
        raise GitRefused(f"{PROJECT} is in a repository, and git cannot be run ({error}): install it") from error
