"""A local HTTPS file server that behaves like nginx or a bucket behind a CDN."""

import ssl
import subprocess
from email.utils import formatdate
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

from tests.services.http import Service
from tests.services.http_messages import Request, Response


class FileServer(Service):
    """The files of `folder` at `url`, with ETag, Last-Modified and ranges (RFC 9110).

    `authority`: a file for SSL_CERT_FILE, so that clients trust the server; made at the start by the `openssl` command.
    `redirects`: a path ("/old") to the URL or path it redirects to. `ranges=False`: always the whole file, 200.
    `length=False`: no Content-Length, chunked. `tls=False`: plain HTTP. All can be changed while it runs, but `tls`.
    """

    def __init__(self, folder: Path, *, ranges: bool = True, length: bool = True, tls: bool = True) -> None:
        super().__init__()
        self.folder = folder.resolve()
        self.ranges, self.length = ranges, length
        self.redirects: dict[str, str] = {}
        self._certificate = TemporaryDirectory(prefix="certificate-")
        self.authority = Path(self._certificate.name) / "certificate.pem"
        context = server_context(self.authority) if tls else None
        port = self.serve("files", self._file, context)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"

    def stop(self) -> None:
        super().stop()
        self._certificate.cleanup()

    def _file(self, request: Request) -> Response:
        path = unquote(urlsplit(request.path).path)
        file = (self.folder / path.lstrip("/")).resolve()
        if request.method not in ("GET", "HEAD"):
            return Response(405, {"Allow": "GET, HEAD"})
        if path in self.redirects:
            return Response(302, {"Location": self.redirects[path]})
        if not file.is_relative_to(self.folder) or not file.is_file():
            return Response(404, {"Content-Type": "text/plain"}, b"Not found")
        state = file.stat()
        headers = {
            "ETag": f'"{state.st_mtime_ns:x}-{state.st_size:x}"',
            "Last-Modified": formatdate(state.st_mtime, usegmt=True),
            "Content-Type": "application/octet-stream",
        }
        return Response(200, headers, file, ranges=self.ranges, chunked=not self.length)


def server_context(certificate: Path) -> ssl.SSLContext:
    """TLS for 127.0.0.1 and localhost; writes a self-signed certificate, valid for a day, to `certificate`."""
    key = certificate.with_name("key.pem")
    request = ["openssl", "req", "-x509", "-nodes", "-days", "1", "-subj", "/CN=localhost"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    subprocess.run([*request, *curve, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
