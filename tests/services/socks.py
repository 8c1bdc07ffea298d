"""A local SOCKS5 proxy that knows a few made-up hosts. https://www.rfc-editor.org/rfc/rfc1928"""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from socketserver import StreamRequestHandler, ThreadingTCPServer

_BY_NAME = 3
_HOST_UNREACHABLE = 4


@contextmanager
def socks_proxy(hosts: Mapping[str, int]) -> Iterator[tuple[str, list[str]]]:
    """The proxy's HOST:PORT, and the requested hosts; `hosts`: the local port that each name stands for."""
    asked: list[str] = []

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            _, methods = self.rfile.read(2)
            self.rfile.read(methods)
            self.wfile.write(b"\x05\x00")  # no password
            *_, kind = self.rfile.read(4)
            host = self.rfile.read(self.rfile.read(1)[0]).decode() if kind == _BY_NAME else ""
            self.rfile.read(2)
            asked.append(host)
            reply = 0 if host in hosts else _HOST_UNREACHABLE
            self.wfile.write(bytes([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]))
            if host in hosts:
                with socket.create_connection(("127.0.0.1", hosts[host])) as there:
                    back = threading.Thread(target=_pass_on, args=(there, self.connection))
                    back.start()
                    _pass_on(self.connection, there)
                    back.join()

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    while piece := source.recv(1 << 16):
        target.sendall(piece)
    target.shutdown(socket.SHUT_WR)
