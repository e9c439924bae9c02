"""Robots with rewards: a model predicts observations and rewards, and a planner maximises the rewards.

Shapes: ``…`` any leading dimensions; a state is the observation followed by the last reward.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lifelong.control.robot import Robot
from lifelong.control.simulation import Array


class RewardedRobot(Robot):
    """Predict the next observation and the reward; the cost is the negative reward.

    Abstract: subclasses define how a robot is drawn and simulated.
    """

    def features(self, state: Tensor) -> Tensor:
        """Return the observation."""
        return state[..., :-1]

    def change(self, state: Tensor, following: Tensor) -> Tensor:
        """Return the difference of the observations, and the reward."""
        return torch.cat([following[..., :-1] - state[..., :-1], following[..., -1:]], dim=-1)

    def advance(self, state: Tensor, change: Tensor) -> Tensor:
        """Return the next observation, and the reward."""
        return torch.cat([state[..., :-1] + change[..., :-1], change[..., -1:]], dim=-1)

    def cost(self, state: Tensor, action: Tensor, goal: Tensor) -> Tensor:
        """Return the negative reward."""
        return -state[..., -1]


def rewarded_state(observation: np.ndarray, reward: float) -> Array:
    """Return the state of an observation and its reward."""
    return np.append(observation, reward).astype(np.float32)
