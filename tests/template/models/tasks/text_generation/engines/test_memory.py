"""The key-value cache: as large as the manifest says, never past what is free."""

from pathlib import Path

import pytest

from models import manifest
from models.errors import EngineError
from models.tasks.text_generation.engines import memory
from models.tasks.text_generation.manifest import EngineChoice

MODEL = manifest.selected()
TOKEN_BYTES = 2 * 30 * 3 * 64 * 2


def choice(cache_gb: float) -> EngineChoice:
    return EngineChoice(engine="transformers", device="cpu", dtype="bfloat16", cache_gb=cache_gb)


def test_the_manifest_bounds_it() -> None:
    tokens = memory.cache_tokens(MODEL, choice(1), free_bytes=10**12, bytes_per_value=2, page=256)
    assert tokens == 2**30 // (TOKEN_BYTES * 256) * 256


def test_free_memory_bounds_it_in_whole_pages() -> None:
    tokens = memory.cache_tokens(MODEL, choice(1), free_bytes=2 * 1000 * TOKEN_BYTES, bytes_per_value=2, page=256)
    assert tokens == 768


def test_no_room_is_an_error_with_the_numbers_and_the_remedy() -> None:
    with pytest.raises(EngineError, match=r"1 MB free on cpu beside the weights leave .* 23 kB a token: free some"):
        memory.cache_tokens(MODEL, choice(1), free_bytes=10**6, bytes_per_value=2, page=256)


def test_weights_larger_than_the_free_memory_are_an_error_too() -> None:
    with pytest.raises(EngineError, match=r"^0 MB free on cpu beside the weights"):
        memory.cache_tokens(MODEL, choice(1), free_bytes=-(10**9), bytes_per_value=2, page=256)


def test_a_container_s_limit_counts_and_its_page_cache_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("4000\n")
    (tmp_path / "memory.stat").write_text("anon 1900\nfile 2100\nshmem 100\ninactive_file 1500\nactive_file 500\n")
    assert memory.free_bytes() == 3000


@pytest.mark.parametrize("limit", ["max", None])
def test_without_a_limit_the_machine_s_memory_counts(
    limit: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    if limit:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
    assert memory.free_bytes() > 10**6
