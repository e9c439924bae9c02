"""Infer a support set's experience by its signature, and measure how well an entry learns a support set.

Shapes: ``S`` support examples, ``N`` ways, ``*X`` one input, ``E`` experiences, ``F`` features of a signature.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lifelong.compute.evaluating import evaluating
from lifelong.compute.params import Params
from lifelong.compute.runner import TaskRunner
from lifelong.data.position import Visit
from lifelong.learners.base import Learner
from lifelong.networks.heads import apply_embedding

VARIANCE_FLOOR = 1e-6
"""Added to the variance, so that features that hardly vary do not dominate the distance."""


class Signatures:
    """Compare the signature of a support set with those of experiences, by standardised distance.

    Example:
        >>> signatures = Signatures()
        >>> ones = torch.ones(1)
        >>> signatures.of_experiences += [{"mean": n * ones, "variance": ones, "sizes": ones} for n in (0, 4)]
        >>> [round(float(d), 3) for d in signatures.distances(3 * ones)]
        [9.0, 1.0]
    """

    def __init__(self) -> None:
        self.of_experiences: list[dict[str, Tensor]] = []
        """Mean and variance ``(F,)`` over support sets, and the size of the block of each feature."""
        self._compared: tuple[Tensor, Tensor, Tensor] | None = None

    def add(self, signature: dict[str, Tensor]) -> None:
        """Add the signature of another experience."""
        self.of_experiences.append(signature)
        self._compared = None

    def replace(self, signatures: list[dict[str, Tensor]]) -> None:
        """Replace the signatures of all experiences, as from a checkpoint."""
        self.of_experiences, self._compared = signatures, None

    def distances(self, signature: Tensor) -> Tensor:
        """Return the distance ``(E,)`` of a signature ``(F,)`` to those of experiences."""
        means, variance, sizes = self._comparison(signature.device)
        # Every block of the signature has the same weight, whatever its size.
        return ((signature - means).square() / (variance + VARIANCE_FLOOR) / sizes).sum(-1)

    def _comparison(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Return means ``(E, F)``, variance and block sizes ``(F,)``, for comparison with a signature."""
        if self._compared is None:
            known = self.of_experiences
            mean, variance = (torch.stack([s[key] for s in known]) for key in ("mean", "variance"))
            self._compared = (mean.to(device), variance.mean(0).to(device), known[0]["sizes"].to(device))
        return self._compared


def describe(learner: Learner, visit: Visit, runner: TaskRunner, n_tasks: int) -> dict[str, Tensor]:
    """Return the signature of an experience, estimated from newly drawn support sets.

    Args:
        learner: learner whose network computes the embeddings, in evaluation mode as for routing.
        visit: the visit to the experience.
        runner: sums over all processes.
        n_tasks: number of support sets, over all processes.
    """
    params = {name: p.detach() for name, p in learner.meta_parameters().items()}
    sums: list[Tensor] = []
    with evaluating(learner.network), torch.no_grad():
        for _, batch in visit.batches("signature", n_tasks):
            for support_x in batch.support_x:
                blocks = signature_of(learner, params, support_x)
                block = torch.cat(blocks).double()
                sums.append(torch.stack([block, block.square()]))
    mean, square = runner.sum(torch.stack(sums).sum(0)) / n_tasks
    sizes = torch.cat([torch.full_like(b, len(b)) for b in blocks])
    return {"mean": mean.float(), "variance": (square - mean.square()).clamp_min(0).float(), "sizes": sizes}


def signature_of(learner: Learner, params: Params, x: Tensor) -> list[Tensor]:
    """Return the blocks of a signature: means and standard deviations of the inputs, then of the embedding.

    Args:
        learner: learner whose network computes the embedding.
        params: parameters of the trunk.
        x: ``(S, *X)`` a support set.
    """
    # The network's embedding, as the learner's own may change between experiences (SimpleShot's centre does).
    features = apply_embedding(learner.network, params, x)
    blocks = [features.mean(0), features.std(0, correction=0)]
    if x.dim() == 4:
        across, down = (x.diff(dim=d).abs().mean((0, 2, 3)) for d in (-1, -2))
        return [torch.cat([x.mean((0, 2, 3)), x.std((0, 2, 3)), across, down]), *blocks]
    if not x.is_floating_point():
        return blocks  # the mean of token indices has no meaning
    flat = x.flatten(1)
    return [flat.mean(0), flat.std(0, correction=0), *blocks]


def held_out_loss(learner: Learner, params: Params, x: Tensor, y: Tensor) -> Tensor:
    """Return the two-fold cross-validation loss on the support set; with one shot, the training loss.

    Args:
        learner: the learner that adapts and predicts.
        params: parameters of the trunk with an entry.
        x: ``(S, *X)`` a support set.
        y: ``(S, N)`` or ``(S, *Y)`` its targets.
    """
    half = len(x) // 2
    if half < y.shape[-1]:
        return learner.objective.loss(learner.predict(params, learner.adapt(params, x, y), x), y)
    first, second = (x[:half], y[:half]), (x[half:], y[half:])
    losses = [
        learner.objective.loss(learner.predict(params, learner.adapt(params, *known), new[0]), new[1])
        for known, new in ((first, second), (second, first))
    ]
    return torch.stack(losses).mean()
