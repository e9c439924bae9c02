"""Meta-parameters as pure functions take them."""

from __future__ import annotations

from torch import Tensor

Params = dict[str, Tensor]
"""The learner's meta-parameters by name."""
