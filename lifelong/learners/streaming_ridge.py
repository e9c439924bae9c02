"""Streaming ridge regression on one-hot labels, for streams of labelled examples.

Shapes: ``n`` examples, ``*X`` one input, ``D`` features, ``C`` classes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lifelong.compute.runner import TaskRunner
from lifelong.learners.features import full_precision
from lifelong.learners.running_means import RunningMeans, Trained, Transform
from lifelong.utilities.ranges import check_number

HELD_OUT = 5
"""One in ``HELD_OUT`` examples is held out."""
STRENGTHS = tuple(10.0**k for k in (-6, -4, -3, -2.5, -2, -1.5, -1, -0.5, 0, 1))
"""Candidates of ``λ``, in multiples of the mean diagonal of the second moments; finer where the best one usually is."""


class StreamingRidge(RunningMeans):
    """Classify by ridge regression on fixed features: ``φᵀ W``, ``W = (Σ_i φ_i φ_iᵀ + λ I)⁻¹ Σ_i φ_i e_{y_i}ᵀ``.

    ``φ`` is the input of the network's head, or the network's output if it has no head. Use a pre-trained network. The
    sums are updated with every example and equal the sums over all examples so far, for any batches, order of classes
    and number of processes. The result is therefore the same as that of joint training, no example is stored, and
    nothing is forgotten. Keep ``--data.passes`` at 1, because an example counts every time it is seen. ``W`` is
    computed for evaluation, in double precision.

    If no strength is given, one fifth of the examples, selected by a hash of their content, is held out. ``λ`` is then
    chosen from ten candidates between 1e-6 and 10 times ``mean_d (Σ_i φ_id²)`` as the one with the smallest squared
    error on the examples held out so far. This error is computed exactly from sums over these examples. ``W`` is then
    computed from all examples.

    Args:
        network: ``(n, *X)`` to ``(n, D)``, or a network with a head.
        strength: ``λ``. By default it is chosen on held-out training examples, which needs a second ``D × D`` matrix.
        transform: transformation of the features: ``none``, ``l2`` (to unit length) or ``sqrt`` (signed square root).
        train_embedding: train the network as a classifier: ``false``, ``true`` (every experience) or ``first`` (only
            the first).

    Raises:
        ValueError: when the strength is not above 0 or is too small for the precision, or a strategy is used but
            nothing is trained.

    Reference:
        Zhuang et al., "ACIL: Analytic Class-Incremental Learning with Absolute Memorization and Privacy Protection",
        NeurIPS 2022. Differences: ACIL stores and updates the inverse, whereas this learner stores the sums and solves
        the system, which is equal up to rounding and allows choosing the strength afterwards; ACIL's random layer
        before the regression is in :class:`~lifelong.learners.RanPAC`.

    Example:
        >>> learner = StreamingRidge(nn.Flatten(), strength=1.0)
        >>> learner.make_room(n_classes=2, n_features=2)
        >>> learner.absorb(torch.eye(2), torch.tensor([0, 1]), TaskRunner())
        >>> learner.compare(torch.tensor([[1.0, 3.0]])).tolist()
        [[0.5, 1.5]]
    """

    moments: Tensor
    """Sum of ``φ φᵀ`` over all examples ``(D, D)``."""
    held_moments: Tensor
    """Sum of ``φ φᵀ`` over the held-out examples ``(D, D)``; ``(0, 0)`` if the strength is given."""
    held_sums: Tensor
    """Sum of ``φ`` over the held-out examples of each class ``(C, D)``."""
    n_held: Tensor
    """Number of held-out examples."""

    def __init__(
        self,
        network: nn.Module,
        *,
        strength: float | None = None,
        transform: Transform = "none",
        train_embedding: Trained = False,
    ) -> None:
        super().__init__(network, transform=transform, train_embedding=train_embedding)
        check_number("--model.strength", strength, above=0, hint=", or null to have it chosen")
        self.strength = strength
        self._rule: Tensor | None = None
        self.register_load_state_dict_post_hook(_forget_rule)  # type: ignore[no-untyped-call]

    # -- learning -------------------------------------------------------------------------------------------------

    def make_room(self, n_classes: int, n_features: int) -> None:
        """Register the buffers of the means and second moments."""
        super().make_room(n_classes, n_features)
        n_kept = self.means.shape[1]
        n_held = n_kept if self.strength is None else 0
        self.register_buffer("moments", self.means.new_zeros(n_kept, n_kept))
        self.register_buffer("held_moments", self.means.new_zeros(n_held, n_held))
        self.register_buffer("held_sums", self.means.new_zeros(n_classes, n_held))
        self.register_buffer("n_held", self.counts.new_zeros(()))

    def grow(self, n_outputs: int) -> None:
        """Extend the buffers to at least ``n_outputs`` classes."""
        super().grow(n_outputs)
        if hasattr(self, "held_sums") and (n_new := n_outputs - len(self.held_sums)) > 0:
            self.held_sums = torch.cat([self.held_sums, self.held_sums.new_zeros(n_new, self.held_sums.shape[1])])

    def absorb(self, features: Tensor, numbers: Tensor, runner: TaskRunner, x: Tensor | None = None) -> None:
        """Add a batch to the sums and, if ``x`` is given, its held-out fifth to the held-out sums as well."""
        self._rule = None
        # Rows are gathered in the order of a single process, so the sums are bitwise the same as with one process.
        # Rows are also smaller than moments.
        held = torch.zeros_like(numbers, dtype=torch.bool) if x is None else held_out(x)
        features, numbers, held = (runner.gather(rows) for rows in (features, numbers, held))
        with full_precision(features):
            self.merge(*self.totals(features, numbers))
            self.moments.addmm_(features.T, features)
            if self.strength is None:
                kept = features[held]
                self.held_moments.addmm_(kept.T, kept)
                self.held_sums += self.totals(kept, numbers[held])[0]
                self.n_held += len(kept)

    # -- answering ------------------------------------------------------------------------------------------------

    def compare(self, features: Tensor) -> Tensor:
        """Return ``φᵀ W`` ``(n, C)``."""
        if self._rule is None:
            self._rule = self._solve()
        with full_precision(features):
            return self.without_unseen(features @ self._rule.to(features))

    def chosen_strength(self) -> float:
        """Return ``λ``: the given value, or the best one on the examples held out so far."""
        if self.strength is not None:
            return self.strength
        scale = float(self.moments.diagonal().mean()) or 1.0
        if not self.n_held:
            return MIDDLE * scale
        moments, sums = _double(self.moments - self.held_moments), _double(self._sums() - self.held_sums)
        held_moments, held_sums = _double(self.held_moments), _double(self.held_sums)
        errors = []
        for strength in STRENGTHS:
            if (weight := _ridge(moments, sums, strength * scale)) is None:
                errors.append(torch.tensor(torch.inf))
            else:  # ‖Φ W − Y‖² without the constant ‖Y‖²
                errors.append((weight * (held_moments @ weight - 2 * held_sums.T)).sum())
        return STRENGTHS[int(torch.stack(errors).argmin())] * scale

    def _sums(self) -> Tensor:
        """Return the sum of ``φ`` over the examples of each class ``(C, D)``."""
        return self.means * self.counts[:, None]

    def _solve(self) -> Tensor:
        strength = self.chosen_strength()
        weight = _ridge(_double(self.moments), _double(self._sums()), strength)
        if weight is None:
            raise ValueError(
                f"{type(self).__name__}'s strength {strength:g} is too small for moments in {self.moments.dtype}: set "
                "a larger --model.strength, or null to have it chosen"
            )
        return weight


MIDDLE = 1e-2
"""The strength while no example is held out, in multiples of the mean diagonal of the second moments."""


def held_out(x: Tensor) -> Tensor:
    """Return which examples ``(n, *X)`` are held out ``(n,)``: one in five, by a hash of the example's content.

    Example:
        >>> x = torch.rand(1000, 8, generator=torch.Generator().manual_seed(0))
        >>> int(held_out(x).sum()), bool((held_out(x[:1]) == held_out(x)[:1]).all())
        (219, True)
    """
    words = x.flatten(1).to(torch.float32).contiguous().view(torch.int32).long()
    # A multiplicative hash: a sum of products with odd random numbers, modulo 2⁶⁴. Its upper bits are nearly random.
    draws = torch.randint(2**62, (words.shape[1],), generator=torch.Generator().manual_seed(0)).mul(2).add(1)
    mixed = (words * draws.to(x.device)).sum(1)
    return (mixed >> 33) % HELD_OUT == 0


def _double(tensor: Tensor) -> Tensor:
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()  # MPS has no double precision


def _ridge(moments: Tensor, sums: Tensor, strength: float) -> Tensor | None:
    """Return ``(moments + strength · I)⁻¹ sumsᵀ`` ``(D, C)``, or None if rounding made the matrix singular."""
    shifted = moments.clone()
    shifted.diagonal().add_(strength)
    factor, info = torch.linalg.cholesky_ex(shifted)
    return None if info else torch.cholesky_solve(sums.T, factor)


def _forget_rule(learner: Any, incompatible: Any) -> None:
    learner._rule = None
