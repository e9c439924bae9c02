"""RanPAC: ridge regression on random projections of features, for streams of labelled examples.

Shapes: ``n`` examples, ``F`` features, ``M`` projections, ``C`` classes.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.learners.features import full_precision
from lifelong.learners.running_means import Trained, Transform
from lifelong.learners.streaming_ridge import StreamingRidge
from lifelong.utilities.ranges import check_number


class RanPAC(StreamingRidge):
    """Classify by ridge regression on random projections (RanPAC): :class:`StreamingRidge` of ``max(0, Pᵀ f(x))``.

    ``φ(x) = max(0, Pᵀ f(x))``. ``P`` has independent standard normal entries, is drawn once and never changes. The
    non-linearity introduces products of features, which can separate classes that are not linearly separable. With
    ``activation: cosine``, ``φ(x) = cos(Pᵀ f(x) / (σ ‖f(x)‖) + b)`` with phases ``b`` uniform on ``[0, 2π)``. These are
    the random Fourier features of a Gaussian kernel of width ``σ`` on unit vectors, so the method is kernel ridge
    regression in closed form, without stored examples.

    Time and memory grow with ``M²``: 5,000 projections need two matrices of 100 MB in single precision, or one if the
    strength is given. Use large batches (``--data.batch_size 500``). With ``train_embedding: first``, the network is
    trained in the first experience and fixed afterwards (first-session adaptation).

    Args:
        network: ``(n, *X)`` to ``(n, F)``, or a network with a head.
        n_projections: ``M``, the number of random projections.
        activation: ``relu``, as in the paper, or ``cosine``.
        kernel_width: ``σ``, the width of the Gaussian kernel, for ``cosine``.
        strength: ``λ``. By default it is chosen on held-out training examples.
        transform: transformation of the features before the projection: ``none``, ``l2`` (to unit length) or ``sqrt``.
        train_embedding: train the network as a classifier: ``false``, ``true`` (every experience) or ``first`` (only
            the first).

    Raises:
        ValueError: as in :class:`StreamingRidge`, and when ``n_projections`` is below 1 or ``kernel_width`` is not
            positive.

    Reference:
        McDonnell et al., "RanPAC: Random Projections and Pre-trained Models for Continual Learning", NeurIPS 2023;
        Rahimi & Recht, "Random Features for Large-Scale Kernel Machines", NeurIPS 2007 (cosine).
        Differences: the strength is chosen on examples held out of all experiences so far, not only of the last one,
            and relative to the scale of the features; the default is 5,000 projections, as 10,000 take four times the
            memory; the first session trains all trainable parameters of the network (LoRA, or the whole network).

    Example:
        >>> learner = RanPAC(nn.Flatten(), n_projections=50, strength=1.0)
        >>> learner.make_room(n_classes=2, n_features=3)
        >>> learner.represent(torch.ones(4, 3)).shape
        torch.Size([4, 50])
    """

    projection: Tensor
    """``P (F, M)``."""
    phases: Tensor
    """``b (M,)``; empty unless the activation is ``cosine``."""

    def __init__(
        self,
        network: nn.Module,
        *,
        n_projections: int = 5_000,
        activation: Literal["relu", "cosine"] = "relu",
        kernel_width: float = 2.0,
        strength: float | None = None,
        transform: Transform = "none",
        train_embedding: Trained = False,
    ) -> None:
        super().__init__(network, strength=strength, transform=transform, train_embedding=train_embedding)
        check_number("--model.n_projections", n_projections, least=1, whole=True)
        check_number("--model.kernel_width", kernel_width, above=0)
        self.n_projections, self.activation, self.kernel_width = n_projections, activation, kernel_width
        # Drawn now, because a launch on several devices resets the random state before the projection is created.
        self._seed_of_projection = int(torch.randint(2**31, ()))

    def make_room(self, n_classes: int, n_features: int) -> None:
        """Draw the projection, and register the buffers of the means and second moments."""
        generator = torch.Generator().manual_seed(self._seed_of_projection)
        projection = torch.randn(n_features, self.n_projections, generator=generator)
        super().make_room(n_classes, self.n_projections)
        self.register_buffer("projection", projection.to(self.means))
        phases = 2 * math.pi * torch.rand(self.n_projections if self.activation == "cosine" else 0, generator=generator)
        self.register_buffer("phases", phases.to(self.means))

    def represent(self, features: Tensor) -> Tensor:
        """Return ``φ`` ``(n, M)`` for features ``f`` ``(n, F)``."""
        with full_precision(features):
            if self.activation == "relu":
                return (features @ self.projection.to(features)).relu()
            scaled = F.normalize(features, dim=-1) / self.kernel_width
            return (scaled @ self.projection.to(features) + self.phases.to(features)).cos()
