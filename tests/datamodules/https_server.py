"""A server on localhost over TLS, which breaks off, ignores or redirects as a test asks it to."""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

CERTIFICATE = Path(__file__).parent / "localhost.pem"


@dataclass
class Server:
    """What the server has, how it behaves, and what it was asked for.

    Args:
        url: of its root.
        files: by path.
        breaks_after: bytes after which each answer breaks off; None sends all.
        knows_range: whether it sends parts.
        shift: bytes by which the parts that it sends begin too late.
        redirects: addresses by path.
        asked: path and ``Range`` of each request.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    breaks_after: int | None = None
    knows_range: bool = True
    shift: int = 0
    redirects: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str | None]] = field(default_factory=list)


@contextmanager
def serving(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serve, with a certificate that this process trusts."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self, server)

        def log_message(self, *args: object) -> None:
            """Stay silent."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    http.socket = context.wrap_socket(http.socket, server_side=True)
    http.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that does not trust it hangs up
    server.url = f"https://localhost:{http.server_address[1]}/"
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    monkeypatch.setenv("no_proxy", "localhost")
    thread = threading.Thread(target=lambda: http.serve_forever(0.01))
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def answer(request: BaseHTTPRequestHandler, server: Server) -> None:
    path, asked = request.path.removeprefix("/"), request.headers.get("Range")
    server.asked.append((path, asked))
    if path in server.redirects:
        request.send_response(302)
        request.send_header("Location", server.redirects[path])
    elif path not in server.files:
        request.send_response(404)
    else:
        send(request, server, server.files[path], asked)
        return
    request.send_header("Content-Length", "0")
    request.end_headers()


def send(request: BaseHTTPRequestHandler, server: Server, data: bytes, asked: str | None) -> None:
    start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.knows_range else 0
    start += server.shift if start else 0
    if start and start >= len(data):
        request.send_response(416)
    elif asked and server.knows_range:
        request.send_response(206)
        request.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
    else:
        request.send_response(200)
    rest = data[start:]
    request.send_header("Content-Length", str(len(rest)))
    request.end_headers()
    request.wfile.write(rest if server.breaks_after is None else rest[: server.breaks_after])


def digest_of(data: bytes) -> str:
    """The hash of a file, as a download gives it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
