"""Fast context adaptation (CAVIA): the inner loop adapts only a few context parameters per task.

Shapes: ``S`` support and ``Q`` query examples, ``N`` ways, ``*X`` one input, ``*Y`` one target, ``K`` context
parameters, ``d`` elements of a conditioned parameter.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from lifelong.compute.params import Params
from lifelong.learners.gradient_learner import GradientLearner, key, own_parameters
from lifelong.learners.objective import TaskKind
from lifelong.networks.heads import has_head, in_head
from lifelong.utilities.ranges import check_number

CONTEXT = "context"


class CAVIA(GradientLearner):
    """Learn by CAVIA, MAML that adapts only a context vector: ``c' = c − α ∇_c L_support(θ, c)`` from ``c = 0``.

    ``min_{θ,U} Σ_task L_query(θ, c')``. The context ``c (K,)`` conditions the network by offsets of 1-D parameters:
    ``p ← p + U_p c`` with ``U_p (d, K)`` learnt in the outer loop. For a linear layer's bias this equals concatenating
    ``c`` to the layer's input (``U_p`` are the weights of the new inputs); for scale and shift of a norm layer it is
    FiLM. All other parameters are shared by all tasks and fixed in the inner loop.

    Args:
        network: a network with ``n_outputs`` outputs: ``(n, *X)`` to ``(n, N)`` or ``(n, *Y)``.
        task: ``classification`` (cross-entropy) or ``regression`` (mean squared error).
        n_context: ``K``, the number of context parameters.
        conditioned: names of the network's 1-D parameters that the context offsets (``body.0.bias``). Default: all 1-D
            parameters (biases and norm scales) except those of a head.
        n_inner_steps: inner gradient steps in training.
        n_eval_steps: inner gradient steps during evaluation. Default: as in training.
        inner_rate: ``α``, the learning rate of the inner steps.
        first_order: treat the inner gradients as constants (as first-order MAML does).

    Raises:
        ValueError: when the network keeps running statistics, its number of outputs differs from the number of
            ways, or a conditioned parameter is not a 1-D parameter of the network.

    Reference:
        Zintgraf, Shiarlis, Kurin, Hofmann & Whiteson, "Fast Context Adaptation via Meta-Learning", ICML 2019.
        Differences: convolutional networks are conditioned by linear offsets of their norm layers' scales and shifts
        and of their biases, whereas the paper computes FiLM's scale and shift from ``c`` for some layers; ``U`` is
        initialised like the weights of a linear layer on ``c``.

    Example:
        >>> from lifelong.networks import MLP
        >>> learner = CAVIA(MLP(n_inputs=2, hidden=[3], n_outputs=2), n_context=4)
        >>> {name: tuple(p.shape) for name, p in learner.offsets.items()}
        {'body-0-bias': (3, 4)}
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        task: TaskKind = "classification",
        n_context: int = 100,
        conditioned: Sequence[str] | None = None,
        n_inner_steps: int = 2,
        n_eval_steps: int | None = None,
        inner_rate: float = 1.0,
        first_order: bool = False,
    ) -> None:
        super().__init__(
            network,
            task=task,
            n_inner_steps=n_inner_steps,
            n_eval_steps=n_eval_steps,
            inner_rate=inner_rate,
            first_order=first_order,
        )
        check_number("--model.n_context", n_context, least=1, whole=True)
        self.n_context = n_context
        vectors = {name: p for name, p in network.named_parameters() if p.dim() == 1}
        self.conditioned = _conditioned(network, list(vectors), conditioned)
        bound = n_context**-0.5
        self.offsets = nn.ParameterDict(
            {
                key(name): nn.Parameter(torch.empty(len(vectors[name]), n_context).uniform_(-bound, bound))
                for name in self.conditioned
            }
        )

    def adapts(self, name: str) -> bool:
        """Return False, because no parameter of the network itself is adapted."""
        return False

    def moving(self, params: Params) -> Params:
        """Return the initial context, zero."""
        like = next(iter(params.values()))
        return {CONTEXT: torch.zeros(self.n_context, dtype=like.dtype, device=like.device)}

    def network_at(self, params: Params, moved: Params) -> Params:
        """Return the network's parameters, with ``p + U_p c`` for the conditioned ones."""
        offsets = {name: params[f"offsets.{key(name)}"] @ moved[CONTEXT] for name in self.conditioned}
        shifted = {f"network.{name}": params[f"network.{name}"] + offset for name, offset in offsets.items()}
        return {**own_parameters(params), **shifted}


def _conditioned(network: nn.Module, vectors: Sequence[str], names: Sequence[str] | None) -> list[str]:
    body = [name for name in vectors if not (has_head(network) and in_head(name))]
    chosen = body if names is None else list(names)
    unknown = [name for name in chosen if name not in vectors]
    if unknown or not chosen:
        wrong = repr(unknown[0]) if unknown else "nothing"
        raise ValueError(
            f"CAVIA is to condition {wrong}, but offsets need 1-D parameters of the network, which are "
            f"{', '.join(vectors) or 'none (it has no biases and no norm layers)'}: choose --model.conditioned among "
            "them, or another network"
        )
    return chosen
