"""The Space's folder, run like on the Hub: its requirements in an empty environment, its app, and a person."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml
from playwright.sync_api import expect

from models import manifest, weights
from models.manifest import PROJECT
from scripts import space
from scripts.hub.space import folder
from scripts.serving import local_server
from tests.template.scripts.hub.space.conftest import Visit
from tests.template.server.live_server import LiveServer, eventually

OF_THE_HUB = ("uvicorn>=0.14.0", "websockets>=10.4", "spaces")
"""What the Hub installs beside requirements.txt, with gradio[oauth,mcp]: https://huggingface.co/docs/hub/spaces-sdks-gradio"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an empty environment, with the 90 packages of the default model's Space; pip takes a minute."""
    place = tmp_path_factory.mktemp("environment")
    to = place / "space"
    assert space.main(["--out", str(to)]) == 0
    settings = yaml.safe_load((to / "README.md").read_text(encoding="utf-8").split("---")[1])
    gradio = f"gradio[oauth,mcp]=={settings['sdk_version']}"
    subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=True)
    python = place / "venv" / "bin" / "python"
    pip = ["uv", "pip", "install", "--python", python] if shutil.which("uv") else [python, "-m", "pip", "install"]
    subprocess.run([*pip, "--quiet", "-r", to / "requirements.txt", gradio, *OF_THE_HUB], check=True)
    return python


@contextmanager
def _app(python: Path, to: Path) -> Iterator[str]:
    """The address of a Space's app, which is ended like on the Hub."""
    port = local_server.free_port()
    variables = {"GRADIO_SERVER_PORT": str(port), "WEIGHTS_ROOT": str(PROJECT / "weights"), "PYTHONPATH": ""}
    log = (to / "app.log").open("wb")
    process = subprocess.Popen([python, "app.py"], cwd=to, env=os.environ | variables, stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}"
        eventually(lambda: _answers(address) or process.poll() is not None, "the page", 180)
        assert process.poll() is None, (to / "app.log").read_text()
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)
        log.close()


def _answers(address: str) -> bool:
    try:
        return httpx.get(address).status_code == 200
    except httpx.TransportError:
        return False


def test_the_model_itself_runs_in_the_space(environment: Path, visit: Visit, tmp_path: Path):
    to = shutil.copytree(environment.parents[2] / "space", tmp_path / "space")
    with _app(environment, to) as address:
        page = visit(address)
        page.get_by_role("button", name="a conversation").click()
        expect(page.locator("#chat-status")).to_contain_text("Done in", timeout=90_000)
        expect(page.locator("#chat [data-testid=bot]").last).to_contain_text("Rome")
        page.close()
    command = "cog.server.http"
    mine = [path for path in Path("/proc").glob("[0-9]*/cwd") if _is_at(path, to)] if sys.platform == "linux" else []
    assert [one for one in mine if command in (one.parent / "cmdline").read_text()] == []


def _is_at(path: Path, to: Path) -> bool:
    try:
        return path.readlink() == to
    except OSError:
        return False


def test_a_space_that_calls_a_server_needs_no_model(
    environment: Path, visit: Visit, openvino_server: LiveServer, tmp_path: Path
):
    to = tmp_path / "space"
    files = folder.write(manifest.selected(), openvino_server.address, to)
    assert not [file for file in files if file.parts[0] in ("models", "predict.py", "weights")]
    assert "openvino" not in (to / "requirements.txt").read_text()
    with _app(environment, to) as address:
        page = visit(address)
        page.get_by_role("button", name="capital of France").click()
        expect(page.locator("#status")).to_contain_text("Done in")
        assert "Paris" in page.locator("#output textarea").input_value()
        page.close()


def test_weights_that_the_server_can_fetch_and_convert_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = manifest.selected()
    choice = model.engine_on("cpu")
    local = model.model_copy(update={"weights": model.weights.model_copy(update={"source": "file:some.gguf"})})
    assert (folder.can_be_fetched(model, choice), folder.can_be_fetched(local, choice)) == (True, False)
    part = Path("weights", model.slug, choice.engine)
    assert not [file for file in folder.write(model, "own", tmp_path / "space") if part in file.parents]
    monkeypatch.setattr(folder, "can_be_fetched", lambda model, choice: False)
    put_in = {file.name for file in folder.write(model, "own", tmp_path / "space") if part in file.parents}
    assert put_in == {path.name for path in weights.folder(model.slug, choice.engine).iterdir()}


def test_a_folder_with_other_content_is_not_overwritten(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("mine")
    assert space.main(["--out", str(tmp_path)]) == 2
    assert (tmp_path / "thesis.txt").read_text() == "mine"
