"""The web server: a local socket and the application, which run until they are interrupted (extra ``serve``)."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from lifelong.serve.app import LOOPBACK, make_app
from lifelong.serve.session import Session
from lifelong.utilities.extras import imported


def open_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket.

    Args:
        host: address of this machine.
        port: port; 0 chooses a free one.

    Raises:
        ValueError: when the address does not belong to this machine, or the port is in use.
    """
    if not 0 <= port <= 65535:
        raise ValueError(f"there is no port {port}: give one from 1 to 65535, or 0 for a free one")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ValueError(
            f"{host}:{port} cannot be listened at ({error.strerror}): give another --port, or leave it out"
        ) from error


def make_server(session: Session, host: str) -> Any:
    """Return a uvicorn server for a session.

    Raises:
        ValueError: when the extra is missing.
    """
    uvicorn = imported("uvicorn", "serve", "serve")
    config = uvicorn.Config(
        make_app(session, host), log_level="warning", access_log=False, lifespan="off", server_header=False
    )
    return uvicorn.Server(config)


def serve(session: Session, host: str, port: int) -> None:
    """Serve a session until it is interrupted, and print its address.

    Args:
        session: the session of the page.
        host: address of this machine.
        port: port; 0 chooses a free one.

    Raises:
        ValueError: when the extra is missing, or the address is not available.
    """
    server = make_server(session, host)
    with open_socket(host, port) as listening:
        name = f"[{host}]" if ":" in host else host
        print(f"open http://{name}:{listening.getsockname()[1]} in a browser; Ctrl-C ends it", flush=True)
        if host not in LOOPBACK:
            print("everyone who reaches this address sees and changes the same classes and examples", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listening])
