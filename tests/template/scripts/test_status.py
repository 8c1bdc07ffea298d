"""python -m scripts.status against the local Replicate's HTTP: the live versions, and the results of predictions."""

import json
from pathlib import Path

import pytest

from scripts import status
from scripts.release import ledger
from tests.schemas import cog
from tests.services.replicate_client import client_of
from tests.services.replicate_prediction import Prediction
from tests.services.scripted_replicate import ScriptedReplicate

DOCUMENT = cog({})


@pytest.fixture
def service(service: ScriptedReplicate) -> ScriptedReplicate:
    service.add_model("acme/writer", *[DOCUMENT] * 12)
    service.add_model("acme/painter", DOCUMENT, visibility="public")
    return service


@pytest.fixture
def releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(ledger, "FOLDER", tmp_path)
    return tmp_path


def deploy(service: ScriptedReplicate, name: str, model: str) -> str:
    version: str = service.models[model].repository.refresh()[0].id
    scale = {"min_instances": 1, "max_instances": 3}
    client_of(service).deployments.create(name=name, model=model, version=version, hardware="gpu-t4", **scale)
    return version


def predict(service: ScriptedReplicate, model: str, ended: str, seconds: float = 0) -> None:
    version = service.models[model].repository.refresh()[0]
    prediction = Prediction(service.account, version, f"models/{model}", {}, service.address)
    service.predictions[prediction.id] = prediction
    if ended != "starting":
        prediction.end(ended, metrics={"predict_time": seconds})


def test_json_has_every_field(service: ScriptedReplicate, capsys: pytest.CaptureFixture[str]) -> None:
    version = deploy(service, "live", "acme/writer")
    deploy(service, "other", "acme/painter")
    client_of(service).deployments.update("acme", "live", max_instances=5)
    service.page_size = 100
    for seconds in range(1, 21):
        predict(service, "acme/writer", "succeeded", float(seconds))
    for ended in ("failed", "aborted", "starting"):
        predict(service, "acme/writer", ended)
    predict(service, "acme/painter", "failed")

    assert status.main(["acme/writer", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["model"]["visibility"], shown["model"]["run_count"]) == ("private", 0)
    versions = service.models["acme/writer"].repository.refresh()
    assert [one["id"] for one in shown["versions"]] == [one.id for one in reversed(versions)]
    assert shown["versions"][0]["cog_version"] == "0.22.0"
    (live,) = shown["deployments"]
    assert (live["name"], live["version"], live["release"]) == ("acme/live", version, 2)
    assert (live["hardware"], live["min_instances"], live["max_instances"]) == ("gpu-t4", 1, 5)
    assert shown["predictions"] == {
        "count": 23,
        "failed": 1,
        "error_rate": 1 / 21,
        "median_seconds": 10.5,
        "p95_seconds": 19.0,
    }


def test_every_page_of_a_list_is_read(service: ScriptedReplicate, capsys: pytest.CaptureFixture[str]) -> None:
    deploy(service, "first", "acme/writer")
    deploy(service, "second", "acme/painter")
    service.page_size = 1
    assert status.main(["acme/writer", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert len(shown["versions"]) == 12
    assert [one["name"] for one in shown["deployments"]] == ["acme/first"]


def test_a_terminal_shows_tables(service: ScriptedReplicate, capsys: pytest.CaptureFixture[str]) -> None:
    version = deploy(service, "live", "acme/writer")
    predict(service, "acme/writer", "succeeded", 2.0)
    predict(service, "acme/writer", "failed")
    assert status.main(["r8.im/acme/writer"]) == 0
    output = capsys.readouterr().out
    assert output.startswith("acme/writer · private · 0 runs · https://replicate.com/acme/writer\n")
    for part in (version[:12], "acme/live", "gpu-t4", "1 to 3", "and 2 more"):
        assert part in output
    assert "2 of the account's last 100 predictions · 50% failed · median 2 s, 95% within 2 s" in output
    assert service.token not in output


def test_a_model_without_predictions_is_shown(service: ScriptedReplicate, capsys: pytest.CaptureFixture[str]) -> None:
    service.add_model("acme/new")
    assert status.main(["acme/new"]) == 0
    output = capsys.readouterr().out
    assert "no versions\nno deployments\nno predictions of it" in output


def test_without_a_name_the_last_released_model_is_shown(
    service: ScriptedReplicate, releases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def add(slug: str, time: str, to: str) -> None:
        entry = ledger.Entry(time=time, release="s", step="push", result="ok", to=to, commit="c")
        ledger.append(slug, entry)

    add("painter", "2026-11-24T10:00:00+00:00", "r8.im/acme/painter")
    add("writer", "2026-11-24T11:00:00+00:00", "r8.im/acme/writer")
    add("writer", "2026-11-24T12:00:00+00:00", "registry.example.com/acme/elsewhere")
    assert status.main([]) == 0
    assert capsys.readouterr().out.startswith("acme/writer · ")


def test_without_a_name_and_a_ledger_it_is_wrong_usage(
    service: ScriptedReplicate, releases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status.main([]) == 2
    assert "name it, as OWNER/NAME" in capsys.readouterr().err


def test_refusals_of_replicate_are_explained(service: ScriptedReplicate, capsys: pytest.CaptureFixture[str]) -> None:
    assert status.main(["acme/nothing"]) == 1
    assert "the model acme/nothing is not on Replicate" in capsys.readouterr().err
    assert status.main(["nothing"]) == 2
    assert "write OWNER/NAME" in capsys.readouterr().err
