"""Robots in rooms as a source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datamodules import Rooms
from lifelong.control.rooms import FAMILIES, RoomSimulation
from tests.control.rooms.points_in_rooms import WidePoint
from tests.robots import needs_robot


def rooms(**settings: Any) -> Rooms:
    sizes = {"n_robots": 3, "n_segments": 1, "segment_length": 5}
    return Rooms(robot=WidePoint(), **(sizes | settings))


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path))


def test_each_domain_has_robots_of_its_own() -> None:
    domains = rooms(families=["x reversed"], seed=1).domains()
    assert [domain.name for domain in domains] == [f"{room}, x reversed" for room in FAMILIES]
    assert len({domain.origin for domain in domains}) == 4
    firsts = [domain.x[0].tolist() for domain in domains]
    assert len({tuple(first) for first in firsts}) == 4


def test_rooms_and_robots_may_differ_from_domain_to_domain() -> None:
    source = rooms(rooms=["clutter", "open"], families=["nominal", "both reversed"])
    assert source.names == ("clutter, nominal", "open, both reversed")
    gains = [source.simulations(i, 1, np.random.default_rng(0))[0].dynamics["gains"][0] for i in (0, 1)]
    assert gains[0] > 0 > gains[1]


def test_robots_are_drawn_in_turn_each_in_its_room() -> None:
    source = rooms()
    few, many = (source.simulations(2, n, np.random.default_rng(0)) for n in (2, 4))
    for one, other in zip(few, many, strict=False):
        assert isinstance(one, RoomSimulation)
        assert one.room == other.room
        assert one.dynamics == other.dynamics
    assert len({simulation.room for simulation in many}) == 4


def test_an_episode_lasts_as_long_as_said() -> None:
    assert rooms(seconds=4.0).controller.episode_steps == 40


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"rooms": ["maze"]}, "no rooms of the family 'maze'"),
        ({"rooms": ["open", "open"], "families": ["nominal"] * 3}, "2 families of rooms and 3 of robots"),
        ({"sees": "sonar"}, "sees 'sonar': choose from map, ranges"),
        ({"seconds": 0}, "Rooms' seconds is 0"),
        ({"model": "guessed"}, "the model 'guessed': choose from learnt, true"),
    ],
)
def test_wrong_settings_are_one_sentence(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        rooms(**settings).controller  # noqa: B018 - some are refused when they are used


@needs_robot
def test_a_car_follows_its_own_simulation() -> None:
    from datamodules.robots import Car

    rng = np.random.default_rng(0)
    for family in ("nominal", "changed"):
        simulation = Car().simulation(Car().draw(family, rng), rng)
        for action in Car().excite(30, rng):
            before = simulation.state.copy()
            foreseen = simulation.follow(np.stack([before, before]), np.stack([action, -action]))
            assert np.array_equal(simulation.state, before)
            simulation.step(action)
            assert np.abs(foreseen[0, :5] - simulation.state[:5]).max() < 0.01
            assert np.abs(foreseen[1] - simulation.state).max() > 0.1
