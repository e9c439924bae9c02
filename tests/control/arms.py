"""Meta-World's place is taken by this where no simulator is at hand."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from lifelong.control.control_source import ControlSource
from lifelong.control.imitation import Imitation
from lifelong.control.simulation import Array, Simulation
from lifelong.data.domain import Domain

N_INPUTS, N_ACTIONS = 33, 4


class Arms(ControlSource):
    """Two tasks with random demonstrations; the options that the configs set are those of ``MetaWorld``."""

    def __init__(self, *, n_demonstrations: int = 40) -> None:
        self.n_demonstrations = n_demonstrations

    @property
    def controller(self) -> Imitation:
        return Imitation(n_steps=3)

    def domains(self) -> list[Domain]:
        rng, n = np.random.default_rng(0), self.n_demonstrations
        names = [f"demonstration {i + 1}" for i in range(n)]
        return [
            Domain(
                task,
                torch.from_numpy(rng.normal(size=(20 * n, N_INPUTS)).astype(np.float32)),
                np.repeat(np.arange(n), 20),
                names,
                targets=torch.from_numpy(rng.uniform(-1, 1, size=(20 * n, N_ACTIONS)).astype(np.float32)),
            )
            for task in ("push", "pull")
        ]

    def simulations(self, domain: int, n: int, rng: np.random.Generator) -> list[Simulation]:
        return [_Arm(rng) for _ in range(n)]


class _Arm(Simulation):
    def __init__(self, rng: np.random.Generator) -> None:
        super().__init__()
        self.reset(rng)

    def reset(self, rng: np.random.Generator) -> None:
        self.state = rng.normal(size=N_INPUTS).astype(np.float32)
        self.goal = self.state[:3]

    def step(self, action: Array) -> None:
        self.state = self.state + np.resize(action, N_INPUTS)

    @property
    def is_over(self) -> bool:
        return False

    def measures(self) -> dict[str, float]:
        return {"success": float(self.state[0] > 0)}

    def frame(self) -> NDArray[np.uint8]:
        return np.zeros((4, 4, 3), dtype=np.uint8)
