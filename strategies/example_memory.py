"""A memory for labelled examples: balanced over classes, herded, or a reservoir of the stream.

Shapes: ``M`` kept examples, ``B`` examples of a batch, ``N`` ways, ``*X`` one input, ``D`` features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lifelong.batch import Episode
from lifelong.learner import Learner
from lifelong.pool import Pool, as_input
from lifelong.sampling import generator
from lifelong.strategy import Position, Visit
from strategies.memory import Budget, Memory, Policy

EMBED_AT_ONCE = 1024
"""Examples that are embedded in one pass for herding."""


class ExampleMemory(Memory):
    """Labelled examples with the class and the experience that they came with.

    A drawn example is told apart from the classes that it would be evaluated among now: in a class-incremental stream
    all seen ones, in a task-incremental one those of its own experience.

    Args:
        budget: how much is kept.
        policy: which examples are kept.

    Raises:
        ValueError: when the budget is smaller than the number of classes, or does not suit the policy.
    """

    def __init__(self, budget: Budget, policy: Policy) -> None:
        if policy == "reservoir" and budget.per_class is not None:
            raise ValueError("a reservoir does not look at classes: bound it by budget_examples or budget_bytes")
        self.budget, self.policy = budget, policy
        self.x, self.number, self.home = torch.empty(0), _integers([]), _integers([])
        self.extra: dict[str, Tensor] = {}
        """What a strategy keeps beside each example, by name: ``(M, …)``."""
        self.n_watched = 0
        self._dtype = torch.float32
        self._ways: list[Tensor] = []
        self._table: Tensor | None = None

    def __len__(self) -> int:
        return len(self.number)

    # -- keeping --------------------------------------------------------------------------------------------------

    def begin(self, learner: Learner, visit: Visit) -> None:
        """Note the ways of the experience."""
        assert visit.ways is not None
        pool = visit.experience.pools[0]
        capacity = self.budget.capacity(pool.x[0].nbytes + LABEL_BYTES)
        n_classes = len(self._groups()) + sum(len(pool.members) for pool in visit.experience.pools)
        if capacity and self.policy != "reservoir" and capacity < n_classes:
            raise ValueError(
                f"the memory's budget is {capacity} examples, and with {visit.experience.name} there are {n_classes} "
                f"classes to keep: raise it to at least {n_classes}, or choose the policy reservoir"
            )
        self._dtype = pool.x.dtype
        self._ways.append(torch.from_numpy(visit.ways))
        self._table = None

    def end(self, learner: Learner, visit: Visit) -> None:
        """Shrink the classes that are kept and keep a share of the new ones; a reservoir has done so already."""
        if self.policy == "reservoir":
            return
        rng = generator(visit.seed, "memory", visit.experience.index)
        home, groups = len(self._ways) - 1, self._groups()
        pools = visit.experience.pools
        example_bytes = pools[0].x[0].nbytes + LABEL_BYTES
        quota = self._quota(len(groups) + sum(len(pool.members) for pool in pools), example_bytes)
        rows = [group[:quota] for group in groups]
        old = self._take(torch.cat(rows)) if rows else {}
        parts = [old] if len(old.get("number", ())) else []
        for pool in pools:
            for number, members in zip(pool.numbers, pool.members, strict=True):
                chosen = self._choose(learner, pool, rng.permutation(members), quota)
                parts.append(
                    {
                        "x": pool.x[torch.from_numpy(chosen)],
                        "number": _integers([int(number)] * len(chosen)),
                        "home": _integers([home] * len(chosen)),
                    }
                )
        kept = {name: torch.cat([part[name].cpu() for part in parts]) for name in ("x", "number", "home")}
        self._put({name: tensor.to(learner.device) for name, tensor in kept.items()})

    def watch(
        self, learner: Learner, batch: Episode, position: Position, extra: Mapping[str, Tensor] | None = None
    ) -> None:
        """Algorithm R: example ``n`` of the stream takes the place of a kept one with probability ``M / n``.

        Args:
            learner: gathers the examples of all ranks.
            batch: this rank's examples of the stream in this step.
            position: where in the stream.
            extra: what to keep beside each example, ``(B, …)`` by name.
        """
        if self.policy != "reservoir":
            return
        assert batch.classes is not None
        new = {"x": self._raw(batch.query_x[:, 0]), "number": batch.classes.gather(1, batch.query_y)[:, 0].int()}
        new |= {name: tensor.detach() for name, tensor in (extra or {}).items()}
        new = {name: learner.gather_over_ranks(tensor) for name, tensor in new.items()}
        new["home"] = torch.full_like(new["number"], len(self._ways) - 1)
        capacity = self.budget.capacity(sum(tensor[0].nbytes for tensor in new.values()))
        assert capacity is not None
        free = min(max(capacity - len(self), 0), len(new["x"]))
        if free:
            old = self._take(slice(None)) if len(self) else {}
            self._put({name: torch.cat([old[name], t[:free]]) if old else t[:free] for name, t in new.items()})
        # One uniform number for each further example; a later one may replace an earlier one of the same batch.
        counts = self.n_watched + 1 + np.arange(free, len(new["x"]))
        rng = generator(position.seed, "memory", len(self._ways) - 1, self.n_watched)
        places = (rng.random(len(counts)) * counts).astype(np.int64)
        winners = {int(p): free + i for i, p in enumerate(places) if p < capacity}
        if winners:
            where, which = _long(list(winners)), _long(list(winners.values()))
            for name, tensor in self._take(slice(None)).items():
                tensor[where.to(tensor.device)] = new[name][which.to(tensor.device)]
        self.n_watched += len(new["x"])

    # -- drawing --------------------------------------------------------------------------------------------------

    def draw(self, n_units: int, position: Position, like: Episode, home: int | None = None) -> Episode:
        """Kept examples at random, with replacement: a function of the seed and the step alone."""
        return self.episode(self.pick(n_units, position, home=home), like.weight.device)

    def pick(self, n_units: int, position: Position, *, home: int | None = None, salt: int = 0) -> Tensor:
        """This rank's share of ``n_units`` rows of the memory; another ``salt`` gives other rows."""
        index = position.step * 1024 + salt * 64 + (0 if home is None else home + 1)
        rng = generator(position.seed, "rehearse", position.experience, index)
        rows = torch.arange(len(self)) if home is None else (self.home.cpu() == home).nonzero()[:, 0]
        return rows[torch.from_numpy(rng.integers(len(rows), size=n_units)[position.rank :: position.world])]

    def episode(self, rows: Tensor, device: torch.device) -> Episode:
        """The examples at some rows ``(B,)`` as a batch of the stream."""
        if self.x.device != device:
            self._put({name: tensor.to(device) for name, tensor in self._take(slice(None)).items()})
        rows = rows.to(device)
        x, number = as_input(self.x[rows])[:, None], self.number[rows].long()[:, None]
        classes = self.ways_now().to(device)[self.home[rows].long()]
        y = (classes == number).int().argmax(1, keepdim=True)
        weight = torch.ones(len(rows), device=device)
        return Episode(x[:, :0], y[:, :0], x, y, weight, classes.shape[1], classes)

    def ways_now(self) -> Tensor:
        """``(E, N)`` for each experience the classes that its examples are told apart from now, filled with -1."""
        if self._table is None:
            now = set(self._ways[-1].tolist())
            ways = [self._ways[-1] if set(own.tolist()) <= now else own for own in self._ways]
            self._table = torch.nn.utils.rnn.pad_sequence(ways, batch_first=True, padding_value=-1)
        return self._table

    # -- state ----------------------------------------------------------------------------------------------------

    @property
    def n_past(self) -> int:
        """Past experiences that it holds examples of; with a reservoir all that have begun but the current one."""
        if self.policy == "reservoir":
            return len(self._ways) - 1 if len(self) else 0
        return len(set(self.home.tolist()))

    @property
    def nbytes(self) -> int:
        """Bytes of the examples, their classes and experiences, and what is kept beside them."""
        return sum(tensor.nbytes for tensor in self._take(slice(None)).values())

    def state(self) -> dict[str, Any]:
        """What is kept, for the checkpoint."""
        rows = {name: tensor.clone() for name, tensor in self._take(slice(None)).items()}
        return {"rows": rows, "ways": self._ways, "n_watched": self.n_watched, "dtype": str(self._dtype)}

    def load(self, state: dict[str, Any]) -> None:
        """What was kept, from the checkpoint."""
        self._put(dict(state["rows"]))
        self._ways, self.n_watched, self._table = [w.cpu() for w in state["ways"]], state["n_watched"], None
        self._dtype = getattr(torch, state["dtype"].removeprefix("torch."))

    # -- rows -----------------------------------------------------------------------------------------------------

    def _take(self, rows: Any) -> dict[str, Tensor]:
        columns = {"x": self.x, "number": self.number, "home": self.home, **self.extra}
        return {name: column[rows] for name, column in columns.items()}

    def _put(self, columns: dict[str, Tensor]) -> None:
        self.x, self.number, self.home = columns.pop("x"), columns.pop("number"), columns.pop("home")
        self.extra = columns

    def _groups(self) -> list[Tensor]:
        """The rows of each class of each experience, in the order in which they were chosen."""
        keys = list(zip(self.home.tolist(), self.number.tolist(), strict=True))
        rows: dict[tuple[int, int], list[int]] = {}
        for row, key in enumerate(keys):
            rows.setdefault(key, []).append(row)
        return [_long(group) for group in rows.values()]

    def _quota(self, n_classes: int, example_bytes: int) -> int:
        capacity = self.budget.capacity(example_bytes)
        bounds = [] if capacity is None else [capacity // n_classes]
        return min(bounds if self.budget.per_class is None else [*bounds, self.budget.per_class])

    def _choose(self, learner: Learner, pool: Pool, members: np.ndarray, n_kept: int) -> np.ndarray:
        if self.policy == "class_balanced" or n_kept == 0:
            return members[:n_kept]
        params = learner.meta_parameters()
        with torch.no_grad():
            pieces = [members[i : i + EMBED_AT_ONCE] for i in range(0, len(members), EMBED_AT_ONCE)]
            features = torch.cat([learner.embed(params, pool.gather(piece, learner.device)) for piece in pieces])
        chosen: np.ndarray = members[herd(features, n_kept).cpu().numpy()]
        return chosen

    def _raw(self, x: Tensor) -> Tensor:
        return (x * 255).round().to(torch.uint8) if self._dtype == torch.uint8 else x.to(self._dtype)


LABEL_BYTES = 8
"""Bytes that an example's class and experience take."""


def herd(features: Tensor, n_kept: int) -> Tensor:
    """Indices of examples, in an order in which every prefix has a mean near that of all (Rebuffi et al. 2017).

    ``p_k = argmin_x ‖μ − (φ(x) + Σ_{j<k} φ(p_j)) / k‖`` with features ``φ`` of unit length, none taken twice.

    Args:
        features: ``(n, D)`` of one class.
        n_kept: at most so many are chosen.

    Example:
        >>> herd(torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]), 2).tolist()
        [1, 0]
    """
    features = torch.nn.functional.normalize(features)
    mean, total = features.mean(0), torch.zeros_like(features[0])
    free = torch.ones(len(features), dtype=torch.bool, device=features.device)
    order = []
    for k in range(1, min(n_kept, len(features)) + 1):
        distance = (mean - (total + features) / k).square().sum(1).masked_fill(~free, torch.inf)
        best = distance.argmin()
        order.append(best)
        total, free[best] = total + features[best], False
    return torch.stack(order)


def _integers(values: list[int]) -> Tensor:
    return torch.tensor(values, dtype=torch.int32)


def _long(values: list[int]) -> Tensor:
    return torch.tensor(values, dtype=torch.int64)
