"""The choice of the Docker engine, and the error if none responds; contexts are written like docker's own."""

import hashlib
import json
from pathlib import Path

import pytest

from scripts.serving import docker_engine
from scripts.serving.docker_engine import NoEngine

OTHER = "docker context use default"


@pytest.fixture(autouse=True)
def configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of Docker's configuration, which knows the context `far`."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    meta = tmp_path / "contexts" / "meta" / hashlib.sha256(b"far").hexdigest() / "meta.json"
    meta.parent.mkdir(parents=True)
    endpoints = {"docker": {"Host": "unix:///nowhere/far.sock", "SkipTLSVerify": False}}
    meta.write_text(json.dumps({"Name": "far", "Metadata": {}, "Endpoints": endpoints}))
    (tmp_path / "config.json").write_text("{}")
    return tmp_path


def use(configuration: Path, name: str) -> None:
    (configuration / "config.json").write_text(json.dumps({"currentContext": name}))


def refusal() -> NoEngine:
    with pytest.raises(NoEngine) as refused, docker_engine.connected(seconds=3):
        pass
    return refused.value


def test_the_current_context_is_followed_and_named(configuration: Path) -> None:
    use(configuration, "far")
    refused = refusal()
    assert refused.found == "does not answer (unix:///nowhere/far.sock, from the context far)"
    assert refused.remedy == f"start it, or: {OTHER}"
    assert str(refused) == f"the Docker engine {refused.found}: {refused.remedy}, then: make doctor"


def test_docker_context_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    assert "from the context far" in refusal().found


def test_docker_host_takes_precedence_over_contexts(configuration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(configuration, "far")
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/host.sock")
    assert refusal().found == "does not answer (unix:///nowhere/host.sock, from DOCKER_HOST)"


@pytest.mark.parametrize("host", ["nonsense", "ftp://x", "tcp://", "ssh://nowhere.invalid"])
def test_an_invalid_docker_host_is_named(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    assert f"({host}, from DOCKER_HOST)" in refusal().found


@pytest.mark.parametrize("name", ["gone", "far"])
def test_a_missing_or_damaged_context_is_an_error_and_not_replaced_by_another_engine(
    configuration: Path, name: str
) -> None:
    use(configuration, name)
    for meta in configuration.rglob("meta.json"):
        meta.write_text("{")
    refused = refusal()
    assert refused.found.startswith(f"is that of the context {name}, which ")
    assert refused.remedy == OTHER
