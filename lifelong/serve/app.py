"""The web application: a thin HTTP layer over a session, for a browser on this machine (extra ``serve``)."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lifelong.serve.session import Session
from lifelong.serve.uploads import check_size
from lifelong.utilities.extras import imported

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

PAGE = Path(__file__).parent / "page"
FILES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
}
LOOPBACK = ("127.0.0.1", "localhost", "::1")
HEADERS = {
    # The page may not load anything from other sites, be embedded in another page, or send anything elsewhere.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def make_app(session: Session, host: str = "127.0.0.1") -> Starlette:
    """Create the web application.

    Args:
        session: the session of the page.
        host: host name of the page. If it is one of this machine, requests with any other host name are refused.

    Raises:
        ValueError: when the extra is missing.
    """
    imported("starlette", "serve", "serve")
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.middleware import Middleware
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    def answering(act: Callable[[Request, bytes], Any]) -> Callable[[Request], Any]:
        """Return an endpoint that responds with a function's result, or with the user's mistake in one sentence."""

        async def endpoint(request: Request) -> Response:
            try:
                made = await run_in_threadpool(act, request, await _body(request))
            except ValueError as error:
                return JSONResponse({"error": " ".join(str(error).split())}, status_code=422)
            return made if isinstance(made, Response) else JSONResponse(made)

        return endpoint

    routes = [Route(path, answering(act), methods=[method]) for (method, path), act in _acts(session).items()]
    return Starlette(routes=routes, middleware=[Middleware(Guard, host=host)])


def _acts(session: Session) -> Mapping[tuple[str, str], Callable[[Request, bytes], Any]]:
    """Return the function for each method and path; functions that change the session respond with its new state."""
    from starlette.responses import Response

    def number(request: Request) -> int:
        return int(request.path_params["number"])

    def then_state(act: Callable[[Request, bytes], object]) -> Callable[[Request, bytes], Any]:
        def acted(request: Request, body: bytes) -> Any:
            act(request, body)
            return session.state()

        return acted

    def page(request: Request, body: bytes) -> Response:
        name, kind = FILES[request.url.path]
        return Response((PAGE / name).read_bytes(), media_type=kind)

    changes: Mapping[tuple[str, str], Callable[[Request, bytes], object]] = {
        ("POST", "/classes"): lambda request, body: session.add_class(_name(body)),
        ("POST", "/classes/{number:int}/name"): lambda r, body: session.rename_class(number(r), _name(body)),
        ("DELETE", "/classes/{number:int}"): lambda request, _: session.remove_class(number(request)),
        ("POST", "/classes/{number:int}/examples"): lambda r, body: session.add_example(number(r), body),
        ("DELETE", "/examples/{number:int}"): lambda request, _: session.remove_example(number(request)),
    }
    reads: Mapping[tuple[str, str], Callable[[Request, bytes], Any]] = {
        **{("GET", path): page for path in FILES},
        ("GET", "/state"): lambda *_: session.state(),
        ("GET", "/examples/{number:int}"): lambda r, _: Response(session.picture(number(r)), media_type="image/jpeg"),
        ("GET", "/model"): lambda *_: Response(session.model_file(), media_type="application/octet-stream"),
        ("POST", "/ask"): lambda _, body: session.ask(body),
    }
    return {**reads, **{key: then_state(act) for key, act in changes.items()}}


async def _body(request: Request) -> bytes:
    """Return the body of a request, and stop reading if it is too large."""
    length = request.headers.get("content-length", "0")
    if not length.isdecimal():
        raise ValueError("the size that was announced is no number: send it again")
    check_size(int(length[:20]))
    parts: list[bytes] = []
    async for chunk in request.stream():
        parts.append(chunk)
        check_size(sum(len(part) for part in parts))
    return b"".join(parts)


def _name(body: bytes) -> str:
    return body.decode("utf-8", "replace")


class Guard:
    """Accept requests of this page only, so that other pages in the same browser can neither read nor change anything.

    Args:
        app: the application to protect.
        host: host name of the page.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self.app = app
        machine = socket.gethostname().lower()
        self.names = {*LOOPBACK, host, machine, f"{machine}.local"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request with another host name or from another page, or else pass it on."""
        from starlette.responses import JSONResponse

        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host, origin = headers.get("host", ""), headers.get("origin")

        async def send_safely(message: Any) -> None:
            if message["type"] == "http.response.start":
                added = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", []), *added]
            await send(message)

        if self._is_own(host, origin):
            await self.app(scope, receive, send_safely)
        else:
            refused = JSONResponse({"error": "this request comes from another page, and is refused"}, status_code=403)
            await refused(scope, receive, send_safely)

    def _is_own(self, host: str, origin: str | None) -> bool:
        """Return False for a foreign host name (DNS rebinding) and for a request from another page."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
            is_own_page = origin is None or urlsplit(origin).netloc == host
        except ValueError:  # not a host name
            return False
        return (name in self.names or _is_address(name)) and is_own_page


def _is_address(name: str) -> bool:
    """Return whether a name is an IP address, which cannot be redirected by DNS."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
