"""Proxies: a local server is always reached directly, and other servers through the proxies in the environment."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import requests

from models.errors import TemplateError
from scripts.calling.remote import get
from scripts.cli import connection
from scripts.replicate import client as replicate_client
from tests.services.canned import answering
from tests.services.socks import socks_proxy

SCRIPTS = Path(connection.__file__).parents[1]
NOBODY = "127.0.0.1:9"
PROXIES = [
    {"HTTP_PROXY": f"http://{NOBODY}", "HTTPS_PROXY": f"http://{NOBODY}"},
    {"http_proxy": NOBODY},
    {"ALL_PROXY": f"socks5://{NOBODY}"},
    {"all_proxy": f"socks://{NOBODY}/"},  # GNOME's spelling, which no library knows
    {"ALL_PROXY": "nonsense://", "NO_PROXY": "example.org"},
    {"HTTP_PROXY": f"http://{NOBODY}", "no_proxy": "", "NO_PROXY": "*.example.org"},
]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with answering(200, b'{"name": "here"}', "application/json") as address:
        yield address


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
@pytest.mark.parametrize("proxies", PROXIES, ids=str)
def test_a_local_server_is_reached_without_a_proxy(
    server: str, host: str, proxies: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = server.replace("127.0.0.1", host)
    for name, value in proxies.items():
        monkeypatch.setenv(name, value)
    with connection.client(address) as client:
        assert client.get("/health-check").status_code == 200
    assert connection.ask("GET", address).status_code == 200
    with connection.stream("GET", address) as answer:
        assert answer.status_code == 200


@pytest.mark.parametrize("proxies", PROXIES[:3] + PROXIES[-1:], ids=str)
def test_other_libraries_skip_the_proxy_for_this_machine_and_keep_earlier_exceptions(
    server: str, proxies: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in proxies.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("no_proxy", os.environ.get("no_proxy", ""))
    monkeypatch.setenv("NO_PROXY", os.environ.get("NO_PROXY", ""))
    connection.bypass_proxies_locally()
    assert requests.get(server, timeout=5).status_code == 200
    assert proxies.get("NO_PROXY", "") in os.environ["NO_PROXY"] == os.environ["no_proxy"]


def test_without_a_proxy_in_the_environment_no_exception_is_set() -> None:
    connection.bypass_proxies_locally()
    assert "NO_PROXY" not in os.environ


def test_a_container_gets_the_proxies_that_it_can_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "a.example")
    monkeypatch.setenv("HTTP_PROXY", "localhost:3128")
    assert connection.proxies_elsewhere() == {}
    monkeypatch.setenv("https_proxy", "http://me:secret@proxy.example:3128")
    proxies = {"https_proxy": "http://me:secret@proxy.example:3128", "NO_PROXY": "a.example"}
    assert connection.proxies_elsewhere() == proxies


def test_a_remote_server_is_reached_through_the_http_proxy_unless_no_proxy_names_it(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.removeprefix("http://"))
    assert connection.ask("GET", "http://model.invalid/health-check").json() == {"name": "here"}
    monkeypatch.setenv("NO_PROXY", "model.invalid")
    with pytest.raises(httpx.ConnectError):
        connection.ask("GET", "http://model.invalid/health-check")


def test_replicate_is_reached_through_a_socks_proxy(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATE_BASE_URL", "http://api.invalid")
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_test")
    with socks_proxy({"api.invalid": urlsplit(server).port or 0}) as (proxy, asked):
        monkeypatch.setenv("ALL_PROXY", f"socks5://{proxy}")
        assert get(replicate_client.connect(), "/v1/models/acme/here", "the model") == {"name": "here"}
        assert asked == ["api.invalid"]
        monkeypatch.setenv("NO_PROXY", "api.invalid")
        with pytest.raises(TemplateError, match="cannot reach Replicate"):
            get(replicate_client.connect(), "/v1/models/acme/here", "the model")
        assert asked == ["api.invalid"]


@pytest.mark.parametrize("url", ["http://model.invalid", "https://model.invalid"])
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks4://me:secret@proxy:1080")
    for act in (lambda: connection.ask("GET", url), lambda: connection.transport(url), lambda: connection.client(url)):
        with pytest.raises(TemplateError, match="the proxy socks4://proxy:1080 cannot be used: write") as refused:
            act()
        assert "secret" not in str(refused.value)


def test_every_script_uses_the_module_connection() -> None:
    """Httpx alone would use the environment's proxies even for a local server."""
    direct = re.compile(r"\bhttpx\.(get|post|put|patch|delete|head|options|request|stream|Client)\(")
    asking = [path for path in SCRIPTS.rglob("*.py") if direct.search(path.read_text(encoding="utf-8"))]
    assert asking == [SCRIPTS / "cli" / "connection.py"]
