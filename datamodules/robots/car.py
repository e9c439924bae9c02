"""A car that drives to goals.

Shapes: ``…`` any leading dimensions; a state is (x, y, heading, forward speed, sideways speed, yaw rate, speed of the
left and of the right wheel) in metres, radians and seconds.
"""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.robots.mujoco_simulation import MuJoCoSimulation, check_family
from lifelong.control.extra import imported
from lifelong.control.robot import Robot
from lifelong.control.simulation import Array, Dynamics
from lifelong.utilities.ranges import check_number

MODEL = Path(__file__).with_name("car.xml")
GRAVITY = 9.81
N_SUBSTEPS = 5
NOMINAL: dict[str, tuple[float, float]] = {
    "left": (0.9, 1.1),
    "right": (0.9, 1.1),
    "friction": (0.8, 1.0),
    "payload": (0.0, 0.2),
    "slope": (0.0, 1.0),
}
"""Ranges of the parameters that a family does not change."""
FAMILIES: dict[str, dict[str, tuple[float, float]]] = {
    "nominal": {},
    "left reversed": {"left": (-1.1, -0.8)},
    "ice": {"friction": (0.06, 0.12)},
    "right weak": {"right": (0.35, 0.55)},
    "both reversed, payload": {"left": (-1.1, -0.8), "right": (-1.1, -0.8), "payload": (2.0, 4.0)},
    "slope": {"slope": (6.0, 10.0)},
}
ANY = "any"
CHANGED = "changed"


