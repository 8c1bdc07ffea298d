"""A local server that gives every request the same response, to test how clients handle it."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@contextmanager
def answering(
    status: int, body: bytes, kind: str = "text/plain", promised: int = 0, paths: Mapping[str, bytes] | None = None
) -> Iterator[str]:
    """The server's address. `kind`: the content type; `promised`: bytes that it announces in addition to the body;
    `paths`: the paths that get a good response, in JSON.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            known = (paths or {}).get(self.path)
            self.send_response(status if known is None else 200)
            self.send_header("Content-Type", kind if known is None else "application/json")
            self.send_header("Content-Length", str(len(body) + promised if known is None else len(known)))
            self.end_headers()
            self.wfile.write(body if known is None else known)

        do_POST = do_PUT = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
