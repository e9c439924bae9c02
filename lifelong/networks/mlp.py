"""A multilayer perceptron."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from lifelong.utilities.ranges import check_number
from lifelong.utilities.recorded import Recorded


class MLP(Recorded, nn.Module):
    """Linear layers with ReLU between them; inputs of any shape are flattened.

    Args:
        n_inputs: number of elements of one input.
        hidden: widths of the hidden layers.
        n_outputs: number of outputs: classes, targets or features.

    Example:
        >>> import torch
        >>> MLP(n_inputs=4, hidden=[8], n_outputs=2)(torch.zeros(3, 2, 2)).shape
        torch.Size([3, 2])
    """

    def __init__(self, *, n_inputs: int = 1, hidden: Sequence[int] = (40, 40), n_outputs: int = 1) -> None:
        super().__init__()
        widths = [n_inputs, *hidden]
        for name, value in (("n_inputs", n_inputs), *(("hidden", width) for width in hidden), ("n_outputs", n_outputs)):
            check_number(f"--model.network.{name}", value, least=1, whole=True)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.n_inputs = n_inputs
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1], n_outputs)

    def features(self, x: Tensor) -> Tensor:
        """Map ``(n, *X)`` to ``(n, hidden[-1])``."""
        flat = x.flatten(1)
        if flat.shape[1] != self.n_inputs:
            raise ValueError(
                f"MLP takes {self.n_inputs} numbers per input, but the data has {flat.shape[1]}: "
                f"set --model.network.n_inputs {flat.shape[1]}"
            )
        return self.body(flat)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, *X)`` to ``(n, n_outputs)``."""
        return self.head(self.features(x))  # type: ignore[no-any-return]