class Car(Robot):
    """Drive a car with two motors and two casters (extra ``robot``) on a plane where goals appear one after another.

    The parameters of its dynamics are ``left`` and ``right``, the gain of each motor (negative if reversed);
    ``friction`` of the tyres; ``payload`` in kilograms; ``slope`` in degrees, falling in the direction ``downhill`` in
    radians. Each robot draws them from its family's ranges. The family ``any`` (used only if listed explicitly) draws
    motors of either sign, any friction from ice to rubber, payload and slope, and so covers the others. ``changed``
    draws motors, friction and payload likewise, on level ground, such that the car can still reach every place.

    A goal is reached within ``tolerance``, and the next one then appears immediately. Measures: ``success``, whether at
    least one goal was reached in the episode; ``goals_per_10_s``; final ``distance`` to the goal in metres.

    Args:
        episode_steps: control steps per episode, of 0.1 s each.
        goal_distance: minimum and maximum distance in metres at which goals appear.
        tolerance: distance in metres within which a goal is reached.

    Raises:
        ValueError: when an option is invalid or, once a car is simulated, the extra is missing.

    Example:
        >>> car = Car()
        >>> dynamics = car.draw("left reversed", np.random.default_rng(0))
        >>> dynamics["left"] < 0 < dynamics["right"]
        True
    """

    name = "car"
    n_states = 8
    n_actions = 2
    n_features = 7
    n_changes = 8
    families = tuple(FAMILIES)
    parameters = ("left", "right", "log friction", "payload", "slope x", "slope y")
    seconds_per_step = 0.1
    radius = 0.18
    # With good grip there is no sideways motion, so the sideways speed is scaled like the forward speed.
    feature_units = ("cos", "sin", "m/s", "m/s", "yaw rate", "wheel", "wheel")
    change_units = ("m", "m", "turn", "m/s", "m/s", "yaw rate", "wheel", "wheel")

    def __init__(
        self,
        *,
        episode_steps: int = 100,
        goal_distance: tuple[float, float] = (1.5, 3.0),
        tolerance: float = 0.2,
    ) -> None:
        check_number("Car's episode_steps", episode_steps, least=1, whole=True)
        for distance in (tolerance, *goal_distance):
            check_number("Car's goal_distance or tolerance", distance, above=0)
        if not tolerance < goal_distance[0] <= goal_distance[1]:
            raise ValueError(
                f"Car has episode_steps {episode_steps}, goal_distance {list(goal_distance)} and tolerance {tolerance}:"
                f" give at least one step, and distances in order that are beyond a tolerance above 0"
            )
        self.episode_steps = episode_steps
        self.goal_distance = goal_distance
        self.tolerance = tolerance

    def draw(self, family: str, rng: np.random.Generator) -> Dynamics:
        """Draw gains, friction, payload and slope of one car."""
        check_family("Car", family, (*self.families, ANY, CHANGED))
        downhill = rng.uniform(-math.pi, math.pi)
        if family == ANY:
            signs, gains = rng.choice([-1.0, 1.0], size=2), rng.uniform(0.4, 1.1, size=2)
            drawn = {"left": signs[0] * gains[0], "right": signs[1] * gains[1]}
            drawn["friction"] = math.exp(rng.uniform(math.log(0.06), 0.0))
            steepest = 10 * min(1, drawn["friction"] / 0.5)  # the car must not slide away
            drawn |= {"payload": rng.uniform(0, 4), "slope": rng.uniform(0, steepest)}
        elif family == CHANGED:
            signs, gains = rng.choice([-1.0, 1.0], size=2), rng.uniform(0.5, 1.1, size=2)
            drawn = {"left": signs[0] * gains[0], "right": signs[1] * gains[1]}
            drawn["friction"] = math.exp(rng.uniform(math.log(0.12), 0.0))
            drawn |= {"payload": rng.uniform(0, 4), "slope": rng.uniform(0, 1)}
        else:
            drawn = {name: rng.uniform(*limits) for name, limits in (NOMINAL | FAMILIES[family]).items()}
        return {name: float(value) for name, value in (drawn | {"downhill": downhill}).items()}

    def simulation(self, dynamics: Dynamics, rng: np.random.Generator) -> CarSimulation:
        """Create a car with these dynamics."""
        return CarSimulation(self, dynamics, rng)

    def parameter_values(self, dynamics: Dynamics) -> Array:
        """Return signed gains, log friction, payload and direction of the slope, each of order 1."""
        steepness = dynamics["slope"] / 5
        return np.array(
            [
                dynamics["left"],
                dynamics["right"],
                math.log(dynamics["friction"]) / 2,
                dynamics["payload"] / 2,
                steepness * math.cos(dynamics["downhill"]),
                steepness * math.sin(dynamics["downhill"]),
            ],
            dtype=np.float32,
        )

    def features(self, state: Tensor) -> Tensor:
        """Return the state without the position, with cosine and sine of the heading: ``(…, 7)``."""
        heading = state[..., 2]
        return torch.cat([torch.stack([heading.cos(), heading.sin()], dim=-1), state[..., 3:]], dim=-1)

    def change(self, state: Tensor, following: Tensor) -> Tensor:
        """Return the motion in the car's initial frame, the turn within ±π, and other differences: ``(…, 8)``."""
        cos, sin = state[..., 2].cos(), state[..., 2].sin()
        difference = following - state
        dx, dy, turn = difference[..., 0], difference[..., 1], difference[..., 2]
        turn = torch.remainder(turn + math.pi, 2 * math.pi) - math.pi
        moved = torch.stack([cos * dx + sin * dy, cos * dy - sin * dx, turn], dim=-1)
        return torch.cat([moved, difference[..., 3:]], dim=-1)

    def advance(self, state: Tensor, change: Tensor) -> Tensor:
        """Return the state after a change, its heading not wrapped."""
        cos, sin = state[..., 2].cos(), state[..., 2].sin()
        forward, sideways = change[..., 0], change[..., 1]
        moved = torch.stack([cos * forward - sin * sideways, sin * forward + cos * sideways], dim=-1)
        return state + torch.cat([moved, change[..., 2:]], dim=-1)

    def positions(self, state: Tensor) -> Tensor:
        """Return x and y."""
        return state[..., :2]

    def excite(self, n_steps: int, rng: np.random.Generator) -> Array:
        """Return random actions ``(n_steps, 2)`` around slowly changing levels, as a car accelerates slowly."""
        drift = np.repeat(rng.uniform(-0.8, 0.8, size=(n_steps, 2)), rng.integers(8, 21, size=n_steps), axis=0)
        return (drift[:n_steps] + 0.8 * super().excite(n_steps, rng)).clip(-1, 1).astype(np.float32)

    def cost(self, state: Tensor, action: Tensor, goal: Tensor) -> Tensor:
        """Return the metres to the goal."""
        return (state[..., :2] - goal).square().sum(dim=-1).add(1e-12).sqrt()


