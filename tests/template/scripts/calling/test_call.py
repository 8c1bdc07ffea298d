"""python -m scripts.call on a real Cog server of an image model: inputs by its schema, files as output, Ctrl-C."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.manifest import PROJECT
from scripts import call
from scripts.calling import project_server
from scripts.contract import schema
from scripts.serving import local_server
from tests.services.canned import answering
from tests.services.replicate_client import Receiver
from tests.serving import serving_class

Start = Callable[..., "subprocess.Popen[str]"]
PAINTER = '''import tempfile, time
from cog import BasePredictor, Input, Path
from PIL import Image

class Painter(BasePredictor):
    def predict(
        self,
        prompt: str,
        negative_prompt: str = Input(default=""),
        width: int = Input(default=64, ge=8, le=2048),
        height: int = 64,
        num_outputs: int = Input(choices=[1, 2], default=1),
        style: str = Input(choices=["photo", "anime"], default="photo"),
        image: Path | None = None,
        fail: bool = False,
        seconds: float = 0,
    ) -> list[Path]:
        """Paint."""
        print(f"painting {prompt!r} as {style} without {negative_prompt!r}")
        if image:
            print(f"over {image.stat().st_size} bytes")
        if fail:
            raise ValueError("out of paint")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(0.02)
        painted = [Path(tempfile.mkdtemp()) / "image.png" for _ in range(num_outputs)]
        for path in painted:
            Image.new("L", (width, height), "grey").save(path)
        return painted
'''


@pytest.fixture(scope="module")
def painter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Cog server that paints grey images."""
    with serving_class(PAINTER, tmp_path_factory.mktemp("painter")) as (address, _):
        yield address


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts the command in its own process, which does not outlive the test."""
    with ExitStack() as stack:

        def start(*arguments: str) -> subprocess.Popen[str]:
            command = [sys.executable, "-m", "scripts.call", *arguments]
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            process = stack.enter_context(subprocess.Popen(command, cwd=PROJECT, text=True, **pipes))
            stack.callback(process.kill)
            return process

        yield start


def wait_for(process: subprocess.Popen[str], line: str) -> None:
    """Read standard error up to a line."""
    assert process.stderr
    while (seen := process.stderr.readline()) != f"{line}\n":
        assert seen, f"it ended without {line!r}"


def test_images_are_saved_and_each_has_a_line(painter: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = ["prompt=a cat", "negative_prompt=dogs", "width=32", "height=16", "num_outputs=2", "style=anime"]
    assert call.main([painter, *pairs, "--out", str(tmp_path)]) == 0
    output, errors = capsys.readouterr()
    saved = sorted(tmp_path.iterdir())
    assert output.splitlines() == [f"{path} · {path.stat().st_size} bytes · image/png · 32 x 16" for path in saved]
    assert len(saved) == 2
    assert "painting 'a cat' as anime without 'dogs'" in errors
    assert "succeeded · " in errors


def test_this_project_can_be_called_like_any_server(
    painter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The painter replaces the selected model's class and server, as a language model returns no files."""
    document = httpx.get(f"{painter}/openapi.json").json()
    monkeypatch.setattr(schema, "generate", lambda class_name: document)
    monkeypatch.setattr(project_server.local_server, "running", lambda model, log: nullcontext((painter, None)))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROMPT", "a cat")
    assert call.main(["local", "--inputs", "-i num_outputs=2 width=32"]) == 0
    output, errors = capsys.readouterr()
    saved = [path.relative_to(tmp_path) for path in sorted((tmp_path / "outputs").iterdir())]
    assert output.splitlines() == [f"{path} · {path.stat().st_size} bytes · image/png · 32 x 64" for path in saved]
    assert "painting 'a cat'" in errors
    assert errors.splitlines()[-1].startswith("succeeded · ")


def test_a_wrong_input_of_this_project_is_refused_before_its_server_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delattr(project_server.local_server, "running")
    assert call.main(["local", "prompt=a", "max_tokens=many"]) == 2
    assert capsys.readouterr().err == "max_tokens=many: must be an integer\n"


