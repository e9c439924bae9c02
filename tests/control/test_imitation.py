from __future__ import annotations

import pytest

from lifelong.control.imitation import Imitation
from tests.control.driving import QUICK, driven, trained
from tests.control.points import Points


def test_imitation_adapts_to_demonstrations() -> None:
    source = Points(imitate=True)
    module, data = trained(source, "MAML", **QUICK)
    for domain in range(3):
        # The demonstrations are of other robots of the family, with other gains: their signs are what matters.
        assert driven(source, module, data, domain).measures["distance"].max() < 0.5
    assert driven(source, module, data, 2, adapt=False).measures["distance"].mean() > 1


def test_an_episode_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="n_steps is 0"):
        Imitation(n_steps=0)
