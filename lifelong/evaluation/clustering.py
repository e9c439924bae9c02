"""Clustering with the learnt metric: k-means on the embedding of held-out examples, compared with their classes.

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
"""Examples that are embedded at once."""


class Clustering(AfterEvaluation):
    """Group unlabelled held-out examples by k-means on the learner's embedding and compare groups with classes.

    Of every domain's validation or test part, whichever was evaluated, it draws some classes and examples of each,
    embeds them and looks for as many groups as there are classes. The adjusted Rand index and the normalised mutual
    information are 1 for the classes themselves; for random groups the first is 0 on average, the second is not. They
    are means over draws with 95 % intervals, printed and written to ``clustering_<part>.json``; ``fit`` logs them after
    every experience.

    Needs the extra ``clustering``. From the command line, in ``fit``, ``validate`` and ``test``:
    ``--trainer.callbacks+=lifelong.evaluation.Clustering --trainer.callbacks.n_classes=10``.

    No label reaches the groups. But a strategy that chooses parameters by a support set is given one labelled
    evaluation task of the domain, and norm layers with batch statistics see up to 512 examples at once.

    Args:
        n_classes: classes in a draw; all that are held out where there are fewer.
        n_examples: examples of each class in a draw; all of it where there are fewer.
        n_draws: draws of classes and examples per domain.

    Raises:
        ValueError: when scikit-learn is missing, a domain is regression or holds out a single class, or a setting is
            out of range.

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
        """What was measured last, as in the file."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuse what cannot work before any time is spent."""
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
        """Draw, embed, group and compare, in every domain; all processes do the same."""
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
            if trainer.state.fn == "fit":  # elsewhere there is no logger, and Lightning would print them once more
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
    """Draw the indices ``(n,)`` of examples, in random order, and the number of each one's class.

    Args:
        pool: where they are from; of the variants of a class one is taken.
        n_classes: at most so many classes.
        n_examples: at most so many examples of each.
        rng: decides which.
    """
    families = rng.choice(pool.n_classes, min(n_classes, pool.n_classes), replace=False)
    members = [pool.members[f * pool.n_variants + rng.integers(pool.n_variants)] for f in families]
    picked = [rng.choice(m, min(n_examples, len(m)), replace=False) for m in members]
    # In random order, because classes that stand together would also be normalised together.
    order = rng.permutation(sum(len(p) for p in picked))
    return np.concatenate(picked)[order], np.repeat(np.arange(len(picked)), [len(p) for p in picked])[order]


def group(features: Array, n_groups: int) -> Integers:
    """Assign each row to a group by k-means, the best of 10 starts with fixed seeds.

    Args:
        features: ``(n, D)``.
        n_groups: how many groups.

    Example:
        >>> group(np.array([[0.0], [9.0], [0.1], [9.1]]), 2).tolist() in ([0, 1, 0, 1], [1, 0, 1, 0])
        True
    """
    from sklearn.cluster import KMeans  # type: ignore[import-untyped, unused-ignore]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer different points than groups: the indices show that
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
        result: what :class:`Clustering` measured.
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
    """Return the parameters that the strategies choose for a domain, by its first evaluation task."""
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
