"""Which folder has the weights: the project's weights/, and in a container one of several.

WEIGHTS_ROOT names it, as seen from the project; several are separated by colons, and the first that has what the engine
loads is taken. An image has `CONTAINER`: what `make image` baked into it, then the weights/ of the project, which cog
mounts for `cog predict` and `cog serve`, then a folder that can be a volume.
"""

import os
from pathlib import Path

from models.manifest import PROJECT

CONTAINER = "baked:weights:/weights"
_VARIABLE = "WEIGHTS_ROOT"


def roots() -> list[Path]:
    """The folders that may have the weights, in the order in which they are looked into."""
    return [PROJECT / root for root in os.environ.get(_VARIABLE, "weights").split(os.pathsep)]


def settle(root: Path) -> None:
    """From now on the weights of this process are in `root`."""
    os.environ[_VARIABLE] = str(root)


def are_baked() -> bool:
    """Whether the first of `roots` is what `make image` puts into the image."""
    return roots()[0] == PROJECT / "baked"


def to_fill() -> Path:
    """Where weights that are nowhere go: into the first of `roots` that outlives a container, otherwise the last."""
    return next((root for root in roots() if os.path.ismount(root) or _is_mounted_with_project(root)), roots()[-1])


def give_to_owner(root: Path, slug: str) -> None:
    """Leave no files of a container's root user in a project of someone else: they could not remove them."""
    owner = PROJECT.stat()
    if os.geteuid() != 0 or owner.st_uid == 0 or not root.is_relative_to(PROJECT):
        return
    for path in (root, root / slug, *(root / slug).rglob("*")):
        if path.exists():
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _is_mounted_with_project(root: Path) -> bool:
    return root == PROJECT / "weights" and os.path.ismount(PROJECT)
