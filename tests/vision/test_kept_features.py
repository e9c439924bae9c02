"""The features that a frozen encoder keeps: found again, whole after interruptions, and computed anew where damaged."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from lifelong.vision import frozen_encoder
from lifelong.vision.feature_store import ENTRY
from tests.vision.encoding import by_hand, encoder
from tests.vision.networks import Counting, Holding, images

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("cache")


def test_what_lies_together_is_a_map_that_nothing_writes_to(cache: Path) -> None:
    network, x = Counting(), images(10)
    encoder(network).encode(x)
    (rows,) = cache.glob("features-Counting-*/rows.f32")
    before = rows.read_bytes()
    part = encoder(network).encode(x[3:7])
    whole = encoder(network).encode(x)
    assert (part.untyped_storage().nbytes(), whole.untyped_storage().nbytes()) == (4 * 24, 10 * 24)
    part.zero_()
    assert rows.read_bytes() == before
    torch.testing.assert_close(encoder(network).encode(x), by_hand(network, x))


def test_each_network_and_setting_has_its_own_features(cache: Path) -> None:
    x = images(2)

    def is_computed(network: Counting, **settings: Any) -> bool:
        before = network.n_images
        encoder(network, **settings).encode(x)
        return network.n_images > before

    assert is_computed(Counting())
    assert not is_computed(Counting(), batch_size=1)  # what cannot change a value is no part of the key
    assert is_computed(Counting(seed=1))
    assert is_computed(Counting(), precision="bf16-mixed")
    larger = Counting()
    larger.eps = 0.5  # type: ignore[assignment]
    assert is_computed(larger)
    assert len(list(cache.glob("features-*"))) == 4


def test_an_interruption_keeps_whole_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen_encoder, "KEPT_AT_ONCE", 6)
    network, x = Counting(), images(20)
    network.fails_at.append(15)
    with pytest.raises(KeyboardInterrupt):
        encoder(network, batch_size=3).encode(x)
    assert not torch.is_inference_mode_enabled()
    network.fails_at.clear()
    torch.testing.assert_close(encoder(network, batch_size=3).encode(x), by_hand(network, x))
    assert network.n_images == 15 + 20 - 12


def test_a_slow_network_is_kept_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen_encoder, "KEPT_AFTER", 0.0)
    network, x = Counting(), images(8)
    network.fails_at.append(6)
    with pytest.raises(KeyboardInterrupt):
        encoder(network, batch_size=2).encode(x)
    network.fails_at.clear()
    encoder(network, batch_size=2).encode(x)
    assert network.n_images == 8


def environment(folder: Path, name: str, hold_at: int) -> dict[str, str]:
    held = {"HOLD_AT": str(hold_at), "HOLD_UNTIL": str(folder / "go"), "HOLD_LOG": str(folder / f"{name}.log")}
    return {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **held}


def start(folder: Path, n_images: int, name: str, hold_at: int = sys.maxsize) -> subprocess.Popen[str]:
    """Start a process that encodes four images at a time, and waits for the file ``go`` from the so-manyth on."""
    command = [sys.executable, "-m", "tests.vision.networks", str(n_images), str(folder / f"{name}.pt")]
    with (folder / f"{name}.err").open("w") as told:
        environ = os.environ | environment(folder, name, hold_at)
        return subprocess.Popen(command, cwd=ROOT, env=environ, stderr=told, text=True)


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(2400):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within two minutes")


def n_done(log: Path) -> int:
    return sum(map(int, log.read_text().split())) if log.is_file() else 0


@pytest.mark.slow
def test_a_killed_process_loses_a_block_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = start(tmp_path, 1100, "killed", hold_at=700)
    wait_for(lambda: n_done(tmp_path / "killed.log") == 700)
    process.kill()
    process.wait()
    assert start(tmp_path, 1100, "again").wait(120) == 0
    assert n_done(tmp_path / "again.log") == 1100 - 512
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "undisturbed"))
    for name, value in environment(tmp_path, "undisturbed", sys.maxsize).items():
        monkeypatch.setenv(name, value)
    undisturbed = encoder(Holding(), batch_size=4).encode(images(1100))
    assert torch.equal(torch.load(tmp_path / "again.pt", weights_only=True), undisturbed)


@pytest.mark.slow
def test_a_second_process_waits_and_computes_nothing(tmp_path: Path) -> None:
    first = start(tmp_path, 40, "first", hold_at=12)
    wait_for(lambda: n_done(tmp_path / "first.log") == 12)
    second = start(tmp_path, 40, "second")
    wait_for(lambda: "another process computes features into" in (tmp_path / "second.err").read_text())
    (tmp_path / "go").touch()
    assert (first.wait(120), second.wait(120)) == (0, 0)
    assert (n_done(tmp_path / "first.log"), n_done(tmp_path / "second.log")) == (40, 0)
    kept = [torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("first", "second")]
    assert torch.equal(*kept)


@pytest.mark.parametrize("end", [-1, -7, -24, -25, -100])
@pytest.mark.parametrize("file", ["rows.f32", "keys"])
def test_files_that_end_early_are_completed(file: str, end: int, cache: Path) -> None:
    network, x = Counting(), images(10)
    expected = encoder(network).encode(x).clone()
    (path,) = cache.glob(f"features-*/{file}")
    path.write_bytes(path.read_bytes()[:end])
    torch.testing.assert_close(encoder(network).encode(x), expected)
    size = {"rows.f32": 24, "keys": ENTRY.itemsize}[file]
    assert network.n_images == 10 + -(end // size)
    torch.testing.assert_close(encoder(network).encode(x.flip(0)), expected.flip(0))
    assert network.n_images == 10 + -(end // size)


def change_byte(cache: Path, file: str, place: int) -> None:
    (path,) = cache.glob(f"features-*/{file}")
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("place", [0, 17, 24 * 4 + 3, 24 * 10 - 1])
def test_a_changed_byte_of_a_row_is_computed_anew(place: int, cache: Path) -> None:
    network, x = Counting(), images(10)
    expected = encoder(network).encode(x).clone()
    change_byte(cache, "rows.f32", place)
    with pytest.warns(UserWarning, match=r"1 features in .*features-Counting-.* are damaged: they are computed anew"):
        torch.testing.assert_close(encoder(network).encode(x), expected)
    assert network.n_images == 11
    torch.testing.assert_close(encoder(network).encode(x), expected)
    assert network.n_images == 11


@pytest.mark.parametrize("place", range(0, 40, 3))
def test_a_changed_byte_of_a_key_gives_no_wrong_features(place: int, cache: Path) -> None:
    network, x = Counting(), images(4)
    expected = encoder(network).encode(x).clone()
    change_byte(cache, "keys", place)
    is_checksum = place % ENTRY.itemsize >= 16
    with pytest.warns(UserWarning, match="are damaged") if is_checksum else nullcontext():
        torch.testing.assert_close(encoder(network).encode(x), expected)
    assert network.n_images == 5
    torch.testing.assert_close(encoder(network).encode(x), expected)
    assert network.n_images == 5
