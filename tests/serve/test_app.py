"""The application answers this page alone, loads nothing from elsewhere, and turns mistakes into sentences."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra serve is not installed")

from lifelong.run.model import Model
from lifelong.serve import uploads
from lifelong.serve.app import PAGE, make_app
from lifelong.serve.session import Session
from tests.serve.asgi import request
from tests.serve.photos import photo

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def app(models: Callable[[str], Model]) -> Any:
    return make_app(Session(models("images")))


def test_classes_are_taught_and_asked(app: Any) -> None:
    for place, name in enumerate(("melon", "brick")):
        state = request(app, "POST", "/classes", name.encode()).json
        number = state["classes"][place]["id"]
        for shot in range(2):
            state = request(app, "POST", f"/classes/{number}/examples", photo(name, 20 + shot)).json
        assert len(state["classes"][place]["examples"]) == 2
    answer = request(app, "POST", "/ask", photo("melon", 20)).json
    assert answer["label"] == "melon"
    picture = request(app, "GET", f"/examples/{answer['nearest'][0]['id']}")
    assert (picture.status, picture.headers["content-type"]) == (200, "image/jpeg")
    assert request(app, "GET", "/model").body.startswith(b"PK")
    state = request(app, "POST", f"/classes/{number}/name", b"stone").json
    assert state["classes"][1]["name"] == "stone"
    state = request(app, "DELETE", f"/examples/{state['classes'][0]['examples'][0]['id']}").json
    assert len(state["classes"][0]["examples"]) == 1
    assert len(request(app, "DELETE", f"/classes/{number}").json["classes"]) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("POST", "/classes", b"", "needs a name"),
        ("POST", "/classes/999/examples", photo("melon", 1), "class is gone"),
        ("POST", "/ask", b"no photo", "no photo that can be read"),
        ("GET", "/model", b"", "make two classes at least"),
    ],
)
def test_mistakes_are_one_sentence(app: Any, method: str, path: str, body: bytes, message: str) -> None:
    reply = request(app, method, path, body)
    assert reply.status == 422
    assert message in reply.json["error"]


def test_names_and_paths_reach_no_files(app: Any) -> None:
    state = request(app, "POST", "/classes", b"../../etc/passwd").json
    assert state["classes"][0]["name"] == "../../etc/passwd"  # a name like any other, which is no path
    for path in ("/../app.py", "/page.css/../../app.py", "/examples/../page.js", "/examples/x", "/etc/passwd"):
        assert request(app, "GET", path).status == 404


def test_large_uploads_are_not_read_to_their_end(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_BYTES", 1000)
    for headers in ({}, {"content_length": "3"}):  # the second one lies
        reply = request(app, "POST", "/ask", b"a" * 1001, **headers)
        assert (reply.status, "make it smaller" in reply.json["error"]) == (422, True)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:8000"},
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9000"},
        {"origin": "null"},
    ],
)
def test_other_pages_are_refused(app: Any, headers: dict[str, str]) -> None:
    reply = request(app, "POST", "/classes", b"melon", **headers)
    assert reply.status == 403
    assert request(app, "GET", "/state").json["classes"] == []


def test_the_own_page_is_answered_under_every_name(models: Callable[[str], Model], app: Any) -> None:
    for host in ("127.0.0.1:8000", "localhost:8000", "[::1]:8000"):
        assert request(app, "POST", "/classes", host.encode(), host=host, origin=f"http://{host}").status == 200
    shared = make_app(Session(models("images")), host="0.0.0.0")
    for host in (f"{socket.gethostname()}:8000", "192.168.1.5:8000", "[::1]:8000"):
        assert request(shared, "GET", "/state", host=host.lower()).status == 200
    for host in ("evil.example:8000", "[", ""):  # a name that somebody points at this machine, and none at all
        assert request(shared, "GET", "/state", host=host).status == 403
    assert request(shared, "GET", "/state", host="192.168.1.5", origin="http://[").status == 403


def test_the_page_loads_nothing_from_elsewhere(app: Any) -> None:
    for path, name in (("/", "index.html"), ("/page.css", "page.css"), ("/page.js", "page.js")):
        reply = request(app, "GET", path)
        assert reply.body == (PAGE / name).read_bytes()
        assert not re.search(rb"https?://|//[a-z]+\.|@import|innerHTML|eval\(", reply.body)
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert "unsafe" not in reply.headers["content-security-policy"]
        assert reply.headers["x-content-type-options"] == "nosniff"


def test_a_missing_extra_is_named(models: Callable[[str], Model], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "starlette", None)
    with pytest.raises(ValueError, match=r"\[serve\]"):
        make_app(Session(models("images")))
