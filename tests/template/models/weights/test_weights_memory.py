"""The memory of a download: it does not grow with the file."""

from pathlib import Path

import pytest

from tests.template.models.weights import speed

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")


def test_a_download_needs_less_memory_than_its_file(tmp_path: Path) -> None:
    size = 200_000_000
    for name in ("served", "fetched"):
        (tmp_path / name).mkdir()
    with speed.served(size, tmp_path / "served") as url:
        seconds, peak = speed.ours(url, size, tmp_path / "fetched")
    print(f"{seconds:.2f} s, {peak:.0f} MB")
    assert peak < 150
