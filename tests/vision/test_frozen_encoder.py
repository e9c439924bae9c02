"""A frozen encoder's features: what they are, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.networks import Conv4
from lifelong.vision import progress
from tests.vision.encoding import by_hand, encoder
from tests.vision.networks import Counting, images

pytestmark = pytest.mark.usefixtures("cache")


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
