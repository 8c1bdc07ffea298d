"""Webhooks of python -m scripts.call: Replicate sends them where it is told, and a saved one is checked."""

import json
import time
from pathlib import Path

import pytest

from scripts import call
from tests.services.replicate_client import Receiver
from tests.services.replicate_webhooks import signature
from tests.services.scripted_replicate import ScriptedReplicate
from tests.template.scripts.calling.test_call_remote import TEXT, writes


def test_a_webhook_is_checked(
    service: ScriptedReplicate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    body, headers = tmp_path / "body", tmp_path / "headers"
    signed = signature(service.webhook_secret, "msg_1", '{"id": "p1"}\r\n')
    body.write_bytes(b'{"id": "p1"}\r\n')
    for text in (json.dumps(signed), "".join(f"{name.title()}: {value}\r\n" for name, value in signed.items())):
        headers.write_text(text)
        assert call.main(["--verify-webhook", str(body), str(headers)]) == 0
        assert capsys.readouterr().out.startswith("from Replicate, signed ")
    monkeypatch.setattr(time, "time", lambda at=time.time() + 400: at)
    assert call.main(["--verify-webhook", str(body), str(headers)]) == 0
    assert "a receiver should refuse one this old" in capsys.readouterr().out
    body.write_bytes(b'{"id": "p2"}\r\n')
    assert call.main(["--verify-webhook", str(body), str(headers)]) == 1
    assert capsys.readouterr().err == "not from Replicate: Webhook signature is invalid\n"
    headers.write_text("content-type: application/json")
    assert call.main(["--verify-webhook", str(body), str(headers)]) == 1
    assert capsys.readouterr().err == "not from Replicate: Missing webhook id\n"
    headers.write_text("")
    assert call.main(["--verify-webhook", str(body), str(headers)]) == 2
    service.webhook_secret = "secret"
    headers.write_text(json.dumps(signed))
    assert call.main(["--verify-webhook", str(body), str(headers)]) == 1
    assert "whsec_BASE64" in capsys.readouterr().err


def test_without_waiting_the_id_is_printed_and_the_webhook_is_passed_on(
    service: ScriptedReplicate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service.add_model("acme/writer", TEXT)
    service.script = writes("a")
    with Receiver() as receiver:
        webhook = ["--webhook", receiver.url, "--webhook-events", "start,completed"]
        assert call.main(["acme/writer", "prompt=a", "--no-wait", *webhook]) == 0
        assert receiver.is_over.wait(30)
    assert capsys.readouterr().out.strip() == next(iter(service.predictions))
    assert receiver.statuses() == ["processing", "succeeded", "succeeded"]
    (tmp_path / "body").write_bytes(receiver.received[-1].content)
    (tmp_path / "headers").write_text(json.dumps(receiver.received[-1].headers))
    assert call.main(["--verify-webhook", str(tmp_path / "body"), str(tmp_path / "headers")]) == 0
    assert call.main(["acme/writer", "prompt=a", "--no-wait", "--webhook", "ftp://x"]) == 1
    assert capsys.readouterr().err == "webhook: Does not match format 'uri'\n"
