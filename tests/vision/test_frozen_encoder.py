"""Features of images that are computed once, and survive interruptions, damage and company."""

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
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.networks import Conv4
from lifelong.vision import FrozenEncoder, frozen_encoder, progress
from lifelong.vision.feature_store import ENTRY
from tests.vision.networks import Counting, Holding, images

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def encoder(network: nn.Module, **settings: Any) -> FrozenEncoder:
    return FrozenEncoder(network=network, device="cpu", **settings)


def by_hand(network: Counting, x: Tensor) -> Tensor:
    return torch.tanh(x.float().flatten(1) / 255 @ network.linear.weight.T + network.linear.bias).detach()


# -- values -----------------------------------------------------------------------------------------------------------


def test_features_are_those_of_the_network_in_evaluation() -> None:
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(48, affine=False), nn.Dropout(0.5), nn.Linear(48, 5))
    network[1].running_mean.fill_(0.5)
    x = images(9)
    found = encoder(network, batch_size=4).encode(x)
    expected = network[3]((x.flatten(1) / 255 - 0.5) / (1 + 1e-5) ** 0.5)
    torch.testing.assert_close(found, expected.detach())
    assert (found.dtype, network.training, found.is_inference()) == (torch.float32, True, False)
    assert torch.equal(network[1].running_mean, torch.full((48,), 0.5))


def test_features_come_from_before_the_head() -> None:
    network = Conv4(n_filters=8, in_channels=3, image_size=16, norm="group", n_outputs=5)
    x = images(3, shape=(3, 16, 16))
    with torch.no_grad():
        expected = network.features(x / 255)
    torch.testing.assert_close(encoder(network).encode(x), expected)


def test_images_are_resized_by_an_antialiased_cubic() -> None:
    flat = nn.Flatten()
    x = images(2, shape=(3, 12, 10))
    expected = F.interpolate(x / 255, (5, 5), mode="bicubic", antialias=True).clamp(0, 1).flatten(1)
    torch.testing.assert_close(encoder(flat, image_size=5).encode(x), expected)
    torch.testing.assert_close(encoder(flat).encode(x), x.flatten(1) / 255)
    torch.testing.assert_close(encoder(Counting()).encode(x).shape, torch.Size([2, 6]))


def test_overshoots_of_the_cubic_are_cut() -> None:
    edge = torch.zeros(1, 1, 4, 4)
    edge[..., 2:] = 1
    plain = F.interpolate(edge, (16, 16), mode="bicubic", antialias=True)
    assert plain.amin() < -0.01
    found = encoder(nn.Flatten(), image_size=16).encode(edge)
    torch.testing.assert_close(found, plain.clamp(0, 1).flatten(1))


