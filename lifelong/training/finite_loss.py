"""Training stops at the first loss that is not finite, and no accelerator is waited for at each step to see it."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

MOST_UNSEEN = 32
"""An accelerator trains at most so many steps after a loss that is not finite, before training stops."""


class LossWatch:
    """The losses of an experience that nobody has looked at yet.

    Looking at a loss makes the host wait for an accelerator, so there several are looked at together: where one is
    logged, which waits anyway, and before anything is evaluated, ended or saved.

    Example:
        >>> watch = LossWatch()
        >>> watch.note(0, torch.tensor(1.0), shown=False)
        True
        >>> watch.look(lambda: "experience 1 (birds)")
    """

    def __init__(self) -> None:
        self._unseen: list[tuple[int, Tensor]] = []

    def forget(self) -> None:
        """Of a fit that was interrupted: its losses are of no interest."""
        self._unseen = []

    def note(self, step: int, loss: Tensor, *, shown: bool) -> bool:
        """Remember the loss of a step, ``shown`` where the host looks at it anyway; whether it is time to look."""
        self._unseen.append((step, loss.detach()))
        return shown or not _runs_ahead(loss.device) or len(self._unseen) >= MOST_UNSEEN

    def look(self, experience: Callable[[], str]) -> None:
        """Look at all that were noted.

        Args:
            experience: names the one that they are of, for people.

        Raises:
            ValueError: when one is not finite, naming its step.
        """
        unseen = self._unseen
        self.forget()
        values = torch.stack([loss for _, loss in unseen]).tolist() if unseen else []
        for (step, _), value in zip(unseen, values, strict=True):
            if not math.isfinite(value):
                raise ValueError(
                    f"the loss became {value} in {experience()}, step {step + 1}: training stops and the last "
                    "good checkpoint is kept; lower the learning rate (--optimizer.lr) or the inner "
                    "learning rate"
                )


def _runs_ahead(device: torch.device) -> bool:
    """Whether the host may be steps ahead of the device, and so has to wait where it looks at a number."""
    return device.type != "cpu"
