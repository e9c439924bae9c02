"""Clustering in the learnt embedding: k-means on the embedding of held-out examples, compared with their classes.

Shapes: ``n`` examples, ``*X`` one input, ``D`` features, ``R`` draws.
"""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from rich import box
from rich.table import Table
from rich.text import Text
from torch import Tensor

from lifelong.compute.params import Params, floating_type
from lifelong.data.kinds import Part
from lifelong.data.pool import Pool
from lifelong.data.sampling import generator
from lifelong.data.stream_datamodule import StreamDataModule, stream_data
from lifelong.evaluation.after_evaluation import AfterEvaluation
from lifelong.evaluation.estimate import Array, Estimate
from lifelong.evaluation.intervals import interval
from lifelong.evaluation.tables import shorten
from lifelong.learners.base import Learner
from lifelong.training.stream_module import StreamModule
from lifelong.utilities.quiet import console
from lifelong.utilities.ranges import check_number

Integers = NDArray[np.int64]
SCORES = ("adjusted_rand_index", "normalised_mutual_information")
CHUNK = 512
"""Number of examples embedded at once."""


class Clustering(AfterEvaluation):
    """Group unlabelled held-out examples by k-means on the learner's embedding and compare groups with classes.

    For each domain, it draws classes and examples from the validation or test part that was evaluated, embeds them and
    runs k-means with as many groups as there are classes. The adjusted Rand index and the normalised mutual information
    are 1 if the groups equal the classes; for random groups the expected value of the former is 0, that of the latter
    is above 0. Means over draws with 95 % intervals are printed and written to ``clustering_<part>.json``; ``fit`` logs
    them after each experience.

    It needs the extra ``clustering``. On the command line of ``fit``, ``validate`` and ``test``, add
    ``--trainer.callbacks+=lifelong.evaluation.Clustering --trainer.callbacks.n_classes=10``.

    The clustering uses no labels. However, a strategy that selects parameters by a support set receives one labelled
    evaluation task of the domain, and norm layers with batch statistics see up to 512 examples at once.

    Args:
        n_classes: number of classes in a draw; all held-out classes if there are fewer.
        n_examples: number of examples per class in a draw; all examples of a class if there are fewer.
        n_draws: number of draws of classes and examples per domain.

    Raises:
        ValueError: when scikit-learn is missing, a domain is a regression problem or has a single held-out class, or an
            argument is out of range.

    Reference:
        Hubert & Arabie, "Comparing partitions", Journal of Classification 1985 (adjusted Rand index); the mutual
        information is divided by the mean of both entropies, as in scikit-learn.

    Example:
        >>> Clustering(n_classes=10, n_draws=3).n_examples
        20
    """

    def __init__(self, *, n_classes: int = 20, n_examples: int = 20, n_draws: int = 5) -> None:
        for name, value, least in (("n_classes", n_classes, 2), ("n_examples", n_examples, 2), ("n_draws", n_draws, 1)):
            check_number(f"Clustering's {name}", value, least=least, whole=True)
        self.n_classes, self.n_examples, self.n_draws = n_classes, n_examples, n_draws
        self.result: dict[str, Any] | None = None
        """The last measurement, as written to the file."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Raise an error before training if clustering is not possible on these data."""
        if importlib.util.find_spec("sklearn") is None:
            raise ValueError("Clustering needs scikit-learn: pip install -c constraints.txt -e '.[clustering]'")
        stream = stream_data(trainer).stream
        for pool in (*stream.val, *stream.test):
            if pool.is_regression or pool.n_classes < 2:
                obstacle = "is regression" if pool.is_regression else f"has {pool.n_classes} class"
                raise ValueError(
                    f"Clustering needs two held-out classes or more, but {pool.name} {obstacle}: leave it out"
                )

    def measure(self, trainer: L.Trainer, module: StreamModule, part: Part) -> None:
        """Draw, embed, cluster and compare in every domain; all processes do the same."""
        data = stream_data(trainer)
        pools = data.stream.val if part == "val" else data.stream.test
        scores = np.stack([self._domain(module, data, part, d, pool) for d, pool in enumerate(pools)], axis=1)
        self.result = {"part": part, "domains": list(data.stream.domains)}
        self.result["n_classes"] = [min(self.n_classes, pool.n_classes) for pool in pools]
        if trainer.state.fn == "fit":
            self.result["after"] = data.stream.experiences[trainer.current_epoch].name
        for name, values in zip(SCORES, scores, strict=True):
            mean, half_width = interval(values)
            self.result[name] = {"mean": mean.tolist(), "half_width": half_width.tolist()}
            if trainer.state.fn == "fit":  # elsewhere there is no logger, and Lightning would print them a second time
                logged = {f"{part}/{name}/{d}": float(m) for d, m in zip(data.stream.domains, mean, strict=True)}
                module.log_dict(logged, rank_zero_only=False, sync_dist=False)
        self.write(f"clustering_{part}.json", self.result, trainer)

    def tell(self, trainer: L.Trainer, module: StreamModule) -> None:
        """Print a row per domain."""
        if self.result is not None:
            console().print(clustering_table(self.result))
            self.say_where(trainer, f"clustering_{self.result['part']}.json")

    def _domain(self, module: StreamModule, data: StreamDataModule, part: Part, number: int, pool: Pool) -> Array:
        """Return both indices of every draw, ``(2, R)``."""
        learner, params = module.learner, route_to(module, data, part, number)
        values = []
        for draw in range(self.n_draws):
            rng = generator(data.split_seed, "clustering", number, draw)
            indices, classes = draw_examples(pool, self.n_classes, self.n_examples, rng)
            values.append(agreement(group(_embed(learner, params, pool, indices), len(np.unique(classes))), classes))
        return np.array(values).T


