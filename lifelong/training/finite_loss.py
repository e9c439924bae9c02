"""Stops training at the first loss that is not finite, without waiting for an accelerator at each step."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

FIRST_STEP = ", or scale the inputs to about 1: they are finite numbers, which may be too large to be multiplied"
"""Addition to the message for the first step of an experience, where the weights have not been changed yet."""
MOST_UNCHECKED = 32
"""Largest number of steps that an accelerator trains after a non-finite loss, before training stops."""


class UncheckedLosses:
    """Collect the losses of an experience until they are checked.

    Reading a loss makes the host wait for an accelerator. Several losses are therefore checked together: when one is
    logged, which waits anyway, and before each evaluation, boundary and checkpoint.

    Example:
        >>> losses = UncheckedLosses()
        >>> losses.add(0, torch.tensor(1.0), is_read=False)
        True
        >>> losses.check_finite(lambda: "experience 1 (birds)")
    """

    def __init__(self) -> None:
        self._losses: list[tuple[int, Tensor]] = []

    def clear(self) -> None:
        """Remove all losses, such as those of an interrupted fit."""
        self._losses = []

    def add(self, step: int, loss: Tensor, *, is_read: bool) -> bool:
        """Add the loss of a step, and return whether it is time to check.

        Args:
            step: index of the step in its experience.
            loss: a scalar.
            is_read: whether the host reads the loss anyway.
        """
        self._losses.append((step, loss.detach()))
        return is_read or not _runs_ahead(loss.device) or len(self._losses) >= MOST_UNCHECKED

    def check_finite(self, experience: Callable[[], str]) -> None:
        """Check and remove all collected losses.

        Args:
            experience: returns the name of their experience, for the message.

        Raises:
            ValueError: when a loss is not finite, naming its step.
        """
        losses = self._losses
        self.clear()
        values = torch.stack([loss for _, loss in losses]).tolist() if losses else []
        for (step, _), value in zip(losses, values, strict=True):
            if not math.isfinite(value):
                raise ValueError(
                    f"the loss became {value} in {experience()}, step {step + 1}: training stops and the last "
                    "good checkpoint is kept; lower the learning rate (--optimizer.lr) or the inner "
                    "learning rate" + (FIRST_STEP if step == 0 else "")
                )


def _runs_ahead(device: torch.device) -> bool:
    """Return whether the device runs asynchronously, so that the host waits for it when it reads a number."""
    return device.type != "cpu"
