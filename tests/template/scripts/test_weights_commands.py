"""weights, weights-lock, weights-verify and weights-info, run like by people: their output and exit codes."""

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from models import manifest
from tests import commands
from tests.services.http import Fault
from tests.services.hub import Hub
from tests.template.models.weights.project import SLUG, Project, safetensors

NAME = "org/name"
SHAPE = {"dtype": "BF16", "shape": [1000, 500], "data_offsets": [0, 1_000_000]}
SHARDS = {
    f"model-0000{number}-of-00002.safetensors": safetensors(1_000_000, {f"layer.{number}": SHAPE}) for number in (1, 2)
}
FILES = {"config.json": b"{}", **SHARDS}
MODEL = manifest.selected().slug


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        hub.add(NAME, FILES)
        yield hub


@pytest.fixture
def project(hub: Hub, tmp_path: Path) -> Project:
    project = Project(tmp_path / "project", HF_ENDPOINT=hub.endpoint)
    project.model(f"hf://{NAME}@main")
    return project


@pytest.fixture
def ready(project: Project) -> Project:
    """A project with locked and downloaded weights."""
    project.does("weights_lock")
    project.does("weights")
    return project


def run_default(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command on the default model of this checkout."""
    environment = {"MODEL": MODEL, "ENGINE": "openvino", "HF_ENDPOINT": "http://127.0.0.1:9"}
    return commands.run(sys.executable, "-m", f"scripts.{name}", *arguments, **environment)


def test_locking_reports_what_changed(hub: Hub, project: Project) -> None:
    first = project.does("weights_lock")
    commit = project.locked()["resolved"]
    assert first.stdout.splitlines() == [*(f"new       {name}" for name in FILES), f"{commit}: 3 files, 2.0 MB"]
    assert first.stderr.splitlines()[-1] == f"wrote {project.lock}: commit it, then: make weights"

    again = project.does("weights_lock")
    assert (again.stdout, again.stderr) == (f"{commit}: 3 files, 2.0 MB\n", f"resolving hf://{NAME}@main\n")

    whole = safetensors(2_000_000, {"layer.1": SHAPE, "layer.2": {**SHAPE, "data_offsets": [1_000_000, 2_000_000]}})
    hub.add(NAME, {"config.json": b'{"a": 1}', "tokenizer.json": b"{}", "model.safetensors": whole})
    before = project.lock.read_text()
    dry = project.does("weights_lock", "--dry-run")
    assert dry.stderr.splitlines()[-1] == f"would write {project.lock}"
    assert project.lock.read_text() == before
    changed = project.does("weights_lock")
    assert changed.stdout == dry.stdout
    assert changed.stdout.splitlines()[:-1] == [
        f"resolved  {commit} -> {project.locked()['resolved']}",
        "changed   config.json",
        *(f"gone      {name}" for name in SHARDS),
        "new       model.safetensors",
        "new       tokenizer.json",
    ]


def test_info_on_two_shards(ready: Project) -> None:
    found = json.loads(ready.does("weights_info", "--json").stdout)
    assert found["resolved"] == ready.locked()["resolved"]
    assert found["files"] == ready.locked()["files"]
    assert (found["parameters"], found["dtypes"]) == (1_000_000, {"BF16": 1_000_000})
    assert found["memory"]["float32"]["weights_gb"] == 0.004
    assert "gpu-t4" in found["memory"]["bfloat16"]["fits"]
    shown = ready.does("weights_info").stdout
    for words in (*FILES, "1,000,000 parameters: 1.0 M in BF16", "float16", "gpu-t4"):
        assert words in shown


def test_verify_on_two_shards(ready: Project) -> None:
    ran = ready.does("weights_verify")
    assert any(
        line.split()[:3] == ["ok", f"{SLUG},", "source"] and "2.0 MB, every byte right" in line for line in lines(ran)
    )
    name = next(iter(SHARDS))
    path = ready.weights / "source" / name
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    ran = ready.run("weights_verify")
    assert ran.returncode == 1
    assert any(line.split()[:3] == ["wrong", f"{SLUG},", "source"] for line in lines(ran))
    assert name in ran.stdout
    assert "expected" in ran.stdout


def lines(ran: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in ran.stdout.splitlines() if line.strip()]


def test_missing_weights_are_an_error_that_names_the_command(project: Project) -> None:
    assert project.refuses("weights").endswith(f"weights.lock is missing: make weights-lock MODEL={SLUG}")
    project.does("weights_lock")
    assert project.refuses("weights_info") == f"the weights of {SLUG} are not here: make weights MODEL={SLUG}"
    ran = project.run("weights_verify")
    assert ran.returncode == 1
    assert any(line.split()[:3] == ["none", f"{SLUG},", "source"] and "make weights" in line for line in lines(ran))


@pytest.mark.slow
def test_the_default_model() -> None:
    assert run_default("weights").returncode == 0
    info = json.loads(run_default("weights_info", "--json").stdout)
    assert (info["parameters"], sum(file["size"] for file in info["files"].values())) == (134_515_008, 98_362_432)
    assert (info["facts"]["layers"], info["facts"]["context_length"]) == (30, 8192)
    verified = run_default("weights_verify")
    assert verified.returncode == 0, verified.stdout
    assert "every byte right" in verified.stdout


@pytest.mark.parametrize("name", ["weights", "weights_lock", "weights_verify", "weights_info"])
def test_wrong_usage(project: Project, name: str) -> None:
    ran = project.run(name, "--surprise")
    assert ran.returncode == 2
    assert f"see python -m scripts.{name} --help" in ran.stderr
    assert project.does(name, "--help").stdout


def test_with_everything_in_place_the_network_is_not_used(hub: Hub, ready: Project) -> None:
    before = len(hub.requests)
    ready.does("weights")
    assert len(hub.requests) == before
    hub.stop()
    trace = ready.folder / "trace"
    command = ["strace", "-f", "-qq", "-e", "trace=connect", "-o", str(trace), *ready.command("weights")]
    if Path("/usr/bin/strace").exists():
        subprocess.run(command, cwd=ready.folder, env=ready.environment, check=True, capture_output=True, timeout=60)
        assert "AF_INET" not in trace.read_text()
    ready.does("weights", HF_ENDPOINT="http://127.0.0.1:9")


def test_with_everything_in_place_it_takes_little_longer_than_its_imports(ready: Project) -> None:
    def seconds(command: list[str]) -> float:
        begun = time.monotonic()
        subprocess.run(command, cwd=ready.folder, env=ready.environment, check=True, capture_output=True, timeout=60)
        return time.monotonic() - begun

    imports = [sys.executable, "-c", "import models.manifest, typer, rich.progress"]
    whole = [sys.executable, "-m", "scripts.weights"]
    pairs = [(seconds(imports), seconds(whole)) for _ in range(5)]
    fastest_imports, fastest = (min(times) for times in zip(*pairs, strict=True))
    print(f"make weights with all in place: {fastest:.2f} s, imports alone {fastest_imports:.2f} s")
    assert fastest < 2 * fastest_imports


@pytest.mark.slow
def test_a_bar_on_a_terminal_and_plain_lines_elsewhere(hub: Hub, project: Project) -> None:
    project.does("weights_lock")
    hub.faults.append(Fault("safetensors", "slow", host="cdn", times=99, rate=1_000_000))
    outside, inside = pty.openpty()
    running = subprocess.Popen(
        project.command("weights"),
        cwd=project.folder,
        env=project.environment | {"TERM": "xterm", "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=inside,
    )
    os.close(inside)
    shown = b"".join(iter(lambda: read_from(outside), b"")).decode()
    assert running.wait(60) == 0
    assert "━" in shown
    assert "MB/s" in shown
    assert "2.0/2.0 MB" in shown

    (project.weights / "source").rename(project.weights / "aside")
    plain = project.does("weights").stderr
    assert "━" not in plain
    assert "\r" not in plain
    assert "downloading 2 MB\n2 of 2 MB (100 %), " in plain


def read_from(terminal: int) -> bytes:
    """The next output; empty once the other side is closed."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
