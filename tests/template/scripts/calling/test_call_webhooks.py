"""python -m scripts.call --verify-webhook: whether a saved webhook is from Replicate."""

import json
import time
from pathlib import Path

import pytest

from scripts import call
from tests.services.replicate_webhooks import signature
from tests.services.scripted_replicate import ScriptedReplicate


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