class CarSimulation(MuJoCoSimulation):
    """Simulate one car. The state is that of :class:`Car`; the goal is (x, y).

    Args:
        car: settings of episode and goals.
        dynamics: parameters drawn by the car.
        rng: generator of the first state and all goals until the next reset.
    """

    def __init__(self, car: Car, dynamics: Dynamics, rng: np.random.Generator) -> None:
        mujoco = imported("mujoco", "Car")
        model = mujoco.MjModel.from_xml_path(str(MODEL))
        _set_dynamics(model, dynamics)
        data = mujoco.MjData(model)
        mujoco.mj_setConst(model, data)
        super().__init__("Car", model, data, dynamics, N_SUBSTEPS)
        self.car = car
        model.geom("goal").size[0] = car.tolerance
        self._qpos, self._qvel = self.data.qpos, self.data.qvel
        self._scratch = mujoco.MjData(model)
        self._rollout = imported("mujoco.rollout", "Car").rollout
        self.reset(rng)

    def reset(self, rng: np.random.Generator) -> None:
        """Place the car at rest at the origin with a random heading, and place the first goal."""
        self.mujoco.mj_resetData(self.model, self.data)
        heading = rng.uniform(-math.pi, math.pi)
        self._qpos[3:7] = math.cos(heading / 2), 0, 0, math.sin(heading / 2)
        self.mujoco.mj_forward(self.model, self.data)
        self.state = self.observe()
        self.goal = np.zeros(2, dtype=np.float32)
        self._rng, self._n_goals, self._n_steps = rng, 0, 0
        self._place_goal()

    def step(self, action: Array) -> None:
        """Drive for 0.1 s; replace the goal by the next one if it is reached."""
        self.act(action)
        self._n_steps += 1
        if self._distance() < self.car.tolerance:
            self._n_goals += 1
            self._place_goal()

    def observe(self) -> Array:
        """Return position, heading and speeds of the car and its wheels."""
        state: Array = _states(self._qpos[None], self._qvel[None])[0]
        return state

    @cached_property
    def _resting_height(self) -> float:
        """Return the height at which the car rests on its slightly soft wheels."""
        data = self.mujoco.MjData(self.model)
        self.mujoco.mj_step(self.model, data, nstep=50)
        return float(data.qpos[2])

    def follow(self, state: Array, action: Array) -> Array:
        """Return the next states ``(N, 8)`` after actions ``(N, 2)``, without changing the car's own state."""
        physics = np.zeros((len(state), 1 + self.model.nq + self.model.nv))  # the time, positions, velocities
        heading, (cos, sin) = state[:, 2], (np.cos(state[:, 2]), np.sin(state[:, 2]))
        physics[:, 1:3], physics[:, 3] = state[:, :2], self._resting_height
        physics[:, 4], physics[:, 7] = np.cos(heading / 2), np.sin(heading / 2)
        speeds = physics[:, 1 + self.model.nq :]
        speeds[:, 0] = cos * state[:, 3] - sin * state[:, 4]
        speeds[:, 1] = sin * state[:, 3] + cos * state[:, 4]
        speeds[:, 5:8] = state[:, 5:8]
        controls = np.repeat(action.clip(-1, 1)[:, None].astype(np.float64), self.n_substeps, axis=1)
        states, _ = self._rollout(self.model, self._scratch, physics, controls)
        return _states(states[:, -1, 1 : 1 + self.model.nq], states[:, -1, 1 + self.model.nq :])

    def measures(self) -> dict[str, float]:
        """Return success, goals per 10 s, and the distance to the goal."""
        seconds = max(self._n_steps, 1) * self.car.seconds_per_step
        return {
            "success": float(self._n_goals > 0),
            "goals_per_10_s": 10 * self._n_goals / seconds,
            "distance": self._distance(),
        }

    def camera(self) -> Any:
        """Return a camera above the midpoint of car and goal that shows both."""
        camera = self.mujoco.MjvCamera()
        middle = (self.state[:2] + self.goal) / 2
        camera.lookat[:] = [*middle.tolist(), 0]
        camera.distance, camera.azimuth, camera.elevation = 2.0 + 1.2 * self._distance(), 90, -55
        return camera

    def _distance(self) -> float:
        return math.dist(self.state[:2].tolist(), self.goal.tolist())

    def _place_goal(self) -> None:
        distance, direction = self._rng.uniform(*self.car.goal_distance), self._rng.uniform(-math.pi, math.pi)
        self.goal = self.state[:2] + np.array(
            [distance * math.cos(direction), distance * math.sin(direction)], dtype=np.float32
        )
        self.data.mocap_pos[0, :2] = self.goal


def _states(positions: NDArray[np.float64], velocities: NDArray[np.float64]) -> Array:
    """Return states ``(N, 8)`` for MuJoCo's positions ``(N, 9)`` and velocities ``(N, 8)``."""
    x, y, _, w, i, j, k = positions[:, :7].T
    heading = np.arctan2(2 * (w * k + i * j), 1 - 2 * (j * j + k * k))
    (cos, sin), (vx, vy) = (np.cos(heading), np.sin(heading)), velocities[:, :2].T
    columns = (x, y, heading, cos * vx + sin * vy, cos * vy - sin * vx, *velocities[:, 5:8].T)
    return np.stack(columns, axis=-1).astype(np.float32)


def _set_dynamics(model: Any, dynamics: Dynamics) -> None:
    """Set the dynamics of one car in a model."""
    for side in ("left", "right"):
        model.actuator(side).gear[0] *= dynamics[side]
        model.geom(side).friction[0] = dynamics["friction"]
    payload = model.body("payload")
    mass = max(dynamics["payload"], 1e-3)
    payload.mass[0], payload.inertia[:] = mass, payload.inertia * mass
    tilt, downhill = math.radians(dynamics["slope"]), dynamics["downhill"]
    model.opt.gravity[:] = (
        GRAVITY * math.sin(tilt) * math.cos(downhill),
        GRAVITY * math.sin(tilt) * math.sin(downhill),
        -GRAVITY * math.cos(tilt),
    )
