"""make setup in unusual environments: everything is installed into .venv, or one line says why not.

The packages are wheels of a few bytes, made here. Making a .venv takes some seconds.
"""

import os
import platform
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
NAMES = ("tiny", "tinier")
HOSTILE = {
    "PIP_USER": "1",
    "PIP_TARGET": "/nowhere",
    "PIP_PREFIX": "/nowhere",
    "PIP_REQUIRE_VIRTUALENV": "1",
    "PIP_NO_DEPS": "1",
    "PYTHONHOME": "/nowhere",
    "PYTHONPATH": "/nowhere",
    "PYTHONSAFEPATH": "1",
    "PYTHONUTF8": "0",
    "LC_ALL": "C",
    "TMPDIR": "/proc",
    "MAKEFLAGS": "-j4",
    "HOME": "/nowhere",
}


def project_in(place: Path) -> Path:
    """The files that make setup reads, in a folder with an unusual name; the packages are wheels in `place`."""
    folder = place / "my pröject"
    (folder / "requirements").mkdir(parents=True)
    (folder / "Makefile").write_bytes((PROJECT / "Makefile").read_bytes())
    shutil.copytree(PROJECT / "scripts" / "dependencies", folder / "scripts" / "dependencies")
    for script in (PROJECT / "scripts").glob("*.sh"):
        shutil.copy(script, folder / "scripts")
    for name in NAMES:
        wheel(place, name)
    (folder / "requirements" / "lock.txt").write_text("tiny==1\n")
    for file in (PROJECT / "requirements").glob("*.in"):
        name = NAMES[1] if file.stem == "dev" else NAMES[0]
        (folder / "requirements" / file.name).write_text(f"{name} @ file://{place}/{name}-1-py3-none-any.whl\n")
    return folder


@pytest.fixture(scope="module")
def with_venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with an empty .venv."""
    folder = project_in(tmp_path_factory.mktemp("with-venv"))
    assert make(folder, ".venv/.python", f"PYTHON={sys.executable}").returncode == 0
    return folder


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """A package index with torch at /simple, and a page with its wheel for CPUs at /cpu: listings of folders."""
    for folder, version in (("simple/torch", "2.11.0"), ("cpu", "2.11.0+cpu")):
        (tmp_path / folder).mkdir(parents=True)
        wheel(tmp_path / folder, "torch", version)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def wheel(folder: Path, name: str, version: str = "1") -> None:
    """https://packaging.python.org/en/latest/specifications/binary-distribution-format/"""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as packed:
        packed.writestr(f"{name}.py", "")
        packed.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        packed.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{info}/RECORD", "")


def make(project: Path, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTHON"))}
    command = ["make", *arguments, "ENGINE=openvino"]
    return subprocess.run(command, cwd=project, env=kept | environment, capture_output=True, text=True, timeout=120)


def installed(project: Path) -> list[str]:
    return sorted(path.stem for path in (project / ".venv").rglob("tin*.py"))


@pytest.mark.slow
def test_no_environment_setting_installs_packages_outside_the_venv(tmp_path: Path) -> None:
    """Its Python is from a virtual environment without pip, in a folder with a space, and is then removed."""
    project, python = project_in(tmp_path), tmp_path / "my python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", python], check=True)
    done = make(project, ".venv/.dev", f"PYTHON={python}/bin/python", **HOSTILE)
    assert (done.returncode, installed(project)) == (0, sorted(NAMES)), done.stderr
    again = make(project, "setup", **HOSTILE)
    assert (again.returncode, again.stdout, again.stderr) == (0, "make: Nothing to be done for 'setup'.\n", "")
    (project / ".venv" / "bin" / "python").unlink()
    (project / ".venv" / "bin" / "python").symlink_to("/uninstalled/bin/python3")
    anew = make(project, "setup", f"PYTHON={sys.executable}")
    assert (anew.returncode, installed(project)) == (0, ["tiny"]), anew.stderr


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["target", "prefix", "root"])
def test_a_target_folder_in_pips_configuration_is_named(with_venv: Path, setting: str, tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text(f"[install]\n{setting} = /nowhere\n")
    done = make(with_venv, "setup", PIP_CONFIG_FILE=str(tmp_path / "pip.conf"))
    name = f"install.{setting}"
    message = f"pip's configuration keeps packages out of .venv ({name}='/nowhere'): pip config unset {name}"
    assert (done.returncode, done.stderr.splitlines()[-2], installed(with_venv)) == (2, message, [])


@pytest.mark.slow
def test_a_failed_pip_install_is_reported_and_repeated_and_user_in_its_configuration_is_ignored(
    with_venv: Path, tmp_path: Path
) -> None:
    (tmp_path / "pip.conf").write_text("[install]\nuser = true\n")
    configured = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")}
    gone = with_venv.parent / "tiny-1-py3-none-any.whl"
    kept = gone.rename(tmp_path / "kept")
    done = make(with_venv, "setup", **configured)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-2].startswith("nothing was installed: see pip's message above")
    kept.rename(gone)
    done = make(with_venv, "setup", **configured)
    assert (done.returncode, installed(with_venv)) == (0, ["tiny"]), done.stderr


