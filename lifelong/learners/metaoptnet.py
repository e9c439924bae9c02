"""MetaOptNet: a multi-class support vector machine as the head of a learnt embedding.

Shapes: ``S`` support and ``Q`` query examples, ``N`` ways, ``D`` features.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.compute.params import Params
from lifelong.learners.base import Learner
from lifelong.learners.features import precise
from lifelong.utilities.ranges import check_number

# An error of e in the objective means an error of about √e in its argument, so the solver's default 1e-8 is too coarse.
SOLVER = {"solve_method": "Clarabel", "tol_gap_abs": 1e-10, "tol_gap_rel": 1e-10, "tol_feas": 1e-10}
"""Solver settings of cvxpylayers: an interior-point method, as exact as double precision allows."""


class MetaOptNet(Learner):
    """Classify by a multi-class SVM: logits ``α f(x)ᵀ Σ_s a_s f(x_s)``, ``a (S, N)`` the solution of its dual program.

    ``min ½ Σ_n a_nᵀ (K + ε I) a_n − Σ_sn a_sn y_sn`` such that ``a_sn ≤ C y_sn`` and ``Σ_n a_sn = 0``, with the kernel
    ``K = f(X) f(X)ᵀ``; ``α`` is learnt. cvxpylayers solves the program on the CPU in double precision, always
    sequentially over the tasks, and its solution can be differentiated once. A 5-way 5-shot task takes some tens of
    milliseconds.

    Args:
        network: the embedding ``f``: ``(n, *X)`` to ``(n, D)``.
        penalty: ``C``, the penalty of examples inside the margin.
        regulariser: ``ε``, which makes the solution unique.
        scale: initial ``α``.

    Raises:
        ValueError: when cvxpylayers is not installed, or the penalty or the regulariser is not positive.

    Reference:
        Lee et al., "Meta-Learning with Differentiable Convex Optimization", CVPR 2019. Differences: the solver is
        cvxpylayers' (theirs runs in batches on the GPU); the defaults of ``C`` and ``ε`` are those of their code.

    Example:
        >>> MetaOptNet.__init__.__kwdefaults__["penalty"]
        0.1
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        penalty: float = 0.1,
        regulariser: float = 1.0,
        scale: float = 1.0,
    ) -> None:
        super().__init__(network)
        if importlib.util.find_spec("cvxpylayers") is None:
            raise ValueError(
                "MetaOptNet solves a quadratic program with cvxpylayers, which is not installed: pip install -c "
                "constraints.txt -e '.[convex]', or choose lifelong.learners.R2D2, which needs no solver"
            )
        check_number("--model.scale", scale)
        for name, value in (("penalty", penalty), ("regulariser", regulariser)):
            check_number(f"--model.{name}", value, above=0, hint=", as its program has one solution only then")
        self.penalty, self.regulariser = penalty, regulariser
        self.scale = nn.Parameter(torch.tensor(float(scale)))

    def embed(self, params: Params, x: Tensor) -> Tensor:
        """Return ``f(x)`` ``(n, D)``."""
        return self.apply_network(params, x).flatten(1)

    def adapt(self, params: Params, support_x: Tensor, support_y: Tensor) -> Tensor:
        """Return the weights ``Σ_s f(x_s) a_s`` ``(D, N)``."""
        features = self.embed(params, support_x)
        with torch.autocast(features.device.type, enabled=False):
            features = precise(features)
            labels = support_y.to(features.dtype)
            noise = self.regulariser * torch.eye(len(features), dtype=features.dtype, device=features.device)
            root = torch.linalg.cholesky(features @ features.T + noise)
            dual: Tensor = _Dual.apply(root.T, self.penalty * labels, labels)  # type: ignore[no-untyped-call]
            return features.T @ dual

    def predict(self, params: Params, state: Tensor, query_x: Tensor) -> Tensor:
        """Return logits ``(Q, N)``."""
        features = self.embed(params, query_x)
        with torch.autocast(features.device.type, enabled=False):
            return params["scale"] * (precise(features) @ state)


@lru_cache(maxsize=16)
def _layer(n_support: int, n_way: int) -> Callable[..., tuple[Tensor]]:
    """Return the program for a task size: ``min ½ ‖R a‖² − Σ a y`` such that ``a ≤ C y`` and its rows sum to zero."""
    import cvxpy
    from cvxpylayers.torch import CvxpyLayer

    root, dual = cvxpy.Parameter((n_support, n_support)), cvxpy.Variable((n_support, n_way))
    most, labels = (cvxpy.Parameter((n_support, n_way)) for _ in range(2))
    cost = 0.5 * cvxpy.sum_squares(root @ dual) - cvxpy.sum(cvxpy.multiply(labels, dual))
    program = cvxpy.Problem(cvxpy.Minimize(cost), [dual <= most, cvxpy.sum(dual, axis=1) == 0])
    return CvxpyLayer(program, parameters=[root, most, labels], variables=[dual])  # type: ignore[no-any-return]


def _solve(root: Tensor, most: Tensor, labels: Tensor) -> Tensor:
    layer = _layer(*labels.shape)
    (dual,) = layer(*(t.cpu().double() for t in (root, most, labels)), solver_args=SOLVER)
    return dual.to(root)


class _Dual(torch.autograd.Function):
    """Compute the solution ``(S, N)``, because cvxpylayers supports neither ``vmap`` nor ``torch.func.grad``."""

    @staticmethod
    def forward(root: Tensor, most: Tensor, labels: Tensor) -> Tensor:
        return _solve(root.detach(), most.detach(), labels.detach())

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _PulledBack.apply(*ctx.saved_tensors, gradient), None, None  # type: ignore[no-untyped-call]

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Tensor) -> tuple[Tensor, int]:
        return _in_turn(_Dual, info.batch_size, in_dims, inputs)


class _PulledBack(torch.autograd.Function):
    """Compute the gradient ``(S, S)`` with respect to ``R`` by solving the program again, as no graph is kept."""

    @staticmethod
    def forward(root: Tensor, most: Tensor, labels: Tensor, gradient: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = root.detach().requires_grad_()
            (pulled,) = torch.autograd.grad(_solve(leaf, most.detach(), labels.detach()), leaf, gradient.detach())
        return pulled

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> None:
        raise ValueError(
            "MetaOptNet's solution can be differentiated once only, and something asked for a second derivative: "
            "choose lifelong.learners.R2D2 for that"
        )

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Tensor) -> tuple[Tensor, int]:
        return _in_turn(_PulledBack, info.batch_size, in_dims, inputs)


def _in_turn(
    function: type[torch.autograd.Function], n: int, in_dims: tuple[int | None, ...], inputs: tuple[Tensor, ...]
) -> tuple[Tensor, int]:
    tasks = ([t if d is None else t.select(d, i) for t, d in zip(inputs, in_dims, strict=True)] for i in range(n))
    return torch.stack([function.apply(*task) for task in tasks]), 0  # type: ignore[no-untyped-call]
