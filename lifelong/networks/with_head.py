"""Join any module that computes features with a linear head."""

from __future__ import annotations

from torch import Tensor, nn

from lifelong.networks.shapes import check_sizes
from lifelong.utilities.recorded import Recorded


class WithHead(Recorded, nn.Module):
    """Join any module that computes features with a linear head.

    Args:
        body: computes the features: ``(n, *X)`` to ``(n, D)``.
        n_features: ``D``, the number of features.
        n_outputs: number of outputs of the head.

    Raises:
        ValueError: when the body does not compute ``n_features`` features.

    Example:
        >>> import torch
        >>> WithHead(nn.Flatten(), n_features=4, n_outputs=2)(torch.zeros(3, 2, 2)).shape
        torch.Size([3, 2])
    """

    def __init__(self, body: nn.Module, *, n_features: int, n_outputs: int) -> None:
        super().__init__()
        check_sizes(n_features=n_features, n_outputs=n_outputs)
        self.body, self.n_features = body, n_features
        self.head = nn.Linear(n_features, n_outputs)

    def features(self, x: Tensor) -> Tensor:
        """Map ``(n, *X)`` to ``(n, D)``."""
        features: Tensor = self.body(x)
        if features.shape[1:] != (self.n_features,):
            raise ValueError(
                f"WithHead has a head for {self.n_features} features, but {type(self.body).__name__} computes "
                f"{tuple(features.shape[1:])}: set --model.network.n_features to their number, as vectors"
            )
        return features

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, *X)`` to ``(n, n_outputs)``."""
        return self.head(self.features(x))  # type: ignore[no-any-return]
