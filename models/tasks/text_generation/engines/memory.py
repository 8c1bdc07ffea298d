"""How large a key-value cache may be: what the manifest allows, and never past what the device has free."""

from pathlib import Path

from models.errors import EngineError
from models.tasks.text_generation.manifest import EngineChoice, Manifest

_SHARE_OF_FREE = 0.5
_CGROUP = Path("/sys/fs/cgroup")


def cache_tokens(manifest: Manifest, choice: EngineChoice, free_bytes: int, bytes_per_value: float, page: int) -> int:
    """Tokens that the cache of `choice` holds, in whole pages of `page` tokens; `free_bytes`: beside the weights.

    Raises:
        EngineError: not even one page fits.
    """
    token_bytes = manifest.cache_bytes_per_token(bytes_per_value)
    budget = min(choice.cache_gb * 2**30, free_bytes * _SHARE_OF_FREE)
    tokens = int(budget // (token_bytes * page)) * page
    if tokens <= 0:
        raise EngineError(
            f"{max(free_bytes, 0) / 1e6:.0f} MB free on {choice.device} beside the weights leave no room for "
            f"a key-value cache of {token_bytes / 1e3:.0f} kB a token: "
            "free some memory, or raise cache_gb in the manifest"
        )
    return tokens


def free_bytes() -> int:
    """Memory that this process may still take: the machine's, or its container's limit where that is lower.

    The limit is read from cgroup v2 alone, and what the container holds of files counts as free: the kernel drops it.
    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files
    """
    import psutil

    available: int = psutil.virtual_memory().available
    try:
        limit = int((_CGROUP / "memory.max").read_text())
        used = int((_CGROUP / "memory.current").read_text())
        held = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        return min(available, limit - used + int(held["inactive_file"]) + int(held["active_file"]))
    except (OSError, ValueError):  # no control group, or no limit ("max")
        return available
