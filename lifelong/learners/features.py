"""What learners share that solve for a head in closed form."""

from __future__ import annotations

import torch
from torch import Tensor


def precise(x: Tensor) -> Tensor:
    """The same numbers in single precision or better: linear systems are neither solved nor stable in half."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
