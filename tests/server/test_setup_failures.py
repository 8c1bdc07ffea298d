"""Weights that are not what they should be, and a port that is taken: refused with one line, no traceback."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from models import engines, manifest, weights
from models.weights import PROJECT
from models.weights.files import sha256
from scripts import local_server
from scripts.weights import ensure

MODEL = manifest.selected()
NAME = "openvino_tokenizer.bin"


def missing(path: Path) -> None:
    path.unlink()


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def one_bit_changed(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the weights that may be damaged, and is what every process of this test reads."""
    monkeypatch.setenv("ENGINE", "openvino")
    ensure(MODEL, engines.choose(MODEL))
    original = weights.folder(MODEL.slug, "openvino").parent
    for part in ("source", "openvino"):
        shutil.copytree(original / part, tmp_path / MODEL.slug / part, copy_function=_copy)
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    return tmp_path / MODEL.slug


def _copy(source: str, target: str) -> None:
    """A hard link for the big files that no test damages in place."""
    (os.link if os.path.getsize(source) > 100_000_000 else shutil.copy2)(source, target)


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (missing, "{path} is missing: make weights ENGINE=openvino"),
        (
            cut_short,
            "{path} has {found} bytes, expected {expected}: rm -r {folder}, then: make weights ENGINE=openvino",
        ),
        (one_bit_changed, "{path} has sha256 {found}, expected {expected}: rm -r {folder}, then: make weights"),
    ],
)
def test_setup_fails_on_weights_that_are_damaged(
    copied: Path, damage: Callable[[Path], None], reason: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("VERIFY_WEIGHTS", "full")
    path = copied / "openvino" / NAME
    record = json.loads((path.parent / "derived.json").read_text())["files"][NAME]
    damage(path)
    facts = {"path": path, "folder": path.parent}
    if damage is cut_short:
        facts |= {"found": path.stat().st_size, "expected": record["size"]}
    if damage is one_bit_changed:
        facts |= {"found": sha256(path), "expected": record["sha256"]}
    with local_server.running(MODEL) as (address, process):
        with pytest.raises(local_server.ServerError) as refusal:
            local_server.wait_until_ready(address, process)
        assert httpx.get(f"{address}/health-check").json()["status"] == "SETUP_FAILED"
        assert httpx.post(f"{address}/predictions", json={"input": {"prompt": "Hi"}}).status_code == 503
    assert str(refusal.value).startswith(reason.format(**facts))
    assert "\n" not in str(refusal.value)


def test_predict_refuses_weights_with_one_bit_changed_in_one_line(copied: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VERIFY_WEIGHTS", "full")
    path = copied / "openvino" / NAME
    one_bit_changed(path)
    done = run("scripts.predict", "-i", "prompt=Hi")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert f"{path} has sha256 {sha256(path)}, expected" in done.stderr
    assert done.stderr.endswith(f"rm -r {path.parent}, then: make weights ENGINE=openvino\n")


def test_predict_refuses_a_download_with_one_bit_changed(copied: Path):
    """The engine's files are gone, so they would be made anew, from a source that is not the locked one."""
    path = next((copied / "source").iterdir())
    one_bit_changed(path)
    shutil.rmtree(copied / "openvino")
    done = run("scripts.predict", "-i", "prompt=Hi")
    assert (done.returncode, done.stdout) == (1, "")
    announcement, refusal = done.stderr.splitlines()
    assert announcement.startswith("making openvino's files")
    assert refusal.startswith(f"{path} has sha256")
    assert refusal.endswith(f"rm -r {path.parent}, then: make weights")
    assert not (copied / "openvino").exists()


def test_predict_makes_the_engine_s_files_anew_where_one_is_missing(copied: Path):
    path = copied / "openvino" / NAME
    missing(path)
    done = run("scripts.predict", "-i", "prompt=Hi", "-i", "max_tokens=2")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("making openvino's files")
    assert path.is_file()
    assert [entry.name for entry in copied.iterdir() if entry.name.startswith(".")] == [".lock"]


def test_serve_says_in_one_line_that_the_port_is_in_use(copied: Path):
    with socket.create_server((local_server.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        done = run("scripts.serve", "--port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == f"port {port} is in use: stop what listens there, or choose another: make serve PORT={port + 1}\n"
    )
