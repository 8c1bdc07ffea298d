"""Finds the folder with the weights: the project's weights/, or in a container one of several folders.

WEIGHTS_ROOT names the folder, relative to the project. Several folders are separated by colons; the first that has the
engine's files is used. In an image WEIGHTS_ROOT is `CONTAINER`: the folder that `make image` bakes into it, then the
project's weights/, which cog mounts for `cog predict` and `cog serve`, then a folder that can be a volume.
"""

import os
from pathlib import Path

from models.manifest import PROJECT

CONTAINER = "baked:weights:/weights"
_VARIABLE = "WEIGHTS_ROOT"


def roots() -> list[Path]:
    """The folders that may have the weights, in the order in which they are searched."""
    return [PROJECT / root for root in os.environ.get(_VARIABLE, "weights").split(os.pathsep)]


def settle(root: Path) -> None:
    """Use only `root` for the weights of this process from now on."""
    os.environ[_VARIABLE] = str(root)


def are_baked() -> bool:
    """Whether the first of `roots` is the folder that `make image` bakes into the image."""
    return roots()[0] == PROJECT / "baked"


def to_fill() -> Path:
    """The folder to download missing weights into: the first of `roots` that outlives a container, or the last."""
    return next((root for root in roots() if os.path.ismount(root) or _is_mounted_with_project(root)), roots()[-1])


def give_to_owner(root: Path, slug: str) -> None:
    """Give files made by a container's root user to the owner of the project, who could not remove them otherwise."""
    owner = PROJECT.stat()
    if os.geteuid() != 0 or owner.st_uid == 0 or not root.is_relative_to(PROJECT):
        return
    for path in (root, root / slug, *(root / slug).rglob("*")):
        if path.exists():
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _is_mounted_with_project(root: Path) -> bool:
    return root == PROJECT / "weights" and os.path.ismount(PROJECT)
