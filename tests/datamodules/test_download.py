"""Downloads from a server on localhost that breaks off, lies or sends elsewhere."""

from __future__ import annotations

import hashlib
import ssl
import threading
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from datamodules import _download
from datamodules._download import Download, fetch
from lifelong.utilities.quiet import quietly
from tests.datamodules.https_server import Server

DATA = bytes(range(256)) * 1000
SHA256 = f"sha256:{hashlib.sha256(DATA).hexdigest()}"


@pytest.fixture(autouse=True)
def _has_a_file(server: Server) -> None:
    server.files["a.gz"] = DATA


def asked_for(server: Server, *paths: str, digest: str = SHA256, limit: int = 1 << 20) -> Download:
    return Download(tuple(server.url + path for path in paths or ("a.gz",)), digest, limit)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_over_tls_and_is_checked(server: Server, tmp_path: Path) -> None:
    fetch(asked_for(server), tmp_path / "in/a.gz")
    assert (tmp_path / "in/a.gz").read_bytes() == DATA
    assert left(tmp_path / "in") == ["a.gz"]
    assert server.asked == [("a.gz", None)]
    md5 = f"md5:{hashlib.md5(DATA, usedforsecurity=False).hexdigest()}"
    fetch(asked_for(server, digest=md5), tmp_path / "in/b.gz")
    assert (tmp_path / "in/b.gz").read_bytes() == DATA


@pytest.mark.parametrize("quiet", [False, True])
def test_only_a_quiet_run_shows_no_bar(
    quiet: bool, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rich._console", Console(force_terminal=True))
    with quietly(quiet):
        fetch(asked_for(server), tmp_path / "a.gz")
    assert ("downloading a.gz" in capsys.readouterr().out) is not quiet


def test_a_broken_download_goes_on_where_it_broke_off(server: Server, tmp_path: Path) -> None:
    server.breaks_after = 100_000
    fetch(asked_for(server), tmp_path / "a.gz")
    assert (tmp_path / "a.gz").read_bytes() == DATA
    assert [given for _, given in server.asked] == [None, "bytes=100000-", "bytes=200000-"]


def test_the_next_call_goes_on_with_what_the_last_has(server: Server, tmp_path: Path, monkeypatch: Any) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        server.breaks_after = 100_000
        patch.setattr(_download, "_size", lambda part: 0 if not part.exists() else stop())
        with pytest.raises(KeyboardInterrupt):
            fetch(asked_for(server), tmp_path / "a.gz")
    assert ".a.gz.part" in left(tmp_path)
    server.breaks_after, server.asked = None, []
    fetch(asked_for(server), tmp_path / "a.gz")
    assert (tmp_path / "a.gz").read_bytes() == DATA
    assert server.asked == [("a.gz", "bytes=100000-")]
    assert left(tmp_path) == ["a.gz"]


def test_a_server_without_range_sends_it_from_the_start(server: Server, tmp_path: Path) -> None:
    (tmp_path / ".a.gz.part").write_bytes(DATA[:5000])
    server.knows_range = False
    fetch(asked_for(server), tmp_path / "a.gz")
    assert (tmp_path / "a.gz").read_bytes() == DATA


def test_another_part_than_asked_for_is_not_taken(server: Server, tmp_path: Path) -> None:
    (tmp_path / ".a.gz.part").write_bytes(DATA[:5000])
    server.shift = 1
    with pytest.raises(ValueError, match=r"sends another part than was asked for \(bytes 5001-255999/256000\)"):
        fetch(asked_for(server), tmp_path / "a.gz")
    assert (tmp_path / ".a.gz.part").read_bytes() == DATA[:5000]


def test_a_server_that_always_breaks_off_is_given_up(server: Server, tmp_path: Path) -> None:
    server.knows_range, server.breaks_after = False, 7
    with pytest.raises(ValueError, match=r"^a\.gz was looked for .* ended after 7 of 256000 bytes.*LIFELONG_DATA"):
        fetch(asked_for(server), tmp_path / "a.gz")
    assert len(server.asked) == 2
    assert not (tmp_path / "a.gz").exists()


@pytest.mark.parametrize("begun", [b"of another file", DATA + b"and more", DATA])
def test_what_was_begun_wrongly_is_begun_anew(server: Server, tmp_path: Path, begun: bytes) -> None:
    (tmp_path / ".a.gz.part").write_bytes(begun)
    fetch(asked_for(server), tmp_path / "a.gz")
    assert (tmp_path / "a.gz").read_bytes() == DATA


def test_another_file_than_expected_is_not_kept(server: Server, tmp_path: Path) -> None:
    server.files["a.gz"] = DATA[::-1]
    with pytest.raises(ValueError, match=f"what came has sha256:.*, but {SHA256} was expected"):
        fetch(asked_for(server), tmp_path / "a.gz")
    assert left(tmp_path) in ([], [".a.gz.lock"])


def test_more_than_a_file_can_have_is_not_taken(server: Server, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"sends more than the 70000 bytes that the file has at most"):
        fetch(asked_for(server, limit=70_000), tmp_path / "a.gz")
    assert not (tmp_path / "a.gz").exists()
    assert (tmp_path / ".a.gz.part").stat().st_size == 0


def test_the_next_mirror_goes_on_with_what_one_began(server: Server, tmp_path: Path) -> None:
    server.files["wrong"] = DATA[::-1]
    fetch(asked_for(server, "absent", "wrong", "a.gz"), tmp_path / "a.gz")
    assert (tmp_path / "a.gz").read_bytes() == DATA
    with pytest.raises(ValueError, match=r"HTTP Error 404.*; https://localhost:\d+/wrong: what came has"):
        fetch(asked_for(server, "absent", "wrong"), tmp_path / "b.gz")


@pytest.mark.parametrize("url", ["http://localhost:1/a.gz", "ftp://localhost/a.gz", "file:///etc/hostname"])
def test_other_addresses_than_https_are_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"{url} is not over TLS"):
        fetch(Download((url,), SHA256, 1 << 20), tmp_path / "a.gz")


def test_a_redirect_away_from_tls_is_refused(server: Server, tmp_path: Path) -> None:
    server.redirects = {"moved": server.url + "a.gz", "down": "http://localhost:1/a.gz"}
    fetch(asked_for(server, "moved"), tmp_path / "a.gz")
    assert (tmp_path / "a.gz").read_bytes() == DATA
    with pytest.raises(ValueError, match=r"http://localhost:1/a\.gz is not over TLS"):
        fetch(asked_for(server, "down"), tmp_path / "b.gz")


def test_a_server_that_no_one_vouches_for_is_refused(server: Server, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setattr(ssl, "_create_default_https_context", ssl._create_unverified_context)
    with pytest.raises(ValueError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch(asked_for(server), tmp_path / "a.gz")


def test_two_processes_download_a_file_once(server: Server, tmp_path: Path) -> None:
    threads = [threading.Thread(target=fetch, args=(asked_for(server), tmp_path / "a.gz")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "a.gz").read_bytes() == DATA
    assert len(server.asked) == 1
    assert not (tmp_path / ".a.gz.part").exists()


def test_a_folder_that_cannot_be_written_is_named(server: Server, tmp_path: Path) -> None:
    (tmp_path / "in").write_text("a file")
    with pytest.raises(ValueError, match=r"^a\.gz was looked for in .*in and could not be downloaded .*LIFELONG_DATA"):
        fetch(asked_for(server), tmp_path / "in/a.gz")
