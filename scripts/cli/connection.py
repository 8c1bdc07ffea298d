"""HTTP to any server: to one on this machine directly, to others through the environment's proxies."""

from __future__ import annotations

import os
from functools import cache
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies, proxy_bypass

from models.errors import TemplateError

if TYPE_CHECKING:
    import ssl

    import httpx

_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def client(address: str, **options: Any) -> httpx.Client:
    """A client of the server at `address`; `options`: more of httpx.Client's."""
    import httpx

    return httpx.Client(base_url=address, **_chosen(address), **options)


def ask(method: str, url: str, **options: Any) -> httpx.Response:
    """One request; `options`: more of httpx.request's."""
    import httpx

    return httpx.request(method, url, **_chosen(url), **options)


def stream(method: str, url: str, **options: Any) -> Any:
    """One request whose response is read as it arrives; `options`: more of httpx.stream's."""
    import httpx

    return httpx.stream(method, url, **_chosen(url), **options)


def transport(url: str) -> httpx.HTTPTransport:
    """A transport with the proxy for `url`: httpx does not look for proxies if a client is given a transport."""
    import httpx

    proxies, parts = getproxies(), httpx.URL(url)
    named = proxies.get(parts.scheme) or proxies.get("all")
    if not named or not _uses_proxies(url) or proxy_bypass(parts.host):
        return httpx.HTTPTransport()
    return httpx.HTTPTransport(proxy=_proxy(named))


def reason(error: Exception) -> str:
    """The message of an error, or its kind: some errors of a connection have no message."""
    return str(error) or type(error).__name__


def bypass_proxies_locally() -> None:
    """Set NO_PROXY, so that no library or program uses a proxy for this machine.

    Only if the environment names a proxy: NO_PROXY alone would hide the proxies in the settings of macOS.
    """
    if any(os.environ.get(name) for known in _PROXIES for name in (known, known.upper())):
        named = (os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "").split(",")
        every = dict.fromkeys(name for name in (*named, *_THIS_MACHINE) if name)
        os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(every)


def proxies_elsewhere() -> dict[str, str]:
    """The proxy variables for a container, which can only reach proxies that are not on this machine."""
    found = {name: value for name, value in os.environ.items() if name.lower() in _PROXIES and value}
    found = {name: value for name, value in found.items() if not _is_here(_proxy(value).url.host)}
    return found | {name: os.environ[name] for name in ("NO_PROXY", "no_proxy") if found and name in os.environ}


def _chosen(url: str) -> dict[str, Any]:
    """The options of httpx that depend on where a server is."""
    elsewhere = _uses_proxies(url)
    return {"trust_env": elsewhere, "verify": _certificates(elsewhere)}


@cache
def _certificates(elsewhere: bool) -> ssl.SSLContext:
    """What httpx trusts by default; it would read it anew for each request, which takes longer than a short answer."""
    import httpx

    return httpx.create_ssl_context(trust_env=elsewhere)


def _uses_proxies(url: str) -> bool:
    """Whether the environment's proxies are used for `url`; if so, checks that each of them is usable.

    Raises:
        TemplateError: one is not.
    """
    import httpx

    if _is_here(httpx.URL(url).host):
        return False
    for kind, named in getproxies().items():
        if kind in ("http", "https", "all"):
            _proxy(named)
    return True


def _is_here(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def _proxy(named: str) -> httpx.Proxy:
    import httpx

    try:
        return httpx.Proxy(named if "://" in named else f"http://{named}")
    except (ValueError, httpx.InvalidURL) as error:
        scheme, _, host = named.rpartition("://")
        shown = f"{scheme}://{host.rpartition('@')[2]}"  # without its password
        remedy = "write http://HOST:PORT or socks5://HOST:PORT in the variable that names it"
        raise TemplateError(f"the proxy {shown} cannot be used: {remedy}") from error
