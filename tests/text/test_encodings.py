"""Embeddings of a frozen language model: what they are, that they are kept, and what is refused."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lifelong.text import FrozenEncoder, TextDomain, TextSource, Tokens, frozen_encoder
from lifelong.text.frozen_encoder import WHO
from tests.text.tiny import TEXTS, needs_extra, save_model, save_tokenizer, transformers_own


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def model(tmp_path: Path) -> str:
    return save_model(tmp_path / "model")


@needs_extra
@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "gpt2", "deberta-v2"])
def test_embeddings_are_the_means_of_transformers(kind: str, tmp_path: Path) -> None:
    sizes = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32} if kind == "distilbert" else {}
    model = save_model(tmp_path / kind, kind, **sizes)
    found = FrozenEncoder(model=model, normalise=False, batch_size=4).encode(TEXTS)
    expected = torch.stack([transformers_own(model, text) for text in TEXTS])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert found.std(0).min() > 0.05


@needs_extra
def test_pooling_and_length_are_settings(model: str) -> None:
    first = FrozenEncoder(model=model, pooling="first", normalise=False).encode(TEXTS)
    expected = torch.stack([transformers_own(model, text, "first") for text in TEXTS])
    torch.testing.assert_close(first, expected, atol=1e-5, rtol=1e-5)
    mean = FrozenEncoder(model=model, normalise=False).encode(TEXTS)
    torch.testing.assert_close(FrozenEncoder(model=model).encode(TEXTS), F.normalize(mean, dim=-1))
    cut = FrozenEncoder(model=model, max_length=5, normalise=False).encode(["a great film and plot"])
    torch.testing.assert_close(cut[0], transformers_own(model, "a great film"), atol=1e-5, rtol=1e-5)


@needs_extra
def test_neighbours_batches_and_repeats_change_nothing(model: str, tmp_path: Path, monkeypatch: Any) -> None:
    together = FrozenEncoder(model=model, batch_size=6).encode([*TEXTS, TEXTS[0]])
    assert torch.equal(together[0], together[-1])
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "another"))
    one_by_one = FrozenEncoder(model=model, batch_size=1).encode(TEXTS)
    torch.testing.assert_close(together[:-1], one_by_one, atol=1e-6, rtol=1e-5)


class Counting:
    """Counts the texts that are embedded, and fails where asked to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fail_at: int | None = None) -> None:
        self.n_texts, self.n_loads, self.fail_at = 0, 0, fail_at
        self.embed, self.load = frozen_encoder.embed_as_given, frozen_encoder.load_body
        monkeypatch.setattr(frozen_encoder, "embed_as_given", self._embed)
        monkeypatch.setattr(frozen_encoder, "load_body", self._load)

    def _embed(self, body: Any, x: torch.Tensor, *how: Any) -> torch.Tensor:
        if self.fail_at is not None and self.n_texts >= self.fail_at:
            raise KeyboardInterrupt
        self.n_texts += len(x)
        return self.embed(body, x, *how)

    def _load(self, *how: Any, **more: Any) -> Any:
        self.n_loads += 1
        return self.load(*how, **more)


@needs_extra
def test_a_text_is_embedded_once(model: str, monkeypatch: Any) -> None:
    counting = Counting(monkeypatch)
    first = FrozenEncoder(model=model).encode(TEXTS)
    assert (counting.n_texts, counting.n_loads) == (6, 1)
    assert torch.equal(FrozenEncoder(model=model, batch_size=2).encode(TEXTS[::-1]), first.flip(0))
    assert (counting.n_texts, counting.n_loads) == (6, 1)
    FrozenEncoder(model=model).encode([*TEXTS, "the drill", "the drill"])
    assert (counting.n_texts, counting.n_loads) == (7, 2)


