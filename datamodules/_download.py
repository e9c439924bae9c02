"""Downloads over TLS only, resumed after interruptions, and kept only if their hash is correct.

Alternatives were rejected: pooch checks hashes, but restarts an interrupted download and follows redirects to http;
torchvision does the same and is another dependency; huggingface_hub resumes, but only from its own hub; fsspec needs
aiohttp and checks nothing. This module uses urllib of the standard library with ``Range`` requests and a hash.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import ssl
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from filelock import FileLock
from rich.progress import Progress

from lifelong.utilities.locks import waiting_for
from lifelong.utilities.quiet import is_quiet

ATTEMPTS = 20
"""Maximum number of resumptions of a download, as long as each one receives new bytes."""
SECONDS = 60
"""Time-out of a connection without new bytes."""


@dataclass(frozen=True)
class Download:
    """Describe a file to download, with its hash and maximum size.

    Args:
        urls: addresses, tried in order; they start with ``https://``.
        digest: hash of the file, ``sha256:`` or ``md5:`` and hexadecimal digits. MD5 is used if the authors published
            no other hash: no second preimage for a given MD5 is known, although collisions are.
        limit: maximum size in bytes.
    """

    urls: tuple[str, ...]
    digest: str
    limit: int


def fetch(file: Download, target: Path) -> None:
    """Download a file; ``target`` appears only when it is complete and has the correct hash.

    After a broken connection or an interruption of the process, the received part is kept next to the target, and the
    next call resumes from it. If another process is downloading the same file, this one waits.

    Args:
        file: the file to download.
        target: path of the downloaded file.

    Raises:
        ValueError: when the download fails; the message names the file and suggests a solution.
    """
    lock, part = (target.with_name(f".{target.name}.{end}") for end in ("lock", "part"))
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with waiting_for(FileLock(lock)):
            if not target.is_file():  # another process may have created it meanwhile
                _from_any(file, part)
                os.replace(part, target)
    except (OSError, HTTPException) as error:  # URLError, time-outs and an unwritable folder are OSErrors
        raise ValueError(
            f"{target.name} was looked for in {target.parent} and could not be downloaded from {file.urls[0]} "
            f"({error}): put the file there, or name the folder that has it with LIFELONG_DATA or the source's root"
        ) from error
    with contextlib.suppress(OSError):  # another process may have it open
        lock.unlink(missing_ok=True)


def _from_any(file: Download, part: Path) -> None:
    """Download from the first address that has the correct file, resuming what an earlier address has sent."""
    problems: list[str] = []
    for url in file.urls:
        try:
            return _from_one(url, file, part)
        except (OSError, HTTPException) as error:
            problems.append(str(error) or type(error).__name__)
            if url != file.urls[0]:
                problems[-1] = f"{url}: {problems[-1]}"
    raise OSError("; ".join(problems))


def _from_one(url: str, file: Download, part: Path) -> None:
    check_tls(url)
    went_on = _size(part) > 0
    _receive_all(url, file.limit, part)
    if (digest := _digest(part, file.digest)) == file.digest:
        return
    part.unlink()
    if went_on:  # the existing part may be of another file
        return _from_one(url, file, part)
    raise OSError(f"what came has {digest}, but {file.digest} was expected")


def check_tls(url: str) -> None:
    """Refuse an address without TLS.

    Raises:
        URLError: with the address.
    """
    if not url.lower().startswith("https://"):
        raise URLError(f"{url} is not over TLS: only addresses with https:// are downloaded from")


def _receive_all(url: str, limit: int, part: Path) -> None:
    """Receive a file, resuming as long as each attempt receives new bytes."""
    for attempt in range(1, ATTEMPTS + 1):
        begun = _size(part)
        try:
            return _receive(url, limit, part)
        except (OSError, HTTPException):
            if _size(part) <= begun or attempt == ATTEMPTS:
                raise


def _receive(url: str, limit: int, part: Path) -> None:
    """Receive the missing part of a file, or all of it from a server without support for ``Range``."""
    begun = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={begun}-"} if begun else {})
    try:
        with _opener().open(request, timeout=SECONDS) as response:
            if response.status != 206:
                begun = 0
            elif not response.headers.get("Content-Range", "").startswith(f"bytes {begun}-"):
                raise OSError(f"it sends another part than was asked for ({response.headers.get('Content-Range')})")
            _copy(response, part, begun, limit)
    except HTTPError as error:
        if error.code != 416 or not begun:
            raise
        part.unlink()  # no bytes follow, so the part is complete or of another file
        _receive(url, limit, part)


def _copy(response: Any, part: Path, begun: int, limit: int) -> None:
    size, length = begun, response.headers.get("Content-Length")
    total = None if length is None else begun + int(length)
    name = part.name.removeprefix(".").removesuffix(".part")
    with part.open("ab" if begun else "wb") as file, Progress(transient=True, disable=is_quiet()) as progress:
        bar = progress.add_task(f"downloading {name}", total=total, completed=begun)
        while block := response.read(1 << 16):
            if (size := size + len(block)) > limit:
                file.truncate(0)
                raise OSError(f"it sends more than the {limit} bytes that the file has at most")
            file.write(block)
            progress.update(bar, completed=size)
    if total is not None and size < total:
        raise OSError(f"the connection ended after {size} of {total} bytes")


class _TLSRedirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects to addresses with TLS only."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        check_tls(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    # A separate context, because some scripts disable verification in the default one for the whole process.
    checked = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    return urllib.request.build_opener(checked, _TLSRedirects)


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _digest(path: Path, like: str) -> str:
    """Return the hash of a file, by the algorithm of another."""
    name = like.partition(":")[0]
    digest = hashlib.new(name, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return f"{name}:{digest.hexdigest()}"
