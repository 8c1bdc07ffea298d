"""Tars that must be refused: nothing is written outside the folder, and no file gets its final name."""

import gzip
import io
import os
import re
import resource
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from models.errors import WeightsError
from models.weights import archive
from models.weights.files import File, described

PATTERNS = ("*.safetensors", "*.json")
CONTENT = os.urandom(20_000)


def member(name: str, content: bytes = b"{}", kind: bytes = tarfile.REGTYPE, link: str = "") -> tuple:  # type: ignore[type-arg]
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(content), kind, link
    return info, io.BytesIO(content)


def packed(folder: Path, *members: tuple, mode: str = "w") -> Path:  # type: ignore[type-arg]
    path = folder / ("model.tar" if mode == "w" else f"model.tar.{mode[2:]}")
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for info, content in members:
            tar.addfile(info, content)
    return path


WEIGHTS = ("model.safetensors", CONTENT)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """An empty folder, below another."""
    place = tmp_path / "a" / "place"
    place.mkdir(parents=True)
    return place


def refused(path: Path, tmp_path: Path, match: str, locked: dict[str, File] | None = None) -> None:
    """The tar is refused, and nothing new is in the folder or beside it."""
    place = tmp_path / "a" / "place"
    place.mkdir(parents=True)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(WeightsError, match=match):
        archive.unpack(path, place, PATTERNS, locked)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["../evil.json", "a/../../evil.json", "/tmp/evil.json", "..\\evil.json", ".."])
def test_a_member_that_would_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path, member(*WEIGHTS), member(name))
    refused(path, tmp_path, f"holds {re.escape(repr(name))}, which would leave its folder")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    path = packed(tmp_path, member(*WEIGHTS), member("config.json", b"", kind, "/etc/passwd"))
    refused(path, tmp_path, r"holds config\.json, a link or a device")


def test_a_file_in_a_linked_folder_is_refused(tmp_path: Path) -> None:
    linked = member("sub", b"", tarfile.SYMTYPE, str(tmp_path))
    refused(packed(tmp_path, member(*WEIGHTS), linked, member("sub/config.json")), tmp_path, "holds sub, a link")


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_bomb_of_zeros_is_refused(tmp_path: Path, mode: str) -> None:
    path = packed(tmp_path, member("model.safetensors", bytes(30_000_000)), mode=mode)
    refused(path, tmp_path, "unpacks to over 200 times its size, unlike any archive of weights")


def test_a_bomb_of_holes_is_refused(tmp_path: Path) -> None:
    sparse = tmp_path / "model.safetensors"
    with open(sparse, "wb") as file:
        file.truncate(50_000_000_000)
    made = os.system(f"tar --sparse -C {tmp_path} -cf {tmp_path}/model.tar model.safetensors")
    assert made == 0
    assert (tmp_path / "model.tar").stat().st_size < 100_000
    refused(tmp_path / "model.tar", tmp_path, "unpacks to over 200 times its size")


def test_a_bomb_in_a_header_does_not_fill_the_memory(tmp_path: Path) -> None:
    header = tarfile.TarInfo("long")
    header.type, header.size = tarfile.XHDTYPE, 1 << 30
    path = tmp_path / "model.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT))
        for _ in range(64):
            file.write(bytes(1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path, tmp_path, "has a header of over 16 MiB")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    path = packed(tmp_path, *(member(f"{number}.json", b"") for number in range(10_001)))
    refused(path, tmp_path, "holds over 10,000 files and folders")


@pytest.mark.parametrize("again", ["config.json", "./config.json", "a/..//config.json"])
def test_a_repeated_name_is_refused(tmp_path: Path, again: str) -> None:
    path = packed(tmp_path, member(*WEIGHTS), member("config.json"), member(again, b"[]"))
    refused(path, tmp_path, r"holds config\.json twice|would leave its folder")


def test_names_stay_different_without_the_top_folder(tmp_path: Path, place: Path) -> None:
    members = [
        member("top/model.safetensors", CONTENT),
        member("top/top/config.json"),
        member("top/config.json", b"[]"),
    ]
    names = archive.unpack(packed(tmp_path, *members), place, ["*.safetensors", "*.json", "top/*.json"])
    assert names == ["config.json", "model.safetensors", "top/config.json"]
    assert [(place / name).read_bytes() for name in names] == [b"[]", CONTENT, b"{}"]


def test_a_top_folder_that_not_all_members_share_is_kept(tmp_path: Path, place: Path) -> None:
    path = packed(tmp_path, member("top/model.safetensors", CONTENT), member("config.json"))
    assert archive.unpack(path, place, ["top/*.safetensors"]) == ["top/model.safetensors"]


def test_a_file_that_is_also_a_folder_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path, member("a.json"), member("a.json/b.json"), member(*WEIGHTS))
    refused(path, tmp_path, r"holds a\.json/b\.json below a\.json, which is a file")


@pytest.mark.parametrize("name", ["model.bin", "modeling.py", "run.sh"])
def test_a_file_that_can_run_code_is_refused_if_a_pattern_matches_it(tmp_path: Path, place: Path, name: str) -> None:
    with pytest.raises(WeightsError, match=name):
        archive.unpack(packed(tmp_path, member(*WEIGHTS), member(name)), place, ["*"])
    assert archive.unpack(packed(tmp_path, member(*WEIGHTS), member(name)), place, PATTERNS) == ["model.safetensors"]


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.bz2", "tar.xz"])
@pytest.mark.parametrize(
    "damage",
    [lambda whole: whole[: len(whole) // 2], lambda _: b"<html>" * 999, lambda _: b""],
    ids=["cut", "page", "-"],
)
def test_a_damaged_tar_is_reported_in_one_line(tmp_path: Path, ending: str, damage: Callable[[bytes], bytes]) -> None:
    path = packed(tmp_path, member(*WEIGHTS), mode="w" if ending == "tar" else f"w:{ending[4:]}")
    path.write_bytes(damage(path.read_bytes()))
    refused(path, tmp_path, r"is not a complete tar \(")


@pytest.mark.parametrize("name", ["model.safetensors", "other.safetensors"])
def test_a_tar_without_the_locked_files_is_refused(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path, member(*WEIGHTS), member("config.json"))
    locked = {name: File(sha256="0" * 64, size=len(CONTENT) + 1)}
    refused(path, tmp_path, f"does not hold {name} as locked: make weights-lock", locked)


def test_only_the_locked_files_are_unpacked(tmp_path: Path, place: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(CONTENT)
    locked = {"model.safetensors": described(tmp_path / "model.safetensors")}
    archive.unpack(packed(tmp_path, member(*WEIGHTS), member("config.json")), place, PATTERNS, locked)
    assert [path.name for path in place.iterdir()] == ["model.safetensors"]


def test_files_that_macos_leaves_in_a_tar_are_not_weights(tmp_path: Path, place: Path) -> None:
    names = ("mine/._model.safetensors", "._mine", "mine/.DS_Store", "__MACOSX/mine/._model.safetensors")
    path = packed(tmp_path, member("mine/model.safetensors", CONTENT), *map(member, names))
    assert archive.unpack(path, place, PATTERNS) == ["model.safetensors"]
    assert (place / "model.safetensors").read_bytes() == CONTENT
