"""python -m scripts.call against the local Replicate's HTTP, with predictions that each test scripts."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from models.manifest import PROJECT
from scripts import call
from scripts.contract import schema
from tests.schemas import cog
from tests.services.replicate_client import client_of
from tests.services.replicate_http import Fault
from tests.services.replicate_prediction import Prediction
from tests.services.scripted_replicate import ScriptedReplicate
from tests.template.scripts.calling.test_call_outputs import png, uri
from tests.template.server.live_server import eventually

TEXT = schema.generate("TextGeneration")
FILES = {"type": "array", "items": {"type": "string", "format": "uri"}}
IMAGE = cog(
    {
        "prompt": {"type": "string"},
        "image": {"type": "string", "format": "uri", "nullable": True, "default": None},
        "width": {"type": "integer", "maximum": 2048, "default": 64},
    },
    FILES,
    required=("prompt",),
)


@pytest.fixture
def service(service: ScriptedReplicate, monkeypatch: pytest.MonkeyPatch) -> ScriptedReplicate:
    monkeypatch.setenv("REPLICATE_POLL_INTERVAL", "0.05")
    service.add_model("acme/writer", TEXT, TEXT)
    service.add_model("acme/painter", IMAGE)
    return service


def writes(*pieces: str, **metrics: Any) -> Any:
    """A script that streams these pieces."""

    def script(prediction: Prediction) -> None:
        prediction.start()
        for piece in pieces:
            prediction.add_output(piece)
        prediction.end("succeeded", metrics={"predict_time": 2.0} | metrics)

    return script


def paints(*outputs: str) -> Any:
    def script(prediction: Prediction) -> None:
        prediction.start()
        prediction.end("succeeded", metrics={"predict_time": 1.0}, output=list(outputs))

    return script


def posts(service: ScriptedReplicate) -> list[str]:
    return [request.path for request in service.requests if request.method == "POST"]


def test_text_streams_and_logs_and_progress_go_to_standard_error(
    service: ScriptedReplicate, capsys: pytest.CaptureFixture[str]
) -> None:
    def is_read() -> bool:
        return any(request.path.startswith("/streaming/") for request in service.requests)

    def script(prediction: Prediction) -> None:
        prediction.start()
        prediction.add_logs("loaded\n")
        eventually(is_read, "its stream to be read")
        for piece in ("The sea", " is\nsalty\u2028not", "\x85 sweet"):
            prediction.add_output(piece)
        prediction.end("succeeded", metrics={"predict_time": 2.0})

    service.script = script
    assert call.main(["acme/writer", "prompt=Why?"]) == 0
    assert [request.has_token for request in service.requests if request.path.startswith("/streaming/")] == [False]
    output, errors = capsys.readouterr()
    assert output == "The sea is\nsalty\u2028not\x85 sweet\n"
    assert "loaded\n" in errors
    assert "https://replicate.com/p/" in errors
    assert errors.splitlines()[-1].startswith("succeeded · ")
    assert "2 s predicting" in errors
    assert service.token not in output + errors


def test_json_output_has_the_joined_text(service: ScriptedReplicate, capsys: pytest.CaptureFixture[str]) -> None:
    service.script = writes("a", "b", output_token_count=2)
    assert call.main(["acme/writer", "prompt=Why?", "--json", "--quiet"]) == 0
    output, errors = capsys.readouterr()
    result = json.loads(output)
    assert (result["output"], result["status"], errors) == ("ab", "succeeded", "")
    assert result["metrics"]["output_token_count"] == 2
    assert result["id"] in service.predictions


def test_a_target_is_the_latest_version_one_version_or_the_digest_that_push_prints(service: ScriptedReplicate) -> None:
    service.script = writes("a")
    old, new = service.models["acme/writer"].repository.refresh()
    for what in ("acme/writer", f"acme/writer:{old.id}", f"r8.im/acme/writer@sha256:{old.id}"):
        assert call.main([what, "prompt=a"]) == 0
    ran = [prediction.version.id for prediction in service.predictions.values()]
    assert ran == [new.id, old.id, old.id]


def test_an_official_model_has_a_route_of_its_own(service: ScriptedReplicate) -> None:
    service.official.add("acme/writer")
    service.script = writes("a")
    assert call.main(["acme/writer", "prompt=a"]) == 0
    assert posts(service) == ["/v1/models/acme/writer/predictions"]


def test_a_call_of_a_deployment_reports_its_cost(
    service: ScriptedReplicate, capsys: pytest.CaptureFixture[str]
) -> None:
    version = service.models["acme/writer"].repository.refresh()[-1]
    client_of(service).deployments.create(
        name="live", model="acme/writer", version=version.id, hardware="gpu-t4", min_instances=0, max_instances=1
    )
    service.script = writes("a")
    assert call.main(["deployment:acme/live", "prompt=a"]) == 0
    assert "about $0.000450 on gpu-t4" in capsys.readouterr().err


def test_the_rest_of_a_broken_stream_is_read_from_the_prediction(
    service: ScriptedReplicate, capsys: pytest.CaptureFixture[str]
) -> None:
    service.script = writes("one ", "two ", "three")
    slow = service.script
    service.script = lambda prediction: (prediction.start(), time.sleep(0.5), slow(prediction))
    service.faults.append(Fault("GET", "/streaming/.*", 1, "cut"))
    assert call.main(["acme/writer", "prompt=a"]) == 0
    output, errors = capsys.readouterr()
    assert output == "one two three\n"
    assert "the stream broke" in errors


def test_images_are_saved(service: ScriptedReplicate, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    service.script = paints(uri(png(5, 4), "image/png"), uri(b"RIFF", "audio/wav"))
    assert call.main(["acme/painter", "prompt=a cat", "--out", str(tmp_path)]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith(f"-0.png · {len(png(5, 4))} bytes · image/png · 5 x 4")
    assert second.endswith("-1.wav · 4 bytes · audio/wav")


def test_a_large_file_is_uploaded_and_a_small_one_is_sent_inline(service: ScriptedReplicate, tmp_path: Path) -> None:
    service.script = paints()
    for size in (256_000, 256_001):
        (tmp_path / "a.png").write_bytes(b"p" * size)
        assert call.main(["acme/painter", "prompt=a", f"image=@{tmp_path}/a.png"]) == 0
    small, large = [prediction.as_json()["input"]["image"] for prediction in service.predictions.values()]
    assert small.startswith("data:image/png;base64,")
    (file,) = service.files.values()
    assert large == f"{service.address}/v1/files/{file.id}"
    assert (file.name, file.kind, file.content) == ("a.png", "image/png", b"p" * 256_001)


def test_the_token_is_sent_only_to_replicates_api(service: ScriptedReplicate) -> None:
    from scripts.calling import remote

    place = remote.model("acme/painter")
    assert place.authorized(f"{service.address}/v1/files/f1") == {"Authorization": f"Bearer {service.token}"}
    assert place.authorized("https://elsewhere.example/v1/files/f1") == {}
    assert place.authorized(f"{service.address}.elsewhere.example/f1") == {}


def test_refusals_say_what_to_do(
    service: ScriptedReplicate, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def error(*argv: str) -> str:
        assert call.main(list(argv)) == 1
        output, errors = capsys.readouterr()
        assert output == ""
        return errors

    assert error("acme/writer", "prompt=a", "temperature=9", "top_p=0").splitlines() == [
        "temperature: 9 is greater than the maximum of 5",
        "top_p: 0 is less than the minimum of 0.01",
    ]
    assert "the model acme/nothing is not on Replicate" in error("acme/nothing", "prompt=a")
    assert "the version abc" in error("acme/writer:abcdef", "prompt=a")
    assert "the deployment acme/none is not on Replicate" in error("deployment:acme/none", "prompt=a")
    service.add_model("acme/empty")
    assert "has no version yet: make push TO=r8.im/acme/empty" in error("acme/empty", "prompt=a")
    service.is_out_of_credit = True
    assert "replicate.com/account/billing" in error("acme/writer", "prompt=a")
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_wrong")
    wrong = error("acme/writer", "prompt=a")
    assert "does not know this token" in wrong
    assert "r8_wrong" not in wrong
    monkeypatch.delenv("REPLICATE_API_TOKEN")
    assert error("acme/writer", "prompt=a").startswith("REPLICATE_API_TOKEN is not set")


def test_a_server_other_than_cogs_is_named(service: ScriptedReplicate, capsys: pytest.CaptureFixture[str]) -> None:
    assert call.main([service.address, "prompt=a"]) == 1
    assert "has no /openapi.json" in capsys.readouterr().err


def test_wrong_usage_is_refused_before_anything_runs(service: ScriptedReplicate) -> None:
    assert call.main(["acme/painter", "promt=a"]) == 2
    assert call.main(["acme/painter", "width=9"]) == 2
    assert posts(service) == []


@pytest.mark.slow
def test_requests_refused_with_429_are_repeated_after_the_time_that_replicate_gives(
    service: ScriptedReplicate, capsys: pytest.CaptureFixture[str]
) -> None:
    service.script = writes("a")
    service.faults.append(Fault("POST", "/v1/predictions", 2, 429))
    began = time.monotonic()
    assert call.main(["acme/writer", "prompt=a"]) == 0
    assert time.monotonic() - began >= 2
    assert capsys.readouterr().err.count("trying again in 1 s") == 2
    service.faults.append(Fault("POST", "/v1/predictions", 9, 429))
    assert call.main(["acme/writer", "prompt=a"]) == 1
    assert "rate limit was reached" in capsys.readouterr().err
    assert service.faults[-1].times == 4


def test_a_request_that_may_have_started_a_prediction_is_not_repeated(service: ScriptedReplicate) -> None:
    service.script = writes("a")
    service.faults.append(Fault("POST", "/v1/predictions", 1, "after"))
    assert call.main(["acme/writer", "prompt=a"]) == 1
    assert len(service.predictions) == 1


def test_a_failed_prediction_exits_with_1(service: ScriptedReplicate, capsys: pytest.CaptureFixture[str]) -> None:
    service.script = lambda prediction: prediction.end("failed", "CUDA error: out of memory", logs="trace\n")
    assert call.main(["acme/writer", "prompt=a"]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert "trace\n" in errors
    assert "the prediction failed: CUDA error: out of memory" in errors


@pytest.mark.slow
def test_an_aborted_prediction_exits_with_1(service: ScriptedReplicate, capsys: pytest.CaptureFixture[str]) -> None:
    service.script = lambda prediction: None
    assert call.main(["acme/writer", "prompt=a", "--timeout", "5"]) == 1
    errors = capsys.readouterr().err
    assert "starting" in errors
    assert "aborted · " in errors


def test_with_wait_the_first_request_stays_open(service: ScriptedReplicate, capsys: pytest.CaptureFixture[str]) -> None:
    service.script = lambda prediction: (time.sleep(0.5), writes("a")(prediction))
    assert call.main(["acme/writer", "prompt=a", "--wait", "20"]) == 0
    assert capsys.readouterr().out == "a\n"
    gets = [request for request in service.requests if request.path.startswith("/v1/predictions/")]
    assert len(gets) == 1


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_cancels_on_replicate_and_reports_it(service: ScriptedReplicate, name: signal.Signals) -> None:
    def endless(prediction: Prediction) -> None:
        prediction.start()
        prediction.add_output("once")
        if prediction.canceling.wait(30):
            prediction.end("canceled")

    service.script = endless
    command = [sys.executable, "-m", "scripts.call", "acme/writer", "prompt=a"]
    process = subprocess.Popen(command, cwd=PROJECT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.read(4) == "once"
    process.send_signal(name)
    output, errors = process.communicate(timeout=15)
    assert (process.returncode, output) == (130, "\n")
    (prediction,) = service.predictions.values()
    assert f"cancelled the prediction {prediction.id} on Replicate" in errors
    assert prediction.wait(5)
    assert prediction.status == "canceled"


def test_ctrl_c_during_the_start_cancels(service: ScriptedReplicate) -> None:
    service.script = lambda prediction: None
    command = [sys.executable, "-m", "scripts.call", "acme/writer", "prompt=a"]
    process = subprocess.Popen(command, cwd=PROJECT, text=True, stderr=subprocess.PIPE)
    assert process.stderr
    while (seen := process.stderr.readline()) != "starting\n":
        assert seen
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 130
    assert [prediction.status for prediction in service.predictions.values()] == ["canceled"]