def draw_examples(pool: Pool, n_classes: int, n_examples: int, rng: np.random.Generator) -> tuple[Integers, Integers]:
    """Draw examples: return their indices ``(n,)``, in random order, and their class numbers ``(n,)``.

    Args:
        pool: the examples to draw from; of each class one variant is used.
        n_classes: maximum number of classes.
        n_examples: maximum number of examples per class.
        rng: random generator.
    """
    families = rng.choice(pool.n_classes, min(n_classes, pool.n_classes), replace=False)
    members = [pool.members[f * pool.n_variants + rng.integers(pool.n_variants)] for f in families]
    picked = [rng.choice(m, min(n_examples, len(m)), replace=False) for m in members]
    # In random order: norm layers with batch statistics would otherwise normalise classes separately.
    order = rng.permutation(sum(len(p) for p in picked))
    return np.concatenate(picked)[order], np.repeat(np.arange(len(picked)), [len(p) for p in picked])[order]


def group(features: Array, n_groups: int) -> Integers:
    """Assign each row to a group by k-means, the best of 10 starts with fixed seeds.

    Args:
        features: ``(n, D)``.
        n_groups: number of groups.

    Example:
        >>> group(np.array([[0.0], [9.0], [0.1], [9.1]]), 2).tolist() in ([0, 1, 0, 1], [1, 0, 1, 0])
        True
    """
    from sklearn.cluster import KMeans  # type: ignore[import-untyped, unused-ignore]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer distinct points than groups: the indices show it
        groups: Integers = KMeans(n_groups, n_init=10, random_state=0).fit_predict(features)
    return groups


def agreement(groups: Integers, classes: Integers) -> tuple[float, float]:
    """Compute adjusted Rand index and normalised mutual information of two partitions ``(n,)``.

    Example:
        >>> agreement(np.array([0, 0, 1, 1]), np.array([5, 5, 3, 3]))
        (1.0, 1.0)
    """
    from sklearn.metrics import (  # type: ignore[import-untyped, unused-ignore]
        adjusted_rand_score,
        normalized_mutual_info_score,
    )

    return float(adjusted_rand_score(classes, groups)), float(normalized_mutual_info_score(classes, groups))


def clustering_table(result: dict[str, Any]) -> Table:
    """Make the table of both indices of every domain with their 95 % intervals.

    Args:
        result: the result of :class:`Clustering`.
    """
    title = f"k-means on the embedding of {result['part']} examples (95 % CI over draws)"
    table = Table(box=box.SIMPLE_HEAD, title=Text(title), title_justify="left")
    table.add_column("domain", no_wrap=True)
    for name in ("classes", "adjusted Rand index ↑", "normalised mutual information ↑"):
        table.add_column(name, justify="right")
    for d, domain in enumerate(result["domains"]):
        estimates = [Estimate(result[name]["mean"][d], result[name]["half_width"][d]) for name in SCORES]
        table.add_row(Text(shorten(domain)), str(result["n_classes"][d]), *(e.text(3) for e in estimates))
    return table


def route_to(module: StreamModule, data: StreamDataModule, part: Part, domain: int) -> Params:
    """Return the parameters that the strategies select for a domain by its first evaluation task."""
    learner, runner = module.learner, module.runner
    if not runner.is_routed:
        return learner.meta_parameters()
    batch = data.draw_for_evaluation(part, domain, [0]).gather(learner.device)
    with torch.inference_mode(False), torch.no_grad():
        x = _as_parameters(learner, batch.support_x[0])
        y = learner.objective.encode(batch.support_y[0], batch.n_way).to(x.dtype)
        return runner.route(learner.meta_parameters(), x, y)


def _embed(learner: Learner, params: Params, pool: Pool, indices: Integers) -> Array:
    chunks = np.array_split(indices, -(-len(indices) // CHUNK))
    with torch.inference_mode(False), torch.no_grad():
        features = [learner.embed(params, _as_parameters(learner, pool.gather(c, learner.device))) for c in chunks]
        embedded: Array = torch.cat(features).double().cpu().numpy()
    return embedded


def _as_parameters(learner: Learner, x: Tensor) -> Tensor:
    return x.to(floating_type(learner.network.parameters())) if x.is_floating_point() else x