@pytest.mark.slow
def test_torch_is_installed_without_cuda_where_there_is_no_gpu_and_pytorchs_page_answers(
    with_venv: Path, tmp_path: Path, index: str
) -> None:
    (with_venv / "requirements" / "lock.txt").write_text("torch==2.11.0\n")
    (with_venv / "requirements" / "torch.in").write_text("torch\n")
    (tmp_path / "driver").mkdir()
    (tmp_path / "driver" / "nvidia-smi").write_text("#!/bin/sh\n")
    (tmp_path / "driver" / "nvidia-smi").chmod(0o755)
    with_driver = f"{tmp_path / 'driver'}:{os.environ['PATH']}"

    def version(page: str, path: str = os.environ["PATH"]) -> str:
        settings = {"PIP_INDEX_URL": f"{index}/simple", "CPU_TORCH": page, "PATH": path, "NO_PROXY": "127.0.0.1"}
        done = subprocess.run(
            ["sh", "scripts/install.sh", "torch"], cwd=with_venv, env=os.environ | settings, capture_output=True
        )
        assert done.returncode == 0, done.stderr
        (found,) = with_venv.rglob("torch-*.dist-info")
        pip = [with_venv / ".venv" / "bin" / "python", "-m", "pip", "uninstall", "--quiet", "--yes", "torch"]
        subprocess.run(pip, check=True, env=os.environ)
        return found.name.removeprefix("torch-").removesuffix(".dist-info")

    has_cuda = (sys.platform, platform.machine()) == ("linux", "x86_64")  # PyPI's torch
    assert version(f"{index}/cpu/") == ("2.11.0+cpu" if has_cuda else "2.11.0")
    assert [version(page) for page in (f"{index}/gone/", "http://127.0.0.1:9/", "no page")] == ["2.11.0"] * 3
    assert version(f"{index}/cpu/", with_driver) == "2.11.0"


def test_a_python_that_cannot_make_a_venv_is_named_with_a_remedy(tmp_path: Path) -> None:
    project, python = project_in(tmp_path), tmp_path / "python3"
    refusing = 'case "$*" in *venv*) echo No module named ensurepip >&2; exit 1;; esac'
    python.write_text(f'#!/bin/sh\n{refusing}\n{sys.executable} "$@"\n')
    python.chmod(0o755)
    done = make(project, "setup", f"PYTHON={python}")
    lines = done.stderr.splitlines()
    assert done.returncode == 2
    assert lines[1] == "No module named ensurepip"
    assert lines[2].startswith(f"{python} cannot make a virtual environment: install its venv module")
    assert not (project / ".venv").exists()


@pytest.mark.parametrize(
    ("engines", "on_cpu", "on_cuda"),
    [
        ("\n  - {engine: transformers, device: cuda}\n  - {engine: openvino, device: cpu}", "openvino", "transformers"),
        ("\n- device: cpu # openvino\n  'engine' : transformers\n- {engine: openvino}", "transformers", "transformers"),
        (' [{"engine": "openvino", "device": "cpu"}, {"engine": "transformers"}]', "openvino", "openvino"),
        ("\n  - device: cuda\n    engine: transformers", "transformers", "transformers"),
    ],
)
def test_the_packages_follow_from_the_manifests_engines(
    tmp_path: Path, engines: str, on_cpu: str, on_cuda: str
) -> None:
    folder = tmp_path / "models" / "catalog" / "mine"
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(f"title: engine\nengines:{engines}\nhardware: {{device: none}}\n")
    for device, engine in (("cpu", on_cpu), ("cuda", on_cuda)):
        command = ["sh", str(PROJECT / "scripts" / "engine.sh"), device]
        assert subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout == f"{engine}\n"


def test_with_several_models_the_packages_are_those_of_the_model_in_cog_yaml(tmp_path: Path) -> None:
    for slug, engine in (("a", "openvino"), ("b", "transformers")):
        (tmp_path / "models" / "catalog" / slug).mkdir(parents=True)
        manifest = tmp_path / "models" / "catalog" / slug / "model.yaml"
        manifest.write_text(f"engines: [{{engine: {engine}, device: cpu}}]\n", encoding="utf-8")
    (tmp_path / "cog.yaml").write_text("# Rendered from models/catalog/b/model.yaml", encoding="utf-8")
    command = ["sh", str(PROJECT / "scripts" / "engine.sh"), "cpu"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout == "transformers\n"
    chosen = os.environ | {"MODEL": "a"}
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=chosen).stdout == "openvino\n"
