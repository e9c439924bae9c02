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
"""One of so many examples is held out."""
STRENGTHS = tuple(10.0**k for k in (-6, -4, -3, -2.5, -2, -1.5, -1, -0.5, 0, 1))
"""What is tried, times the mean diagonal of the second moments: finer where the best one mostly is."""


class StreamingRidge(RunningMeans):
    """Classify by ridge regression on fixed features: ``φᵀ W``, ``W = (Σ_i φ_i φ_iᵀ + λ I)⁻¹ Σ_i φ_i e_{y_i}ᵀ``.

    ``φ`` is what the network's head receives, or its output where it has no head; take a network that has been trained
    elsewhere. The sums move with every example and are exactly those of all examples so far, whatever the batches, the
    order of the classes and the number of processes: a stream is learnt as if all of it were there at once, without
    a stored example, and nothing is forgotten. Leave ``--data.passes`` at 1, as an example counts each time that it
    comes. ``W`` is solved for evaluation, in double precision.

    Where no strength is given, every fifth example by its content is held out, ``λ`` is the one of ten from 1e-6 to 10
    times ``mean_d (Σ_i φ_id²)`` with the least squared error on the examples held out so far, which their own sums
    give exactly, and ``W`` is then solved from all examples.

    Args:
        network: ``(n, *X)`` to ``(n, D)``, or with a head.
        strength: ``λ``; None has it chosen on held-out training examples, for a second matrix of ``D × D``.
        transform: transformation of the features: ``none``, ``l2`` (to unit length) or ``sqrt`` (signed square root).
        train_embedding: train the network as a classifier: ``false``, ``true`` (every experience) or ``first`` (the first
            one only).

    Raises:
        ValueError: when the strength is not above 0, is too small for the precision, or a strategy has nothing to
            protect.

    Reference:
        Zhuang et al., "ACIL: Analytic Class-Incremental Learning with Absolute Memorization and Privacy Protection",
        NeurIPS 2022. Differences: it keeps the inverse and updates that, we keep the sums and solve, which is the same
        but for rounding and lets the strength be chosen late; the random layer before the regression is
        :class:`~lifelong.learners.RanPAC`'s.

    Example:
        >>> learner = StreamingRidge(nn.Flatten(), strength=1.0)
        >>> learner.make_room(n_classes=2, n_features=2)
        >>> learner.absorb(torch.eye(2), torch.tensor([0, 1]), TaskRunner())
        >>> learner.compare(torch.tensor([[1.0, 3.0]])).tolist()
        [[0.5, 1.5]]
    """

    moments: Tensor
    """``(D, D)`` the sum of ``φ φᵀ`` over all examples."""
    held_moments: Tensor
    """``(D, D)`` the same over those that are held out; ``(0, 0)`` where the strength is given."""
    held_sums: Tensor
    """``(C, D)`` the sum of ``φ`` over those of each class that are held out."""
    n_held: Tensor
    """How many are held out."""

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
        """Register means and second moments."""
        super().make_room(n_classes, n_features)
        n_kept = self.means.shape[1]
        n_held = n_kept if self.strength is None else 0
        self.register_buffer("moments", self.means.new_zeros(n_kept, n_kept))
        self.register_buffer("held_moments", self.means.new_zeros(n_held, n_held))
        self.register_buffer("held_sums", self.means.new_zeros(n_classes, n_held))
        self.register_buffer("n_held", self.counts.new_zeros(()))

    def grow(self, n_outputs: int) -> None:
        """Make room for at least so many classes."""
        super().grow(n_outputs)
        if hasattr(self, "held_sums") and (n_new := n_outputs - len(self.held_sums)) > 0:
            self.held_sums = torch.cat([self.held_sums, self.held_sums.new_zeros(n_new, self.held_sums.shape[1])])

    def absorb(self, features: Tensor, numbers: Tensor, runner: TaskRunner, x: Tensor | None = None) -> None:
        """Take some examples into the sums; of ``x``, where given, the fifth part that is held out into others too."""
        self._rule = None
        # Rows of all processes in the order of one: the sums are the same bit for bit, and rows are less than moments.
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
        """Return ``λ``: the given one, or the best on the examples held out so far."""
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
            else:  # ‖Φ W − Y‖² but for ‖Y‖²
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
"""Times the mean diagonal of the second moments: the strength while no example is held out."""


def held_out(x: Tensor) -> Tensor:
    """Tell which examples ``(n, *X)`` are held out ``(n,)``: one of five, by nothing but the example's own numbers.

    Example:
        >>> x = torch.rand(1000, 8, generator=torch.Generator().manual_seed(0))
        >>> int(held_out(x).sum()), bool((held_out(x[:1]) == held_out(x)[:1]).all())
        (219, True)
    """
    words = x.flatten(1).to(torch.float32).contiguous().view(torch.int32).long()
    # A sum of products with odd random numbers, modulo 2⁶⁴; its upper bits are as good as random.
    draws = torch.randint(2**62, (words.shape[1],), generator=torch.Generator().manual_seed(0)).mul(2).add(1)
    mixed = (words * draws.to(x.device)).sum(1)
    return (mixed >> 33) % HELD_OUT == 0


def _double(tensor: Tensor) -> Tensor:
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()  # which Apple's devices do not have


def _ridge(moments: Tensor, sums: Tensor, strength: float) -> Tensor | None:
    """Return ``(moments + strength · I)⁻¹ sumsᵀ`` ``(D, C)``; None where rounding left nothing to invert."""
    shifted = moments.clone()
    shifted.diagonal().add_(strength)
    factor, info = torch.linalg.cholesky_ex(shifted)
    return None if info else torch.cholesky_solve(sums.T, factor)


def _forget_rule(learner: Any, incompatible: Any) -> None:
    learner._rule = None
