"""Orthogonal subspace fine-tuning: weights change only orthogonally to their largest singular directions.

Shapes: ``m`` by ``n`` a weight matrix, ``r`` preserved directions.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from lifelong.compute.params import Params
from lifelong.compute.runner import TaskRunner
from lifelong.data.position import Position, Visit
from lifelong.learners.base import Learner
from lifelong.networks.heads import in_head
from lifelong.strategy import Strategy
from lifelong.utilities.ranges import check_number
from strategies.snapshot import to_device

NETWORK = "network."


class OSF(Strategy):
    """Fine-tune linear layers orthogonally to the ``r`` largest singular directions of ``W = U S V`` (OSF).

    With ``U₁`` ``(m, r)`` and ``V₁`` ``(r, n)`` the first ``r`` singular vectors, gradients ``G`` become
    ``(1 − U₁U₁ᵀ) G (1 − V₁ᵀV₁)``. The change of ``W`` by each optimizer step is projected in the same way, so that
    ``U₁ᵀW`` and ``W V₁ᵀ`` are preserved for every optimizer. At the start of each later experience the current weights
    are decomposed again and more directions are preserved: ``r = ⌊min(share + growth · k, most) · min(m, n)⌋`` in the
    ``k``-th protected experience, ``k = 0, 1, …``.

    Args:
        share: initial share of preserved directions; their number is relative to a matrix's smaller side.
        growth: increase of the share per experience.
        most: upper limit of the share.
        from_start: also protect the weights before the first experience, such as those of a pre-trained model.
        others: other parameters of the network: ``frozen`` while matrices are protected, or ``free``. They are biases,
            norms and embeddings; the head is always free.

    Raises:
        ValueError: when a setting is out of range, or the network has no trained linear layer below its head.

    Reference:
        Nayak et al., "Sculpting Subspaces: Constrained Full Fine-Tuning in LLMs for Continual Learning", ICLR 2026; in
        peft as ``OSFConfig``. Differences: all layers have the same share, whereas the paper's depends on how much a
        layer changes its input; the matrix itself is trained instead of its small singular factors, because the shapes
        of parameters are fixed for an optimizer; steps are projected as well as gradients; the first experience is
        unconstrained unless ``from_start`` is set.

    Example:
        >>> OSF(share=0.25).memory_bytes()
        0
    """

    protects_shared_parameters: ClassVar[bool] = True

    def __init__(
        self,
        *,
        share: float = 0.5,
        growth: float = 0.1,
        most: float = 0.9,
        from_start: bool = False,
        others: Literal["frozen", "free"] = "frozen",
    ) -> None:
        super().__init__()
        for name, value in (("share", share), ("growth", growth), ("most", most)):
            check_number(f"OSF's {name}", value, least=0, most=1, hint=", a share of a matrix's smaller side")
        self.share, self.growth, self.most = share, growth, most
        self.from_start, self.others = from_start, others
        self.left: Params = {}
        """``U₁`` of each matrix."""
        self.right: Params = {}
        """``S₁ V₁`` of each matrix; its rows are orthogonal, with the singular values as their norms."""
        self.n_begun = 0

    def attach(self, learner: Learner) -> None:
        """Refuse a network without a linear layer to protect."""
        if not _matrices(learner):
            raise ValueError(
                f"OSF protects matrices of linear layers, and {type(learner.network).__name__} trains none beside its "
                "head: take another network, or another strategy, such as EWC"
            )

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Decompose the current weights and increase the number of preserved directions."""
        n_before = self.n_begun - (not self.from_start)
        self.n_begun += 1
        if n_before < 0:
            return
        share = min(self.share + self.growth * n_before, self.most)
        self.left, self.right = {}, {}
        for name, weight in _matrices(learner).items():
            rank = int(share * min(weight.shape) + 1e-9)
            u, s, v = torch.linalg.svd(weight.detach().float(), full_matrices=False)
            self.left[name], self.right[name] = u[:, :rank].clone(), s[:rank, None] * v[:rank]

    def project(
        self, learner: Learner, gradients: dict[str, Tensor], position: Position, *, runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Return the gradients without their part in the preserved directions, and without frozen parameters."""
        if not self.left:
            return gradients
        self._move(learner.device)
        kept = {name: g for name, g in gradients.items() if not self._is_frozen(name)}
        return {name: self._outside(name, g) if name in self.left else g for name, g in kept.items()}

    def stepped(self, learner: Learner, position: Position, *, runner: TaskRunner) -> None:
        """Undo the change in the preserved directions that momentum, scaling or weight decay made in the step."""
        self._move(learner.device)
        with torch.no_grad():
            for name, u in self.left.items():
                weight, preserved = learner.get_parameter(name), u @ self.right[name]
                weight.copy_(preserved + self._outside(name, weight.float() - preserved))

    def _outside(self, name: str, matrix: Tensor) -> Tensor:
        """Return ``(1 − U₁U₁ᵀ) M (1 − V₁ᵀV₁)``."""
        u = self.left[name].to(matrix.dtype)
        v = nn.functional.normalize(self.right[name], dim=1).to(matrix.dtype)
        matrix = matrix - u @ (u.T @ matrix)
        return matrix - (matrix @ v.T) @ v

    def _is_frozen(self, name: str) -> bool:
        is_body = name.startswith(NETWORK) and not in_head(name.removeprefix(NETWORK))
        return self.others == "frozen" and is_body and name not in self.left

    def _move(self, device: torch.device) -> None:
        self.left, self.right = to_device(self.left, device), to_device(self.right, device)

    def get_extra_state(self) -> dict[str, Any]:
        """Return the preserved directions and the number of experiences begun, for the checkpoint."""
        return {"left": self.left, "right": self.right, "n_begun": self.n_begun}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the state from the checkpoint."""
        self.left, self.right, self.n_begun = state["left"], state["right"], state["n_begun"]


def _matrices(learner: Learner) -> Params:
    """Return the matrices of the trained linear layers except the head."""
    layers = {f"{n}.weight" if n else "weight": m for n, m in learner.network.named_modules() if type(m) is nn.Linear}
    return {
        NETWORK + name: layer.weight
        for name, layer in layers.items()
        if layer.weight.requires_grad and not in_head(name)
    }
