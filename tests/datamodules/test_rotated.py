from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from datamodules import Glyphs, Permuted, Rotated, Sinusoids, SplitClasses
from datamodules.rotated import _interpolate, rotate
from lifelong.data.domain import Domain
from lifelong.data.images import CHUNK, fit_images
from lifelong.data.source import Source
from lifelong.data.splits import SPLITS
from lifelong.data.stream import build_stream


class Squares(Source):
    """Twelve random images of three classes, loaded as often as ``loaded`` says."""

    def __init__(self, shape: tuple[int, ...] = (2, 6, 6), dtype: torch.dtype = torch.uint8, **settings: Any) -> None:
        self.shape, self.dtype, self.settings, self.loaded = shape, dtype, settings, 0

    def domains(self) -> list[Domain]:
        self.loaded += 1
        x = torch.randint(0, 256, (12, *self.shape), generator=torch.Generator().manual_seed(1)).to(self.dtype)
        return [Domain("squares", x, np.arange(12) % 3, list("abc"), **self.settings)]


def test_each_angle_is_a_domain_of_the_same_classes_and_splits() -> None:
    in_test = np.arange(12) > 8
    source = Squares(holdout="examples", in_test=in_test)
    domains = Rotated(source, angles=[0, 15, 22.5, -90]).domains()
    names = [f"squares rotated {angle}°" for angle in ("0", "15", "22.5", "-90")]
    assert [d.name for d in domains] == names
    assert source.loaded == 1
    for domain in domains:
        assert (domain.class_names, domain.holdout) == (list("abc"), "examples")
        assert domain.in_test is in_test
        assert domain.x.dtype == torch.uint8
        assert domain.x.shape == (12, 2, 6, 6)


@pytest.mark.parametrize(("angle", "quarters"), [(90, 1), (180, 2), (270, 3), (-90, 3), (450, 1)])
def test_quarter_turns_are_exact_and_counterclockwise(angle: float, quarters: int) -> None:
    (plain,), (turned,) = Squares().domains(), Rotated(Squares(), angles=[angle]).domains()
    assert torch.equal(turned.x, torch.rot90(plain.x, quarters, (2, 3)))
    corner = torch.tensor([[[[1, 2], [3, 4]]]])
    assert rotate(corner, 90).tolist() == [[[[2, 4], [1, 3]]]]


@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_bilinear_and_quarter_turns_agree(angle: float) -> None:
    x = Squares().domains()[0].x
    assert torch.equal(_interpolate(x.float(), angle).round().to(torch.uint8), rotate(x, angle))


def test_upright_images_are_shared_and_not_copied() -> None:
    source = Squares()
    (domain,) = source.domains()
    source.domains = lambda: [domain]  # type: ignore[method-assign]
    upright, whole_turn, other = Rotated(source, angles=[0, 360, 30]).domains()
    assert upright.x is whole_turn.x is domain.x
    assert other.x is not domain.x


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_eighth_of_a_turn_by_hand(dtype: torch.dtype) -> None:
    # The pixel right of the centre of 3 x 3 comes from 45° clockwise of it, one pixel away: (√½, √½) right and down.
    x = torch.zeros(1, 1, 3, 3, dtype=dtype)
    x[0, 0, 1, 2], x[0, 0, 2, 2] = 100, 200
    near, far = math.sqrt(0.5), 1 - math.sqrt(0.5)
    turned, tolerance = rotate(x, 45), 0.5 if dtype == torch.uint8 else 1e-4
    assert turned.dtype == dtype
    assert turned[0, 0, 1, 2].item() == pytest.approx(near * far * 100 + near * near * 200, abs=tolerance)
    # The corner comes from √2 to the right of the centre, between the last pixel and the black outside.
    assert turned[0, 0, 0, 2].item() == pytest.approx((2 - math.sqrt(2)) * 100, abs=tolerance)


def test_there_and_back_leaves_the_middle_as_it_was() -> None:
    smooth = torch.linspace(0, 1, 32)[None, None, None].expand(1, 1, 32, 32).clone()
    back = rotate(rotate(smooth, 20), -20)
    assert (back - smooth)[..., 8:-8, 8:-8].abs().max() < 1e-5
    assert (rotate(smooth, 20) - smooth)[..., 8:-8, 8:-8].abs().max() > 0.05


def test_many_images_are_turned_in_chunks_as_in_one() -> None:
    x = torch.randint(0, 256, (CHUNK + 3, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    turned = rotate(x, 33)
    assert torch.equal(turned[-5:], rotate(x[-5:], 33))
    assert torch.equal(turned[:2], rotate(x[:2], 33))


def parts(*domains: Domain) -> list[dict[str, set[int]]]:
    """For each domain the examples of each part."""
    stream = build_stream(domains, split=(0.25, 0.25), split_seed=3)
    train = [experience.pools[0] for experience in stream.experiences]
    return [
        {part: set(np.concatenate(pool.members).tolist()) for part, pool in zip(SPLITS, pools, strict=True)}
        for pools in zip(train, stream.val, stream.test, strict=True)
    ]


@pytest.mark.parametrize("make", [lambda s: Rotated(s, angles=[0, 15, 30]), lambda s: Permuted(s, n_domains=3)])
def test_copies_of_an_image_share_a_split(make: Any) -> None:
    source = Squares((1, 6, 6), holdout="examples")
    first, *others = parts(*source.domains(), *make(source).domains())
    assert others == [first] * 3
    assert parts(replace(source.domains()[0], name="other")) != [first]


def test_a_source_of_parts_keeps_them_together() -> None:
    source = SplitClasses(Glyphs(styles=["strokes"], n_classes=4, n_examples=2, image_size=12), n_domains=2)
    domains = Rotated(source, angles=[0, 90]).domains()
    assert [(d.name[-3:].strip(), tuple(d.class_names)) for d in domains] == [
        (angle, pair)
        for angle in ("0°", "90°")
        for pair in (("strokes 01", "strokes 02"), ("strokes 03", "strokes 04"))
    ]
    assert domains[0].origin == domains[2].origin != domains[1].origin


def test_images_are_brought_to_size_before_they_are_turned() -> None:
    (domain,) = Rotated(Squares((1, 6, 9)), angles=[90], image_size=4).domains()
    assert torch.equal(domain.x, torch.rot90(fit_images(Squares((1, 6, 9)).domains()[0].x, (1, 4, 4)), 1, (2, 3)))


def test_what_cannot_be_rotated_is_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"squares cannot be rotated: .*shape \(1, 6, 9\).*: set image_size"):
        Rotated(Squares((1, 6, 9)), angles=[15]).domains()
    with pytest.raises(ValueError, match=r"frequency 1 cannot be rotated: its inputs have shape \(1,\).*expected$"):
        Rotated(Sinusoids(frequencies=(1.0,)), angles=[15]).domains()
    with pytest.raises(ValueError, match="Rotated has no angles"):
        Rotated(Squares(), angles=[])
