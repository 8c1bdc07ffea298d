"""The sources of weights: one module for each scheme of `weights.source`.

Each has `lock(weights, folder, progress) -> Lock`, which resolves a branch or tag and returns the hash of each file,
and `fetch(lock, folder, progress)`, which downloads and verifies every file of a lock. Files that `lock` had to
download stay in `folder`, where `fetch` finds them.
"""

from types import ModuleType

from models.weights.sources import https, hub, local, pypi

_SCHEMES = {"hf": hub, "https": https, "file": local, "pypi": pypi}


def module(source: str) -> ModuleType:
    """The module for a source, by its scheme; the manifest has checked that there is one."""
    return _SCHEMES[source.partition(":")[0]]
