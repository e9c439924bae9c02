"""Simulations with MuJoCo, with checked steps and rendering.

Shapes: dimensions ``S`` of a state and ``A`` of an action.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifelong.control.extra import drawn, imported
from lifelong.control.simulation import Array, Dynamics, Simulation

FRAME = (360, 480)
"""Height and width of a picture."""


class MuJoCoSimulation(Simulation):
    """Simulate a robot by MuJoCo; subclasses define its state, goal and measures.

    Args:
        who: name of the robot, for messages.
        model: ``mujoco.MjModel``, not shared with other simulations.
        data: ``mujoco.MjData``.
        dynamics: the parameters of the model.
        n_substeps: physics steps per control step.
    """

    def __init__(self, who: str, model: Any, data: Any, dynamics: Dynamics, n_substeps: int) -> None:
        super().__init__(dynamics)
        self.who, self.model, self.data, self.n_substeps = who, model, data, n_substeps
        self.mujoco = imported("mujoco", who)
        warning = self.mujoco.mjtWarning
        self._bad = [int(w) for w in (warning.mjWARN_BADQPOS, warning.mjWARN_BADQVEL, warning.mjWARN_BADQACC)]
        self._renderer: Any = None

    @abstractmethod
    def observe(self) -> Array:
        """Return the current state ``(S,)``."""

    def act(self, action: Array) -> None:
        """Simulate one control step with an action ``(A,)`` and observe.

        Raises:
            ValueError: when the action has the wrong shape, or the simulation becomes unstable.
        """
        self.data.ctrl[:] = checked_action(self.who, action, self.model.nu)
        self.mujoco.mj_step(self.model, self.data, nstep=self.n_substeps)
        self.state = self.observe()
        self.check()

    def check(self) -> None:
        """Refuse an unstable simulation.

        Raises:
            ValueError: when the state is not finite, or was not in an earlier step.
        """
        # MuJoCo resets itself if values diverge, and counts this as a warning.
        counts = self.data.warning.number[self._bad]
        if counts.any() or not np.isfinite(self.state).all():
            raise ValueError(
                f"{self.who} became unstable: its state left all bounds with {dict(self.dynamics)}; narrow the ranges "
                f"of these dynamics"
            )

    @property
    def is_over(self) -> bool:
        """Return False: only its length ends an episode."""
        return False

    def camera(self) -> Any:
        """Return the camera of pictures: an ``MjvCamera``, or the number of a camera of the model."""
        return -1

    def frame(self) -> NDArray[np.uint8]:
        """Return a picture ``(360, 480, 3)``."""
        if self._renderer is None:
            self.model.vis.global_.offheight = max(self.model.vis.global_.offheight, FRAME[0])
            self.model.vis.global_.offwidth = max(self.model.vis.global_.offwidth, FRAME[1])
            self._renderer = drawn(self.who, lambda: self.mujoco.Renderer(self.model, *FRAME))
        self._renderer.update_scene(self.data, self.camera())
        return self._renderer.render()  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None


def checked_action(who: str, action: Array, n: int) -> NDArray[np.float64]:
    """Return an action ``(A,)`` clipped to [−1, 1].

    Raises:
        ValueError: when it is not ``n`` finite numbers.
    """
    entries = np.asarray(action, dtype=np.float64)
    if entries.shape != (n,):
        raise ValueError(f"{who} takes {n} numbers as an action, but got {list(entries.shape)}: give one per actuator")
    if not np.isfinite(entries).all():
        raise ValueError(f"{who} got the action {entries.tolist()}: it must be finite; check the planner's costs")
    return entries.clip(-1, 1)


def check_family(who: str, family: str, families: tuple[str, ...]) -> None:
    """Refuse an unknown family.

    Raises:
        ValueError: with the names of the existing families.
    """
    if family not in families:
        raise ValueError(f"{who} has no family {family!r}: choose from {', '.join(families)}")
