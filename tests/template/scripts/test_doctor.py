"""`make doctor`, run like by a person, on this machine and on machines with missing tools."""

import subprocess
import sys
from pathlib import Path

import pytest

from models import manifest
from scripts import doctor
from scripts.conversion.weights import ensure
from tests import commands

PROJECT = Path(__file__).parents[3]
MODEL = manifest.selected()
CHOICE = MODEL.engine_on("cpu")


@pytest.fixture(scope="module", autouse=True)
def weights_are_made() -> None:
    """The files of the first `make predict` on a machine without a GPU."""
    ensure(MODEL, CHOICE)


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    return commands.run(sys.executable, "-m", "scripts.doctor", **{"ENGINE": CHOICE.engine} | environment)


def rows(ran: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """The text of each row by its name: what was found and, on the next line, the remedy."""
    table: dict[str, str] = {}
    for line in ran.stdout.splitlines()[1:]:
        state, name, found = line[1:9].strip(), line[11:].partition("  ")[0], line[11:].partition("  ")[2].strip()
        if state:
            last = name
            table[name] = f"{state}: {found}"
        else:
            table[last] += f"\n{line.strip()}"
    return table


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder for PATH, as on a machine without docker, cog and nvidia-smi."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def write_tool(folder: Path, name: str, prints: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\necho '{prints}'\n")
    (folder / name).chmod(0o755)


def test_a_machine_that_can_predict_passes_and_versions_and_weights_are_shown() -> None:
    ran = run()
    table = rows(ran)
    assert (ran.returncode, ran.stderr) == (0, "make predict can run\n"), ran.stdout
    assert table["Python"] == f"ok: {sys.version.split()[0]}"
    assert table["model and engine"] == f"ok: {MODEL.slug}, {CHOICE.engine} on cpu in {CHOICE.dtype}"
    assert "typer " in table["packages, scripts"]
    assert "openvino-genai " in table["packages, openvino"]
    assert "transformers " in table["packages, transformers"]
    assert table[f"weights of {MODEL.slug}, openvino"] == "ok: complete, by size"
    assert " GB free" in table["disk"]


def test_it_imports_no_slow_package() -> None:
    imported = {line.rpartition("|")[2].strip() for line in run(PYTHONPROFILEIMPORTTIME="1").stderr.splitlines()}
    assert "scripts.contract.openapi_frame" in imported
    assert not imported & {"torch", "transformers", "openvino", "openvino_genai", "gguf"}


def test_missing_docker_cog_and_gpu_are_no_problem_and_it_says_how_to_get_them(tools: Path) -> None:
    ran = run(PATH=str(tools), DOCKER_HOST="unix:///nowhere/no.sock")  # short: the table wraps a long line
    table = rows(ran)
    assert ran.returncode == 0
    assert table["Docker client"] == "optional: missing\nhttps://docs.docker.com/engine/install/"
    message = "optional: does not answer (unix:///nowhere/no.sock, from DOCKER_HOST)\nstart it, or unset DOCKER_HOST"
    assert table["Docker engine"] == message
    assert table["cog command"] == "optional: missing\nhttps://cog.run/#install, release v0.22.0"
    assert table["GPU and CUDA"].startswith("optional: nvidia-smi lists none, so the CPU is used\n")


@pytest.mark.parametrize(
    ("version", "row"),
    [
        ("0.22.0", "ok: cog version 0.22.0 (built none)"),
        (
            "0.21.3",
            "optional: cog version 0.21.3 (built none), but 0.22.0 is needed\nhttps://cog.run/#install",
        ),
        ("0.22.01", "optional: cog version 0.22.01 (built none), but 0.22.0 is needed"),
    ],
)
def test_only_the_version_of_cog_that_the_schemas_were_made_with_is_ok(tools: Path, version: str, row: str) -> None:
    write_tool(tools, "cog", f"cog version {version} (built none)")
    assert rows(run(PATH=str(tools)))["cog command"].startswith(row)


def test_a_local_version_of_a_package_counts_as_the_pinned_version(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: f"{installed(name)}+cu128")
    row = doctor.packages("transformers", "transformers", "problem")
    assert row.state == "ok", row


def test_a_gpu_is_shown_with_its_driver_and_the_version_of_torch(tools: Path) -> None:
    write_tool(tools, "nvidia-smi", "NVIDIA T4, 16384 MiB, 550.1")
    assert rows(run(PATH=str(tools)))["GPU and CUDA"].startswith("ok: NVIDIA T4, 16384 MiB, 550.1; torch ")


def test_missing_weights_are_a_problem_with_the_remedy_make_weights(tmp_path: Path) -> None:
    ran = run(WEIGHTS_ROOT=str(tmp_path))
    table = rows(ran)
    assert ran.returncode == 1
    missing = "; ".join(f"weights of {MODEL.slug}, {part}" for part in ("source", "openvino"))
    assert ran.stderr == f"make predict cannot run: {missing}\n"
    assert table[f"weights of {MODEL.slug}, source"].startswith("problem: missing")
    assert table[f"weights of {MODEL.slug}, openvino"].endswith("\nmake weights ENGINE=openvino")
    assert table[f"weights of {MODEL.slug}, transformers"].startswith("optional: missing")


def test_incomplete_weights_are_a_problem(tmp_path: Path) -> None:
    whole = PROJECT / "weights" / MODEL.slug / "openvino"
    place = tmp_path / MODEL.slug / "openvino"
    place.mkdir(parents=True)
    for path in whole.iterdir():
        (place / path.name).symlink_to(path)
    assert run(WEIGHTS_ROOT=str(tmp_path)).returncode == 0
    (place / "openvino_model.xml").unlink()
    (place / "openvino_model.xml").write_text("<short>")
    assert run(WEIGHTS_ROOT=str(tmp_path)).returncode == 1


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("MODEL", "smollm", "there is no model 'smollm'"),
        ("ENGINE", "onnx", "has no engine 'onnx': set ENGINE to"),
    ],
)
def test_a_missing_model_or_engine_is_a_problem(variable: str, value: str, message: str) -> None:
    ran = run(**{variable: value})
    assert (ran.returncode, ran.stderr) == (1, "make predict cannot run: model and engine\n")
    assert message in rows(ran)["model and engine"]


def test_a_token_is_shown_as_set_and_never_printed(tmp_path: Path) -> None:
    ran = run(REPLICATE_API_TOKEN="r8_never-print-this", HF_TOKEN="", HF_HOME=str(tmp_path))
    table = rows(ran)
    assert table["REPLICATE_API_TOKEN"] == "ok: set"
    assert table["HF_TOKEN"].startswith("optional: not set\nexport HF_TOKEN=")
    (tmp_path / "token").write_text("hf_never-print-this")
    logged_in = run(HF_TOKEN="", HF_HOME=str(tmp_path))
    assert rows(logged_in)["HF_TOKEN"] == "ok: not set, but hf auth login was done"
    assert "never-print-this" not in ran.stdout + ran.stderr + logged_in.stdout + logged_in.stderr