def test_json_is_one_object_with_the_paths_and_quiet_says_nothing(
    painter: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call.main([painter, "prompt=a", "--out", str(tmp_path), "--json", "--quiet"]) == 0
    output, errors = capsys.readouterr()
    result = json.loads(output)
    assert result["output"] == [str(path) for path in tmp_path.iterdir()]
    assert (result["status"], result["error"], errors) == ("succeeded", None, "")
    assert result["id"] in result["output"][0]
    assert result["metrics"]["predict_time"] >= 0
    assert "painting" in result["logs"]


def test_inputs_can_be_a_file_and_a_text_from_standard_input(painter: str, tmp_path: Path, start: Start) -> None:
    (tmp_path / "sketch.png").write_bytes(b"p" * 300_000)
    process = start(painter, "prompt=-", f"image=@{tmp_path}/sketch.png", "--out", str(tmp_path))
    output, errors = process.communicate("a cat\n", timeout=30)
    assert process.returncode == 0, errors
    assert "painting 'a cat'" in errors
    assert "over 300000 bytes" in errors
    assert "64 x 64" in output


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["prompt=a", "style=phot"], "style=phot: is not one of the choices (did you mean photo?)"),
        (["prompt=a", "num_outputs=3"], "num_outputs=3: is not one of the choices (known: 1, 2)"),
        (["prompt=a", "promt=b"], "there is no input 'promt' (did you mean prompt?)"),
        (["width=9"], "prompt is missing: write prompt=..."),
        (["prompt=a", "image=cat.png"], "image=cat.png: must be a file, as image=@PATH, or a URL"),
        (["prompt=a", "--webhook-events", "end"], "--webhook-events end: there are start, output, logs, completed"),
        (["prompt=a", "--no-wait"], "--no-wait: a Cog server does not keep predictions: add a --webhook"),
        (["prompt=a", "--no-wait", "--webhook", "http://127.0.0.1:9", "--timeout", "5"], "--timeout: a Cog server has"),
        (["prompt=a", "--wait", "61"], "Invalid value for '--wait'"),
    ],
)
def test_wrong_usage_exits_with_2(
    pairs: list[str], message: str, painter: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call.main([painter, *pairs]) == 2
    assert capsys.readouterr().err.startswith(message)


@pytest.mark.parametrize(
    ("kind", "body"), [("text/html", b"<html>"), ("application/json", b'{"ok": true}'), ("application/json", b"{")]
)
def test_a_server_other_than_cogs_is_reported_in_one_line(
    kind: str, body: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(200, body, kind) as address:
        assert call.main([address, "prompt=a"]) == 1
    (message,) = capsys.readouterr().err.splitlines()
    assert "Cog" in message


@pytest.mark.parametrize("what", ["", "what", "deployment:x", "acme/x:y/z", "image"])
def test_a_wrong_target_exits_with_2_and_says_which_targets_work(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call.main([what]) == 2
    assert "OWNER/NAME:VERSION, deployment:OWNER/NAME" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["local", "image:x"])
def test_a_server_that_ends_with_the_call_cannot_be_called_without_waiting(
    what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call.main([what, "--no-wait"]) == 2
    assert "the call must wait" in capsys.readouterr().err


def test_the_error_for_a_value_out_of_bounds_names_the_input(painter: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call.main([painter, "prompt=a", "width=3"]) == 1
    assert capsys.readouterr() == ("", "width: 3 is less than the minimum of 8\n")


def test_a_failed_prediction_exits_with_1_and_its_reason(painter: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call.main([painter, "prompt=a", "fail=true", "--quiet"]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors == "the prediction failed: out of paint\n"
    assert call.main([painter, "prompt=a", "fail=true", "--quiet", "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert (result["status"], result["output"]) == ("failed", None)


def test_a_missing_server_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    address = f"http://127.0.0.1:{local_server.free_port()}"
    assert call.main([address, "prompt=a"]) == 1
    assert f"no Cog server answers at {address}" in capsys.readouterr().err


def test_a_webhook_reports_the_result(painter: str, capsys: pytest.CaptureFixture[str]) -> None:
    with Receiver() as receiver:
        options = ["--no-wait", "--webhook", receiver.url, "--webhook-events", "completed"]
        assert call.main([painter, "prompt=a", *options]) == 0
        assert receiver.is_over.wait(30)
    id = capsys.readouterr().out.strip()
    assert [json.loads(request.content)["id"] for request in receiver.received] == [id, id]
    assert receiver.statuses() == ["succeeded", "succeeded"]


@pytest.mark.slow
def test_ctrl_c_cancels_and_frees_the_slot(painter: str, tmp_path: Path, start: Start) -> None:
    process = start(painter, "prompt=a", "seconds=60")
    wait_for(process, "processing")
    waiting = start(painter, "prompt=b", "--out", str(tmp_path))
    wait_for(waiting, "waiting for a free slot")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=15)
    assert process.returncode == 130
    assert "cancelled the prediction" in errors
    output, errors = waiting.communicate(timeout=30)
    assert waiting.returncode == 0, errors
    assert "image/png" in output


@pytest.mark.slow
def test_a_timeout_cancels(painter: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call.main([painter, "prompt=a", "seconds=60", "--timeout", "5"]) == 1
    errors = capsys.readouterr().err
    assert "the prediction was cancelled: its --timeout passed" in errors
    assert "canceled · " in errors


@pytest.mark.slow
def test_a_timeout_ends_the_wait_for_a_slot(painter: str, start: Start) -> None:
    process = start(painter, "prompt=a", "seconds=60")
    wait_for(process, "processing")
    waiting = start(painter, "prompt=b", "--timeout", "5")
    _, errors = waiting.communicate(timeout=30)
    assert waiting.returncode == 1
    assert "aborted · " in errors
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 130