def test_sizes_and_shapes_of_the_same_bytes_are_kept_apart() -> None:
    class Corner(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[:, :, -1, -1] + x[:, :, 0, -1]

    x = images(2, shape=(1, 4, 16))
    for inputs, size in ((x, None), (x, 3), (x.view(2, 1, 8, 8), 3), (x.view(2, 1, 8, 8), None)):
        resized = inputs / 255 if size is None else F.interpolate(inputs / 255, (3, 3), mode="bicubic", antialias=True)
        expected = Corner()(resized.clamp(0, 1))
        torch.testing.assert_close(encoder(Corner(), image_size=size).encode(inputs), expected)


def test_grey_becomes_colour_and_colour_grey() -> None:
    network, grey = Counting(), images(2, shape=(1, 4, 4))
    torch.testing.assert_close(encoder(network).encode(grey), by_hand(network, grey.expand(-1, 3, -1, -1)))
    one_channel = nn.Flatten()
    one_channel.input_shape = (1, 4, 4)  # type: ignore[assignment]
    red = torch.zeros(1, 3, 4, 4)
    red[:, 0] = 1
    torch.testing.assert_close(encoder(one_channel).encode(red), torch.full((1, 16), 0.299))


def test_bytes_and_floats_of_an_image_have_the_same_features() -> None:
    network, x = Counting(), images(5)
    as_bytes, as_floats = (encoder(network).encode(inputs) for inputs in (x, x.double() / 255))
    torch.testing.assert_close(as_bytes, as_floats)
    torch.testing.assert_close(as_bytes, by_hand(network, x))
    for dtype in (torch.float16, torch.bfloat16):
        rounded = (x / 255).to(dtype)
        expected = by_hand(network, 255 * rounded.float())
        torch.testing.assert_close(encoder(network).encode(rounded), expected, atol=1e-5, rtol=1e-5)


def test_half_precision_is_another_encoding_near_the_first() -> None:
    network, x = Counting(), images(4)
    single, half = (encoder(network, precision=p).encode(x) for p in ("32-true", "bf16-mixed"))
    assert network.n_images == 8
    assert half.dtype == torch.float32
    assert 0 < (single - half).abs().max() < 0.05


# -- once -------------------------------------------------------------------------------------------------------------


def test_an_image_is_encoded_once() -> None:
    network, x = Counting(), images(10)
    first = encoder(network, batch_size=4).encode(x)
    assert list(network.seen) == [4, 4, 2]
    assert torch.equal(encoder(network, batch_size=3).encode(x.flip(0)), first.flip(0))
    assert torch.equal(encoder(Counting()).encode(x), first)
    assert network.n_images == 10
    more = torch.cat([images(1, seed=1), x, images(1, seed=1)])
    found = encoder(network).encode(more)
    assert network.n_images == 11
    assert torch.equal(found[1:-1], first)
    assert torch.equal(found[0], found[-1])
    torch.testing.assert_close(found, by_hand(network, more))


def test_no_images_are_no_features() -> None:
    assert encoder(Counting()).encode(images(0)).shape == (0, 6)


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


# -- interrupted, damaged, in company ---------------------------------------------------------------------------------


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


@pytest.mark.parametrize("place", [0, 17, 24 * 4 + 3, 24 * 10 - 1])
def test_a_changed_byte_of_a_row_is_computed_anew(place: int, cache: Path) -> None:
    network, x = Counting(), images(10)
    expected = encoder(network).encode(x).clone()
    (path,) = cache.glob("features-*/rows.f32")
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.warns(UserWarning, match=r"1 features in .*features-Counting-.* are damaged: they are computed anew"):
        torch.testing.assert_close(encoder(network).encode(x), expected)
    assert network.n_images == 11
    torch.testing.assert_close(encoder(network).encode(x), expected)
    assert network.n_images == 11


@pytest.mark.parametrize("place", range(0, 40, 3))
def test_a_changed_byte_of_a_key_gives_no_wrong_features(place: int, cache: Path) -> None:
    network, x = Counting(), images(4)
    expected = encoder(network).encode(x).clone()
    (path,) = cache.glob("features-*/keys")
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    is_checksum = place % ENTRY.itemsize >= 16
    with pytest.warns(UserWarning, match="are damaged") if is_checksum else nullcontext():
        torch.testing.assert_close(encoder(network).encode(x), expected)
    assert network.n_images == 5
    torch.testing.assert_close(encoder(network).encode(x), expected)
    assert network.n_images == 5


# -- what is refused, in one sentence ---------------------------------------------------------------------------------


def refusal(network: nn.Module, x: Tensor, **settings: Any) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        encoder(network, **settings).encode(x)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_features_that_depend_on_the_batch_are_refused() -> None:
    x = images(4, shape=(3, 16, 16))
    batch = Conv4(n_filters=8, in_channels=3, image_size=16, norm="batch")
    assert "Conv4 computes other features of an image alone than beside another one" in refusal(batch, x)

    class Chance(nn.Flatten):
        def forward(self, x: Tensor) -> Tensor:
            return F.dropout(super().forward(x), training=True)

    assert "(batch statistics, or chance), so they cannot be kept" in refusal(Chance(), x)


def test_what_is_no_image_is_refused() -> None:
    network = Counting()
    assert "the data has (3, 5) of torch.float32: give it a source of images" in refusal(network, torch.zeros(3, 5))
    assert "of torch.int64: give it a source of images" in refusal(network, torch.zeros(3, 3, 4, 4, dtype=torch.long))
    assert "takes images of 3 channels, but the data has 2" in refusal(network, images(2, shape=(2, 4, 4)))
    assert "values from 0 to 1, but the data has -1 to 1" in refusal(network, 2 * torch.eye(4).expand(2, 3, 4, 4) - 1)
    assert "values from 0 to 1, but the data has nan to nan" in refusal(network, torch.full((1, 3, 4, 4), torch.nan))


def test_features_that_are_no_vectors_are_refused() -> None:
    told = refusal(nn.Conv2d(3, 2, 3), images(2))
    assert "Conv2d computes features of shape (2, 2, 2), one vector per image was expected" in told
    lying = Counting()
    lying.n_features = 7
    assert "there are 6 features of an image, 7 were expected" in refusal(lying, images(2))


def test_sizes_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match=r"has image_size 8, but Counting takes images of \(3, 4, 4\): leave"):
        encoder(Counting(), image_size=8)
    for settings in ({"image_size": 0}, {"batch_size": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(settings))} is 0: it must be a whole number, at least 1"):
            encoder(Counting(), **settings)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "file"))
    told = refusal(Counting(), images(2))
    assert f"features cannot be kept in {tmp_path / 'file'}" in told
    assert told.endswith("or name a folder with room for them with LIFELONG_CACHE")


def test_only_many_images_show_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[bool] = []

    class Watched(progress.Progress):  # type: ignore[misc]
        def __init__(self, *columns: Any, disable: bool, **settings: Any) -> None:
            shown.append(not disable)
            super().__init__(*columns, disable=True, **settings)

    monkeypatch.setattr(progress, "Progress", Watched)
    monkeypatch.setattr(progress, "SHOW_PROGRESS_FROM", 6)
    for n in (4, 4, 9, 20):
        encoder(Counting()).encode(images(n))
    assert shown == [False, False, True]
