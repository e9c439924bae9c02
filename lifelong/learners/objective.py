"""Objectives: the training loss, the evaluation score, and the likelihood behind the loss.

Shapes: ``Q`` examples of one task, ``N`` ways, ``*Y`` one target. Inside a task, labels are one-hot rows ``(Q, N)``:
the number of ways is then a static shape (``vmap`` needs one) and class means are a matrix product.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

TaskKind = Literal["classification", "regression"]
"""Whether tasks have classes or real targets."""


def one_hot(index: Tensor, n: int) -> Tensor:
    """Return rows ``(…, n)`` that are true at ``index``; unlike torch's ``one_hot``, this works under ``vmap``."""
    return index[..., None] == torch.arange(n, device=index.device)


def accuracies(outputs: Tensor, labels: Tensor) -> Tensor:
    """Return the share ``(B,)`` of each task's examples whose largest output ``(B, Q, N)`` is at the label."""
    hits = outputs.argmax(-1) == labels
    return hits.to(torch.promote_types(outputs.dtype, torch.float32)).mean(-1)


def accuracy(output: Tensor, target: Tensor) -> Tensor:
    """Return the share of examples whose largest output ``(Q, N)`` is at the one-hot label ``(Q, N)``."""
    hits = (one_hot(output.argmax(-1), output.shape[-1]) * target).sum(-1)
    return hits.to(torch.promote_types(output.dtype, torch.float32)).mean()  # 24/25 is 0.961 in half precision


class Objective(ABC):
    """Define loss and score of one task, both means over its examples; a higher score is better."""

    task: TaskKind | None = None
    """The kind of tasks that the objective supports; None disables this check."""
    score_name: str
    """Name of the score in tables and plots."""
    percent: bool
    """Whether the score is a share, shown in percent."""

    @abstractmethod
    def encode(self, y: Tensor, n_way: int) -> Tensor:
        """Return the targets of a batch in the form that a learner receives."""

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss over the examples, a scalar."""

    @abstractmethod
    def score(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the mean score over the examples, a scalar; higher is better."""

    def scores(self, outputs: Tensor, y: Tensor, n_way: int) -> Tensor:
        """Return the score of each task ``(B,)`` from outputs ``(B, Q, …)`` and the batch's unencoded targets."""
        return torch.func.vmap(self.score)(outputs, self.encode(y, n_way).to(outputs.dtype))

    @abstractmethod
    def sample(self, output: Tensor, uniform: Tensor) -> Tensor:
        """Draw targets from the model's predictive distribution, given uniform numbers of ``output``'s shape."""

    @abstractmethod
    def score_directions(self, output: Tensor) -> Tensor:
        """Return vectors ``v_k (K, Q, *Y)`` with ``Σ_k v_k v_kᵀ`` the loss's Fisher matrix with respect to the outputs.

        Every ``v_k`` is non-zero for one example only, so the exact diagonal Fisher of the parameters is
        ``Σ_k (Jᵀ v_k)²`` per example, summed over the examples.
        """

    @abstractmethod
    def prediction(self, output: Tensor) -> Tensor:
        """Return human-readable predictions: class probabilities, or the predicted value."""


class Classification(Objective):
    """Compute cross-entropy on logits ``(Q, N)``; the score is the accuracy."""

    task: TaskKind | None = "classification"
    score_name = "accuracy"
    percent = True

    def encode(self, y: Tensor, n_way: int) -> Tensor:
        """Return one-hot rows ``(…, N)``."""
        return one_hot(y, n_way)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return ``−1/Q Σ_q Σ_n target_qn log softmax(output_q)_n``."""
        return F.cross_entropy(output, target)

    def score(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the share of examples whose largest logit is at the label; labels outside the ways count as wrong."""
        return accuracy(output, target)

    def scores(self, outputs: Tensor, y: Tensor, n_way: int) -> Tensor:
        """Return the accuracy of each task ``(B,)``."""
        return accuracies(outputs, y)

    def sample(self, output: Tensor, uniform: Tensor) -> Tensor:
        """Draw one-hot labels by the Gumbel-max trick from ``softmax(output)``."""
        gumbel = -torch.log(-torch.log(uniform.clamp(1e-12, 1 - 1e-7)))
        return one_hot((output + gumbel).argmax(-1), output.shape[-1]).to(output.dtype)

    def score_directions(self, output: Tensor) -> Tensor:
        """Return ``√p_n (e_n − p) / Q`` for every label ``n``: ``∂ log p(n) / ∂ logits``, weighted by ``√p_n``."""
        p = output.softmax(-1)
        eye = torch.eye(output.shape[-1], dtype=output.dtype, device=output.device)
        return p.T.sqrt()[:, :, None] * (eye[:, None, :] - p[None]) / output.shape[0]

    def prediction(self, output: Tensor) -> Tensor:
        """Return class probabilities."""
        return output.softmax(-1)


class Regression(Objective):
    """Compute the mean squared error on ``(Q, *Y)``; the score is its negative, so that higher is better."""

    task: TaskKind | None = "regression"
    score_name = "negative MSE"
    percent = False

    def encode(self, y: Tensor, n_way: int) -> Tensor:
        """Return the targets as they are."""
        return y

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Return ``1/n Σ (output − target)²`` over all ``n`` numbers."""
        return F.mse_loss(output, target)

    def score(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the negative mean squared error."""
        return -F.mse_loss(output, target)

    def sample(self, output: Tensor, uniform: Tensor) -> Tensor:
        """Return ``output + ε``, ``ε ~ N(0, ½)``: the Gaussian whose negative log-likelihood is the squared error."""
        noise: Tensor = torch.special.ndtri(uniform.clamp(1e-7, 1 - 1e-7))
        return output + noise / 2**0.5

    def score_directions(self, output: Tensor) -> Tensor:
        """Return ``√2 e_d / n`` for every output dimension ``d``."""
        n_dimensions = output[0].numel()
        eye = torch.eye(n_dimensions, dtype=output.dtype, device=output.device)
        directions = eye.reshape(n_dimensions, 1, *output.shape[1:]).expand(n_dimensions, *output.shape)
        return directions * 2**0.5 / output.numel()

    def prediction(self, output: Tensor) -> Tensor:
        """Return the predicted values."""
        return output


class RelationScore(Regression):
    """Compute the mean squared error of scores ``(Q, N)`` in 0 … 1 to the one-hot labels; the score is the accuracy.

    The likelihood behind the loss is that of :class:`Regression`, a Gaussian around every score: samples and the Fisher
    matrix treat the ``N`` scores of an example as ``N`` independent numbers, not as one label.
    """

    task = "classification"
    score_name = "accuracy"
    percent = True

    def encode(self, y: Tensor, n_way: int) -> Tensor:
        """Return one-hot rows ``(…, N)``."""
        return one_hot(y, n_way)

    def score(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the share of examples whose largest score is at the label."""
        return accuracy(output, target)

    def scores(self, outputs: Tensor, y: Tensor, n_way: int) -> Tensor:
        """Return the accuracy of each task ``(B,)``."""
        return accuracies(outputs, y)

    def prediction(self, output: Tensor) -> Tensor:
        """Return the scores divided by their sum; training does not calibrate these shares as probabilities."""
        return output / output.sum(-1, keepdim=True).clamp_min(torch.finfo(output.dtype).tiny)
