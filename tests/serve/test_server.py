"""The server listens on this machine alone unless it is told, and a browser shows what the session says."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra serve is not installed")
pytest.importorskip("uvicorn", reason="the extra serve is not installed")

from lifelong.cli.serve import Serve
from lifelong.run.model import Model
from lifelong.serve.server import make_server, open_socket
from lifelong.serve.session import Session
from tests.serve.photos import photo

pytestmark = pytest.mark.filterwarnings("ignore")


def test_it_listens_on_this_machine_alone_at_a_free_port() -> None:
    assert (Serve("runs/a").host, Serve("runs/a").port) == ("127.0.0.1", 0)
    with open_socket("127.0.0.1", 0) as listening:
        host, port = listening.getsockname()
        assert host == "127.0.0.1"
        assert port > 0
        with pytest.raises(ValueError, match="give another --port"):
            open_socket("127.0.0.1", port)
    with pytest.raises(ValueError, match="there is no port 70000"):
        open_socket("127.0.0.1", 70000)


@pytest.fixture
def address(models: Callable[[str], Model]) -> Iterator[str]:
    """The address of a page that is served in a thread."""
    server, listening = make_server(Session(models("images")), "127.0.0.1"), open_socket("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listening.close()


def test_the_page_is_served_over_a_socket(address: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        reply = b"".join(iter(lambda: connection.recv(4096), b""))
    assert reply.startswith(b"HTTP/1.1 200")
    assert b"<title>Lifelong</title>" in reply


@pytest.fixture
def page(address: str) -> Iterator[Any]:
    """The page in a browser that cannot reach anything else."""
    library = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if browser_path is None:
        pytest.skip("there is no chromium")
    with library.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        opened = browser.new_page()
        opened.problems = []
        opened.on("pageerror", lambda error: opened.problems.append(str(error)))
        opened.on(
            "request", lambda sent: sent.url.startswith((address, "blob:", "data:")) or opened.problems.append(sent.url)
        )
        opened.goto(address)
        yield opened
        browser.close()


def test_a_person_teaches_and_asks_in_a_browser(page: Any, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    def file(kind: str, number: int) -> str:
        path = tmp_path / f"{kind}{number}.png"
        path.write_bytes(photo(kind, number))
        return str(path)

    expect(page.locator("#missing")).to_contain_text("make two classes at least")
    for n, name in enumerate(("<b>melon</b>", "brick"), 1):
        page.fill("#new-name", name)
        page.click("#new-class button")
        expect(page.locator(".class")).to_have_count(n)
        kind = "brick" if name == "brick" else "melon"
        page.locator(".class input[type=file]").last.set_input_files([file(kind, 20), file(kind, 21)])
        expect(page.locator(".examples img")).to_have_count(2 * n)
    page.locator("#ask-photo input").set_input_files(file("melon", 20))
    expect(page.locator("#label")).to_have_text("<b>melon</b>")  # a name is never taken for HTML
    expect(page.locator("#bars li")).to_have_count(2)
    expect(page.locator("#nearest img")).to_have_count(4)
    (tmp_path / "notes.txt").write_text("no photo")
    page.locator(".class input[type=file]").last.set_input_files(str(tmp_path / "notes.txt"))
    expect(page.locator("#error")).to_contain_text("This is no photo that can be read")
    page.locator(".class .class-head .remove").last.click()  # the answer goes with what it was made of
    expect(page.locator(".class")).to_have_count(1)
    expect(page.locator("#answer")).to_be_hidden()
    page.set_viewport_size({"width": 360, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.problems == []
