"""Memory: whether the weights fit, how large the key-value cache may be, the errors for too little, and giving back."""

import ctypes
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import EngineError
from models.tasks.text_generation.manifest import EngineChoice, Manifest
from models.weights import model_facts

_SHARE_OF_FREE = 0.5
_CGROUP = Path("/sys/fs/cgroup")


@contextmanager
def enough_for_weights(choice: EngineChoice, folder: Path) -> Iterator[float]:
    """Wraps the loading of the safetensors in `folder` in the number format of `choice`; yields the bytes they need.

    Raises:
        EngineError: the device has less free memory than they need, or runs out of it while they are loaded.
    """
    import torch

    needed = weight_bytes(choice, folder)
    free = free_bytes(choice.device)
    error = EngineError(
        f"{choice.described}: the weights take {needed / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free: take hardware "
        f"with more memory (`hardware` in the manifest), or {_smaller(choice)}"
    )
    if needed > free:
        raise error
    try:
        yield needed
    except torch.OutOfMemoryError as cause:
        raise error from cause


@contextmanager
def enough_for_cache(choice: EngineChoice, cache_bytes: float) -> Iterator[None]:
    """Wraps the allocation of the cache and the first steps that use it.

    Raises:
        EngineError: the device runs out of memory.
    """
    import torch

    free = free_bytes(choice.device)
    try:
        yield
    except torch.OutOfMemoryError as cause:
        raise EngineError(
            f"{free / 1e9:.2f} GB were free on {choice.device} beside the weights, not enough for "
            f"{cache_bytes / 1e9:.2f} GB of key-value cache and for a step: "
            "lower cache_gb in the manifest, or take hardware with more memory"
        ) from cause


def weight_bytes(choice: EngineChoice, folder: Path) -> float:
    """The bytes of memory that the safetensors in `folder` need in the number format of `choice`; 0 if unknown."""
    return choice.weight_bytes(model_facts.read([path.name for path in folder.iterdir()], folder)) or 0


def _smaller(choice: EngineChoice) -> str:
    return "a smaller model" if choice.quantisation == "int4" else "add `quantisation: int4` to the engine"


def cache_tokens(manifest: Manifest, choice: EngineChoice, free_bytes: int, bytes_per_value: float, page: int) -> int:
    """The tokens in the cache of `choice`, in whole pages of `page` tokens; `free_bytes`: the memory after the weights.

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
            f"{'raise cache_gb in the manifest' if budget < free_bytes * _SHARE_OF_FREE else 'free some memory'}"
        )
    return tokens


def shortage_in_step(tokens: int, free: int, device: str) -> str:
    """The error message for a step of `tokens` tokens that needed more memory than the device has; `free`: bytes."""
    return (
        f"the {device} had no memory left for a step of {tokens} tokens ({max(free, 0) / 1e6:.0f} MB free): send "
        "shorter prompts or fewer at once, or lower cache_gb in the manifest, which leaves more for the steps"
    )


def free_bytes(device: str) -> int:
    """The bytes that this process can still use: of the GPU, or of the machine or its container, whichever is less.

    A container's limit is read only from cgroup v2. The page cache of a container counts as free, since the kernel
    drops it when memory is needed.
    Source: https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files
    """
    if device == "cuda":
        import torch

        return int(torch.cuda.mem_get_info()[0] + torch.cuda.memory_reserved() - torch.cuda.memory_allocated())
    import psutil

    available: int = psutil.virtual_memory().available
    try:
        limit = int((_CGROUP / "memory.max").read_text())
        used = int((_CGROUP / "memory.current").read_text())
        held = dict(line.split() for line in (_CGROUP / "memory.stat").read_text().splitlines())
        return min(available, limit - used + int(held["inactive_file"]) + int(held["active_file"]))
    except (OSError, ValueError):  # no control group, or no limit ("max")
        return available


def release(folder: Path) -> None:
    """Give back what only loading and warming up needed: freed memory (glibc), and the memory of mapped files (Linux).

    Those are the files in `folder` that are mapped read-only; a part that is read again comes from the file. Python's
    mmap can advise the kernel on its own maps alone.
    """
    libc, maps, weights = ctypes.CDLL(None), Path("/proc/self/maps"), folder.resolve()
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(ctypes.c_size_t(0))
    for line in maps.read_text().splitlines() if maps.exists() else ():
        addresses, permissions, _, _, _, *mapped = line.split(maxsplit=5)
        if mapped and Path(mapped[0]).parent == weights and "w" not in permissions:
            begin, end = (int(address, 16) for address in addresses.split("-"))
            libc.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), mmap.MADV_DONTNEED)
