"""An arm with two links that reaches for targets.

Shapes: ``…`` any leading dimensions; a state is (first angle, second angle, their speeds) in radians and seconds.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datamodules.robots.mujoco_simulation import MuJoCoSimulation, check_family
from lifelong.control.extra import imported
from lifelong.control.robot import Robot
from lifelong.control.simulation import Array, Dynamics
from lifelong.utilities.ranges import check_number

LINKS = (0.1, 0.11)
"""Distances in metres from joint to joint, and from the second joint to the fingertip."""
REACH = 0.2
"""Radius in metres of the disc in which targets lie, as in gymnasium."""
N_SUBSTEPS = 2
NOMINAL: dict[str, tuple[float, float]] = {"first": (0.8, 1.2), "second": (0.8, 1.2), "damping": (0.5, 2.0)}
"""Ranges of the parameters that a family does not change, relative to gymnasium's arm."""
FAMILIES: dict[str, dict[str, tuple[float, float]]] = {
    "nominal": {},
    "first joint reversed": {"first": (-1.2, -0.8)},
    "second joint reversed": {"second": (-1.2, -0.8)},
    "both reversed": {"first": (-1.2, -0.8), "second": (-1.2, -0.8)},
    "weak": {"first": (0.3, 0.5), "second": (0.3, 0.5)},
}
ANY = "any"


class Reacher(Robot):
    """Move gymnasium's ``Reacher-v5`` (extra ``robot``) with actuators of random gain and sign, and random damping.

    The parameters of its dynamics are ``first`` and ``second``, the factor of each actuator (negative if reversed), and
    ``damping``, the factor of both joints' damping. The family ``any`` (used only if listed explicitly) draws either
    sign and any gain, and so covers the others.

    Measures: ``success``, 1 if the fingertip is currently within ``tolerance`` of the target (at the end of an episode,
    passing the target earlier does not count); ``distance`` between them in metres.

    Differences from gymnasium: an action of 1 applies the share ``strength`` of the full torque, which would change the
    speed by 4 rad/s per control step; an episode starts in a random pose.

    Args:
        episode_steps: control steps per episode, of 0.02 s each.
        strength: share of the full torque at an action of 1.
        tolerance: distance in metres within which the target is reached.

    Raises:
        ValueError: when an option is invalid or, once an arm is simulated, the extra is missing.

    Reference:
        Towers et al. 2024, Gymnasium: A Standard Interface for Reinforcement Learning Environments.

    Example:
        >>> Reacher().fingertip(torch.tensor([0.0, 0.0, 0.0, 0.0]))
        tensor([0.2100, 0.0000])
    """

    name = "reacher"
    n_states = 4
    n_actions = 2
    n_features = 4
    n_changes = 4
    families = tuple(FAMILIES)
    parameters = ("first", "second", "log damping")
    seconds_per_step = 0.02

    def __init__(self, *, episode_steps: int = 50, strength: float = 0.25, tolerance: float = 0.03) -> None:
        check_number("Reacher's episode_steps", episode_steps, least=1, whole=True)
        check_number("Reacher's tolerance", tolerance, above=0)
        if tolerance <= 0 or not 0 < strength <= 1:
            raise ValueError(
                f"Reacher has episode_steps {episode_steps}, strength {strength} and tolerance {tolerance}: give at "
                f"least one step, a strength in (0, 1] and a tolerance above 0"
            )
        self.episode_steps = episode_steps
        self.strength = strength
        self.tolerance = tolerance

    def draw(self, family: str, rng: np.random.Generator) -> Dynamics:
        """Draw the factors of actuators and damping of one arm."""
        check_family("Reacher", family, (*self.families, ANY))
        if family == ANY:
            signs, gains = rng.choice([-1.0, 1.0], size=2), rng.uniform(0.3, 1.2, size=2)
            drawn = {"first": signs[0] * gains[0], "second": signs[1] * gains[1]}
            drawn["damping"] = rng.uniform(*NOMINAL["damping"])
        else:
            drawn = {name: rng.uniform(*limits) for name, limits in (NOMINAL | FAMILIES[family]).items()}
        return {name: float(value) for name, value in drawn.items()}

    def simulation(self, dynamics: Dynamics, rng: np.random.Generator) -> ReacherSimulation:
        """Create an arm with these dynamics."""
        return ReacherSimulation(self, dynamics, rng)

    def parameter_values(self, dynamics: Dynamics) -> Array:
        """Return both factors with their signs, and the logarithm of the damping."""
        return np.array([dynamics["first"], dynamics["second"], math.log(dynamics["damping"])], dtype=np.float32)

    def features(self, state: Tensor) -> Tensor:
        """Return cosine and sine of the second angle and both speeds, ``(…, 4)``; the first angle is irrelevant."""
        bend = state[..., 1]
        return torch.cat([torch.stack([bend.cos(), bend.sin()], dim=-1), state[..., 2:]], dim=-1)

    def change(self, state: Tensor, following: Tensor) -> Tensor:
        """Return the difference."""
        return following - state

    def advance(self, state: Tensor, change: Tensor) -> Tensor:
        """Return the sum."""
        return state + change

    def fingertip(self, state: Tensor) -> Tensor:
        """Return the position ``(…, 2)`` of the fingertip, by forward kinematics."""
        first, both = state[..., 0], state[..., 0] + state[..., 1]
        x = LINKS[0] * first.cos() + LINKS[1] * both.cos()
        y = LINKS[0] * first.sin() + LINKS[1] * both.sin()
        return torch.stack([x, y], dim=-1)

    def excite(self, n_steps: int, rng: np.random.Generator) -> Array:
        """Return random actions ``(n_steps, 2)``, each followed by its opposite, so that no joint reaches its limit."""
        held = np.repeat(rng.integers(1, 9, size=n_steps), 2)
        levels = np.repeat(rng.uniform(-1, 1, size=(n_steps, 2)), 2, axis=0)
        levels[1::2] *= -1
        return np.repeat(levels, held, axis=0)[:n_steps].astype(np.float32)

    def positions(self, state: Tensor) -> Tensor:
        """Return the position of the fingertip."""
        return self.fingertip(state)

    def cost(self, state: Tensor, action: Tensor, goal: Tensor) -> Tensor:
        """Return the metres from fingertip to target."""
        return (self.fingertip(state) - goal).square().sum(dim=-1).add(1e-12).sqrt()


