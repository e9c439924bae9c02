import logging

import numpy as np
import pytest
import torch

from lifelong.data.domain import Domain
from lifelong.data.images import fit_images, same_shape


def domain(name: str, *shape: int, value: int = 100) -> Domain:
    return Domain(name, torch.full((4, *shape), value, dtype=torch.uint8), np.arange(4) % 2, ["a", "b"])


def test_equal_shapes_are_left_alone() -> None:
    one, two = domain("one", 1, 8, 8), domain("two", 1, 8, 8)
    assert [d.x is e.x for d, e in zip(same_shape([one, two]), [one, two], strict=True)] == [True, True]


def test_images_follow_the_first_domain(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        fitted = same_shape([domain("one", 1, 8, 8), domain("two", 3, 12, 10)])
    assert [tuple(d.x.shape) for d in fitted] == [(4, 1, 8, 8)] * 2
    assert fitted[1].x.dtype == torch.uint8
    assert (fitted[1].x == 100).all()
    assert "'one'" in caplog.text


def test_inputs_that_are_no_images_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"'one' has \(4,\).*'two' has \(5,\)"):
        same_shape([domain("one", 4), domain("two", 5)])


def test_grey_is_luma_and_colour_repeats_grey() -> None:
    colour = torch.tensor([200, 100, 50], dtype=torch.uint8).view(1, 3, 1, 1).expand(2, 3, 4, 4)
    assert fit_images(colour, (1, 4, 4)).unique().tolist() == [round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)]
    grey = torch.randint(0, 256, (2, 1, 4, 4), dtype=torch.uint8)
    assert torch.equal(fit_images(grey, (3, 4, 4)), grey.expand(2, 3, 4, 4))


def test_many_images_are_converted_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.arange(7, dtype=torch.uint8).view(7, 1, 1, 1).expand(7, 1, 4, 4)
    monkeypatch.setattr("lifelong.data.images.CHUNK", 3)
    assert fit_images(x, (1, 2, 2))[:, 0, 0, 0].tolist() == list(range(7))


def test_float_images_keep_their_values_when_resized() -> None:
    bright = Domain("float", torch.full((4, 1, 12, 12), 0.5), np.arange(4) % 2, ["a", "b"])
    fitted = same_shape([domain("one", 1, 8, 8), bright])[1].x
    value = fitted.float() / (255 if fitted.dtype == torch.uint8 else 1)
    torch.testing.assert_close(value, torch.full((4, 1, 8, 8), 0.5), atol=0.01, rtol=0)