@needs_extra
def test_an_interruption_keeps_what_was_written(model: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(frozen_encoder, "KEPT_AT_ONCE", 2)
    interrupted = Counting(monkeypatch, fail_at=4)
    with pytest.raises(KeyboardInterrupt):
        FrozenEncoder(model=model, batch_size=1).encode(TEXTS)
    assert not torch.is_inference_mode_enabled()
    interrupted.fail_at = None
    found = FrozenEncoder(model=model, batch_size=1).encode(TEXTS)
    assert interrupted.n_texts == 6
    for text, row in zip(TEXTS, found, strict=True):
        expected = F.normalize(transformers_own(model, text), dim=0)
        torch.testing.assert_close(row, expected, atol=1e-5, rtol=1e-5)


@needs_extra
def test_each_model_and_setting_has_its_own_embeddings(model: str, tmp_path: Path, monkeypatch: Any) -> None:
    counting = Counting(monkeypatch)

    def is_computed(**settings: Any) -> bool:
        before = counting.n_texts
        FrozenEncoder(**({"model": model} | settings)).encode(["a great film"])
        return counting.n_texts > before

    assert is_computed()
    assert not is_computed(batch_size=1, device="cpu")  # what cannot change a value is no part of the key
    for settings in ({"max_length": 5}, {"pooling": "first"}, {"normalise": False}):
        assert is_computed(**settings)
    assert is_computed(model=save_model(tmp_path / "other", seed=1))
    assert not is_computed(model=save_model(tmp_path / "copy"))
    save_tokenizer(tmp_path / "copy", model_max_length=7)
    assert is_computed(model=str(tmp_path / "copy"))
    assert len(list((tmp_path / "cache").glob("embeddings-*.sqlite"))) == 6


@needs_extra
def test_loading_is_quiet_and_only_many_texts_show_progress(model: str, monkeypatch: Any, capfd: Any) -> None:
    shown: list[bool] = []

    class Watched(frozen_encoder.Progress):  # type: ignore[misc]
        def __init__(self, *columns: Any, disable: bool, **settings: Any) -> None:
            shown.append(not disable)
            super().__init__(*columns, disable=True, **settings)

    monkeypatch.setattr(frozen_encoder, "Progress", Watched)
    monkeypatch.setattr(frozen_encoder, "SHOW_PROGRESS_FROM", 4)
    capfd.readouterr()
    FrozenEncoder(model=model).encode(TEXTS[:3])
    FrozenEncoder(model=model).encode(TEXTS)  # three more
    FrozenEncoder(model=model).encode([f"{text} {text}" for text in TEXTS])
    assert shown == [False, False, True]
    assert capfd.readouterr() == ("", "")


def refusal(encoding: FrozenEncoder | Tokens) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        encoding.encode(["a great film"])
    assert "\n" not in str(caught.value)
    return str(caught.value)


@needs_extra
def test_weights_that_were_not_asked_for_are_refused(model: str) -> None:
    digest = frozen_encoder.weights_digest(Path(model))
    assert FrozenEncoder(model=model, sha256=digest.upper()).encode(["a film"]).shape == (1, 16)
    told = refusal(FrozenEncoder(model=model, sha256="0" * 64))
    assert f"have SHA-256 {digest}, but {'0' * 64} was asked for" in told


@pytest.mark.parametrize("encoding", [FrozenEncoder, Tokens])
def test_without_the_extra_a_sentence_names_it(encoding: Any, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "transformers", None)
    told = refusal(encoding(model=str(tmp_path)))
    assert f"lifelong.text.{encoding.__name__} needs the package transformers" in told
    assert told.endswith("pip install -c constraints.txt -e '.[text]'")


def test_a_package_without_a_model_is_named(tmp_path: Path, monkeypatch: Any) -> None:
    told = refusal(FrozenEncoder(model="package:no_such_package"))
    assert f"{WHO} has the model package:no_such_package, but the package no_such_package is not installed" in told
    assert "the package json has no folder named model" in refusal(FrozenEncoder(model="package:json"))
    (tmp_path / "unasked").mkdir()
    (tmp_path / "unasked/__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert "the package unasked.inner is not installed" in refusal(FrozenEncoder(model="package:unasked.inner"))


@needs_extra
def test_a_model_that_is_not_there_or_cannot_be_loaded_is_named(model: str, tmp_path: Path, monkeypatch: Any) -> None:
    import huggingface_hub

    def absent(name: str, **_: Any) -> str:
        raise OSError(f"offline, and {name} is not here\nmore")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", absent)
    told = refusal(FrozenEncoder(model="someone/nothing"))
    assert "found no model 'someone/nothing' (offline, and someone/nothing is not here): give model a folder" in told
    (tmp_path / "empty").mkdir()
    assert "has no weights (*.safetensors or pytorch_model*.bin)" in refusal(
        FrozenEncoder(model=str(tmp_path / "empty"))
    )
    assert "the tokenizer in" in refusal(Tokens(model=str(tmp_path / "empty")))
    config = Path(model, "config.json")
    config.write_text(json.dumps(json.loads(config.read_text()) | {"model_type": "nonsense"}))
    assert "could not be loaded (" in refusal(FrozenEncoder(model=model))
    Path(model, "config.json").unlink()
    assert "could not be loaded (" in refusal(FrozenEncoder(model=model))


@needs_extra
def test_damaged_or_missing_weights_are_named(model: str) -> None:
    from safetensors.torch import load_file, save_file

    file = Path(model, "model.safetensors")
    whole = load_file(file)
    without_pooler = {name: value for name, value in whole.items() if "pooler" not in name}
    save_file(without_pooler, file, {"format": "pt"})
    assert FrozenEncoder(model=model).encode(["a film"]).shape == (1, 16)
    lost = "encoder.layer.1.output.dense.weight"
    save_file({name: value for name, value in whole.items() if name != lost}, file, {"format": "pt"})
    assert f"lack {lost}, and 1 of the model's in all" in refusal(FrozenEncoder(model=model))
    file.write_bytes(b"damaged")
    assert "could not be loaded (" in refusal(FrozenEncoder(model=model))


@needs_extra
@pytest.mark.parametrize(("kind", "positions"), [("bert", 40), ("roberta", 39)])
def test_texts_beyond_the_positions_of_the_model_are_refused(kind: str, positions: int, tmp_path: Path) -> None:
    model = save_model(tmp_path / kind, kind)
    long = ["film " * 50]
    assert FrozenEncoder(model=model, max_length=positions).encode(long).shape == (1, 16)
    message = rf"texts have up to {positions + 1} tokens, but the model \({kind}\) takes {positions}: set max_length"
    with pytest.raises(ValueError, match=message):
        FrozenEncoder(model=model, max_length=positions + 1).encode(long)


@needs_extra
def test_a_damaged_cache_is_computed_anew(model: str, tmp_path: Path, monkeypatch: Any) -> None:
    counting = Counting(monkeypatch)
    first = FrozenEncoder(model=model).encode(TEXTS)
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_bytes(b"damaged" * 1000)
    with pytest.warns(UserWarning, match="are damaged"):
        assert torch.equal(FrozenEncoder(model=model).encode(TEXTS), first)
    assert counting.n_texts == 12
    assert torch.equal(FrozenEncoder(model=model).encode(TEXTS), first)
    assert counting.n_texts == 12


def test_embeddings_that_have_changed_are_not_returned(tmp_path: Path) -> None:
    cache = frozen_encoder._Cache(tmp_path / "some.sqlite")
    rows = {bytes([i]) * 16: np.full(3, i, np.float32) for i in range(4)}
    cache.keep(rows)
    keys = list(rows)
    assert {key: row.tolist() for key, row in cache.find(keys).items()} == {k: r.tolist() for k, r in rows.items()}
    with closing(sqlite3.connect(cache.path)) as file, file:
        swap = "UPDATE embeddings SET row = (SELECT row FROM embeddings WHERE key = ?) WHERE key = ?"
        file.execute(swap, (keys[3], keys[2]))
        file.execute("UPDATE embeddings SET row = ? WHERE key = ?", (b"", keys[1]))
    with pytest.warns(UserWarning, match=r"2 embeddings in .*some\.sqlite are damaged: they are computed anew"):
        assert list(cache.find(keys)) == [keys[0], keys[3]]


def test_a_file_that_is_no_database_is_replaced(tmp_path: Path) -> None:
    cache = frozen_encoder._Cache(tmp_path / "some.sqlite")
    cache.path.write_bytes(b"damaged" * 1000)
    with pytest.warns(
        UserWarning, match=r"some\.sqlite are damaged \(file is not a database\): they are computed anew"
    ):
        assert cache.find([b"0" * 16]) == {}
    cache.keep({b"0" * 16: np.ones(2)})
    assert cache.find([b"0" * 16])[b"0" * 16].tolist() == [1, 1]


@needs_extra
def test_a_cache_that_cannot_be_written_or_read_is_named(model: str, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "file"))
    told = refusal(FrozenEncoder(model=model))
    assert f"embeddings cannot be kept in {tmp_path / 'file'}" in told
    assert told.endswith("or name a folder with room for it with LIFELONG_CACHE")


def test_the_packages_are_there_where_they_are_required() -> None:
    from tests.text.tiny import PACKAGES, REQUIRED

    assert not REQUIRED or all(importlib.util.find_spec(package) for package in PACKAGES)


def test_a_source_without_domains_asks_its_encoding_for_nothing() -> None:
    class Nothing(TextSource):
        def text_domains(self) -> list[TextDomain]:
            return []

    assert Nothing(encoding=None).domains() == []  # type: ignore[arg-type]
