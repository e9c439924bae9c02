from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from datamodules import Sinusoids


def _parameters(name: str) -> tuple[float, float, float]:
    a, f, p = re.fullmatch(r"([\d.]+) sin\(([\d.]+) x - ([\d.]+)\)", name).groups()
    return float(a), float(f), float(p)


def test_targets_are_the_function_that_the_class_is_named_for():
    source = Sinusoids(n_functions=50, n_points=8, frequencies=(1.0, 2.5), amplitude=(0.5, 2.0), phase=(0.1, 3.0))
    for frequency, domain in zip((1.0, 2.5), source.domains(), strict=True):
        assert domain.name == f"frequency {frequency:g}"
        a, f, p = np.array([_parameters(name) for name in domain.class_names])[domain.y].T
        assert (f == frequency).all()
        assert ((a >= 0.5) & (a <= 2.0) & (p >= 0.1) & (p <= 3.0)).all()
        expected = a * np.sin(f * domain.x[:, 0].numpy() - p)
        np.testing.assert_allclose(domain.targets[:, 0].numpy(), expected, atol=3e-3)  # names have three decimals


def test_points_fill_the_range_and_belong_to_functions_in_order():
    domain = Sinusoids(n_functions=100, n_points=40).domains()[0]
    assert domain.x.shape == domain.targets.shape == (4000, 1)
    assert domain.x.dtype == domain.targets.dtype == torch.float32
    assert -5 <= domain.x.min() < -4.9
    assert 4.9 < domain.x.max() <= 5
    assert domain.y.tolist() == [i // 40 for i in range(4000)]
    assert domain.holdout == "classes"


def test_seed_and_place_in_the_stream_decide_the_functions():
    first, second = Sinusoids(n_functions=3, n_points=4, frequencies=(1.0, 1.0)).domains()
    again = Sinusoids(n_functions=3, n_points=4).domains()[0]
    other = Sinusoids(n_functions=3, n_points=4, seed=1).domains()[0]
    assert torch.equal(first.x, again.x)
    assert torch.equal(first.targets, again.targets)
    assert not torch.equal(first.x, second.x)
    assert not torch.equal(first.x, other.x)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frequencies": ()}, "frequencies"),
        ({"n_functions": 0}, "n_functions is 0"),
        ({"n_points": 0}, "n_points is 0"),
        ({"amplitude": (5.0, 0.1)}, "amplitude is"),
        ({"phase": (1.0, 0.0)}, "phase is"),
    ],
)
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        Sinusoids(**settings)
