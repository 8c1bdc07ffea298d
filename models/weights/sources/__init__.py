"""Where weights come from: one module a scheme of `weights.source`.

Each has `lock(weights, place, progress) -> Lock`, which resolves a moving name and says what each file is, and
`fetch(lock, place, progress)`, which brings into `place` every file of a lock, checked. What `lock` had to download is
left in `place`, where `fetch` finds it.
"""

from types import ModuleType

from models.weights.sources import https, hub, local, pypi

_SCHEMES = {"hf": hub, "https": https, "file": local, "pypi": pypi}


def module(source: str) -> ModuleType:
    """The module for a source, by its scheme; the manifest has checked that there is one."""
    return _SCHEMES[source.partition(":")[0]]
