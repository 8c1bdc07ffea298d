"""Damaged weights, and a port in use: refused with one line, without a traceback."""

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
import yaml

from models import manifest, runtimes, weights
from models.errors import EngineError
from models.manifest import PROJECT
from models.weights import places
from models.weights.files import sha256
from scripts.conversion.weights import ensure
from scripts.serving import local_server
from tests import commands, tiny_models
from tests.template import toy

MODEL = manifest.selected()
NAME = "tokenizer.json"


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
    """A copy of the weights that the test may damage, and that all its processes read."""
    monkeypatch.setenv("ENGINE", "openvino")
    ensure(MODEL, runtimes.choose(MODEL))
    original = weights.folder(MODEL.slug, "openvino").parent
    for part in ("source", "openvino"):
        shutil.copytree(original / part, tmp_path / MODEL.slug / part, copy_function=_copy)
    monkeypatch.setenv("WEIGHTS_ROOT", str(tmp_path))
    return tmp_path / MODEL.slug


def _copy(source: str, target: str) -> None:
    """Make a hard link of big files, which no test damages in place."""
    (os.link if os.path.getsize(source) > 100_000_000 else shutil.copy2)(source, target)


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with a tiny model, which is converted in a moment."""
    place = tmp_path_factory.mktemp("fork")
    (place / "project").mkdir()
    toy.copy_project(place / "project")
    file = tiny_models.gguf(place / "tiny.gguf", "llama")
    command = [sys.executable, "-m", "scripts.new", "tiny", f"file:{file}", "--license", "mit"]
    toy.succeed(place / "project", *command)
    return place / "project"


@pytest.fixture
def tiny(fork: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the tiny model's weights."""
    monkeypatch.setenv("ENGINE", "openvino")
    monkeypatch.setenv("MODEL", "tiny")
    monkeypatch.delenv("WEIGHTS_ROOT", raising=False)
    return fork / "weights" / "tiny"


def run(module: str, *arguments: str, project: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    return commands.run(sys.executable, "-m", module, *arguments, cwd=project)


@pytest.mark.slow
def test_make_new_has_made_a_catalog_model_of_local_files_and_run_its_examples(fork: Path):
    drafted = yaml.safe_load((fork / "models/catalog/tiny/model.yaml").read_text(encoding="utf-8"))
    assert all(example["expect"]["max_output_tokens"] for example in drafted["examples"])
    assert "million" in drafted["summary"] or "thousand" in drafted["summary"]
    assert "models/catalog/tiny/model.yaml" in (fork / "cog.yaml").read_text(encoding="utf-8")
    assert (fork / "models/catalog/tiny/weights.lock").is_file()


@pytest.mark.slow
def test_setup_fails_on_weights_with_one_bit_changed(copied: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VERIFY_WEIGHTS", "full")
    path = copied / "openvino" / NAME
    expected = json.loads((path.parent / "derived.json").read_text())["files"][NAME]["sha256"]
    one_bit_changed(path)
    port = local_server.free_port()
    address, process = f"http://{local_server.HOST}:{port}", local_server.start(MODEL, port, None)
    try:
        with pytest.raises(local_server.ServerError) as refusal:
            local_server.wait_until_ready(address, process)
        assert httpx.get(f"{address}/health-check").json()["status"] == "SETUP_FAILED"
        assert httpx.post(f"{address}/predictions", json={"input": {"prompt": "Hi"}}).status_code == 503
    finally:
        local_server.stop(process)
    remedy = f"rm -r {path.parent}, then: make weights ENGINE=openvino"
    assert str(refusal.value) == f"{path} has sha256 {sha256(path)}, expected {expected}: {remedy}"


@pytest.mark.slow
@pytest.mark.parametrize("damage", [missing, cut_short])
def test_setup_converts_again_if_a_file_is_missing(tiny: Path, damage: Callable[[Path], None]):
    path = tiny / "openvino" / NAME
    size = path.stat().st_size
    damage(path)
    port = local_server.free_port()
    address, variables = f"http://{local_server.HOST}:{port}", {"COG_PREDICT_TYPE_STUB": "predict.py:TextGeneration"}
    process = local_server.start_in(tiny.parents[1], port, variables, None)
    try:
        local_server.wait_until_ready(address, process)
        logs = httpx.get(f"{address}/health-check").json()["setup"]["logs"]
    finally:
        local_server.stop(process)
    assert f"no weights for openvino in {tiny.parent}: fetching them into {tiny.parent}" in logs
    assert "made openvino's files" in logs
    assert path.stat().st_size == size


def test_setup_ignores_files_that_were_made_from_other_weights(
    copied: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
):
    stale = tmp_path_factory.mktemp("stale")
    shutil.copytree(copied / "openvino", stale / MODEL.slug / "openvino", copy_function=_copy)
    record = stale / MODEL.slug / "openvino" / "derived.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"made_from": {}}))
    monkeypatch.setenv("WEIGHTS_ROOT", f"{stale}:{copied.parent}")
    runtimes._find(MODEL, runtimes.choose(MODEL))
    assert places.roots() == [copied.parent]


def test_setup_errors_in_an_image_say_that_make_is_in_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(runtimes, "PROJECT", tmp_path)
    monkeypatch.setenv("ENGINE", "none")
    with pytest.raises(EngineError, match="run make in the project that this image was built from"):
        runtimes.start(MODEL, lambda *given: None)


@pytest.mark.slow
def test_predict_refuses_weights_with_one_bit_changed_in_one_line(copied: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("VERIFY_WEIGHTS", "full")
    path = copied / "openvino" / NAME
    one_bit_changed(path)
    done = run("scripts.call", "local", "prompt=Hi")
    assert (done.returncode, done.stdout) == (1, "")
    *progress, refusal = done.stderr.splitlines()
    assert all("starting the server" in line for line in progress)
    assert f"{path} has sha256 {sha256(path)}, expected" in refusal
    assert done.stderr.endswith(f"rm -r {path.parent}, then: make weights ENGINE=openvino\n")


def test_predict_refuses_a_download_with_one_bit_changed(copied: Path):
    """The engine's files are missing, so they would be made again, from a source that is not the locked one."""
    path = next((copied / "source").iterdir())
    one_bit_changed(path)
    shutil.rmtree(copied / "openvino")
    done = run("scripts.call", "local", "prompt=Hi")
    assert (done.returncode, done.stdout) == (1, "")
    announcement, refusal = done.stderr.splitlines()
    assert announcement.startswith("making openvino's files")
    assert refusal.startswith(f"{path} has sha256")
    assert refusal.endswith(f"rm -r {path.parent}, then: make weights")
    assert not (copied / "openvino").exists()


@pytest.mark.slow
def test_predict_converts_again_if_a_file_of_the_engine_is_missing(tiny: Path):
    path = tiny / "openvino" / NAME
    missing(path)
    done = run("scripts.call", "local", "prompt=Hi", "max_tokens=2", project=tiny.parents[1])
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("making openvino's files")
    assert path.is_file()
    assert {entry.name for entry in tiny.iterdir() if entry.name.startswith(".")} == {".lock", ".source.json"}


def test_serve_says_in_one_line_that_the_port_is_in_use(copied: Path):
    with socket.create_server((local_server.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        done = run("scripts.serve", "--port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    assert (
        done.stderr
        == f"port {port} is in use: stop the program that uses it, or choose another: make serve PORT={port + 1}\n"
    )