class ReacherSimulation(MuJoCoSimulation):
    """Simulate one arm. The state is that of :class:`Reacher`; the goal is the target's (x, y).

    Args:
        reacher: settings of strength and tolerance.
        dynamics: parameters drawn by the reacher.
        rng: generator of the first pose and target.
    """

    def __init__(self, reacher: Reacher, dynamics: Dynamics, rng: np.random.Generator) -> None:
        imported("mujoco", "Reacher")
        self._env = imported("gymnasium", "Reacher").make("Reacher-v5").unwrapped
        model = self._env.model
        model.actuator_gainprm[:, 0] *= reacher.strength * np.array([dynamics["first"], dynamics["second"]])
        model.dof_damping[:2] *= dynamics["damping"]
        super().__init__("Reacher", model, self._env.data, dynamics, N_SUBSTEPS)
        self.reacher = reacher
        self.reset(rng)

    def reset(self, rng: np.random.Generator) -> None:
        """Place the arm at rest in a random pose, with a random target in reach."""
        self.mujoco.mj_resetData(self.model, self.data)
        radius, direction = REACH * math.sqrt(rng.uniform()), rng.uniform(-math.pi, math.pi)
        self.goal = np.array([radius * math.cos(direction), radius * math.sin(direction)], dtype=np.float32)
        self.data.qpos[:] = [rng.uniform(-math.pi, math.pi), rng.uniform(-2, 2), *self.goal]
        self.mujoco.mj_forward(self.model, self.data)
        self.state = self.observe()

    def step(self, action: Array) -> None:
        """Move for 0.02 s."""
        self.act(action)

    def observe(self) -> Array:
        """Return angles and speeds of both joints."""
        return np.concatenate([self.data.qpos[:2], self.data.qvel[:2]]).astype(np.float32)

    def measures(self) -> dict[str, float]:
        """Return success, and the distance from fingertip to target."""
        distance = math.dist(self.data.body("fingertip").xpos[:2], self.goal)
        return {"success": float(distance < self.reacher.tolerance), "distance": distance}

    def camera(self) -> Any:
        """Return a camera that looks down from above."""
        camera = self.mujoco.MjvCamera()
        camera.distance, camera.azimuth, camera.elevation = 0.75, 90, -90
        return camera

    def close(self) -> None:
        """Close renderer and environment."""
        super().close()
        self._env.close()
