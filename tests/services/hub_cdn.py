"""The local Hub: its CDN for large files, another host with signed URLs that refuses credentials."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from tests.services.http import expired
from tests.services.http_messages import Response
from tests.services.hub_answers import query_of

if TYPE_CHECKING:
    from tests.services.http_messages import Request
    from tests.services.hub import Hub


class SignedUrls:
    """Signed URLs, each for a method, a file and a period: https://huggingface.co/docs/hub/storage-backends."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(16)

    def make(self, host: str, method: str, repo: str, sha256: str, path: str, seconds: int) -> str:
        name = path.rpartition("/")[2]
        query = {"response-content-disposition": f'inline; filename="{name}";', "Expires": int(time.time()) + seconds}
        target = f"/{repo}/{sha256}?{urlencode(query)}"
        return f"{host}{target}&Signature={self._signature(method, target)}&Key-Pair-Id=TEST"

    def holds(self, request: Request) -> bool:
        """Whether a request matches its signature and is in time."""
        target, _, signature = request.path.partition("&Signature=")
        method = "GET" if request.method == "HEAD" else request.method
        signed = hmac.compare_digest(self._signature(method, target), signature.partition("&")[0])
        return signed and int(query_of(request)["Expires"]) >= time.time()

    def _signature(self, method: str, target: str) -> str:
        return hmac.new(self._key, f"{method} {target}".encode(), hashlib.sha256).hexdigest()


def respond(hub: Hub, request: Request) -> Response:
    """GET, HEAD and PUT of a signed URL. Two ways to authenticate are an error, as with S3 and CloudFront."""
    if request.authorization is not None or "cookie" in request.headers:
        hub.leaks.append(request)
        return _refused(400, "InvalidArgument")
    if request.method not in ("GET", "HEAD", "PUT"):
        return Response(405, {"Allow": "GET, HEAD, PUT"})
    if not hub.urls.holds(request):
        return expired()
    name, _, sha256 = urlsplit(request.path).path[1:].rpartition("/")
    if request.method == "PUT":
        return _store(hub, request, name, sha256)
    blobs = (blob for tree in hub.repos[name].commits.values() for blob in tree.values())
    content = next(blob.content for blob in blobs if blob.sha256 == sha256)
    # The CDN has its own ETag: the Hub's is in X-Linked-Etag.
    headers = {
        "ETag": f'"{hashlib.md5(sha256.encode()).hexdigest()}"',
        "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
        "Content-Type": "application/octet-stream",
    }
    return Response(200, headers, content, ranges=True)


def _store(hub: Hub, request: Request, repo: str, sha256: str) -> Response:
    """Store a file like S3: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html."""
    if "content-length" not in request.headers:
        return _refused(411, "MissingContentLength")
    if hashlib.sha256(request.content).hexdigest() != sha256:
        return _refused(400, "BadDigest")
    hub.repos[repo].objects[sha256] = request.content
    return Response(200, {"ETag": f'"{hashlib.md5(request.content).hexdigest()}"'})


def _refused(status: int, code: str) -> Response:
    return Response(status, {"Content-Type": "application/xml"}, f"<Error><Code>{code}</Code></Error>".encode())
