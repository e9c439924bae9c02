"""A memory for labelled examples: balanced over classes, herded, or a reservoir of the stream.

Shapes: ``M`` kept examples, ``B`` examples of a batch, ``E`` experiences, ``N`` ways, ``*X`` one input, ``D`` features.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lifelong.compute.evaluating import evaluating
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.pool import Pool, as_input
from lifelong.data.position import Position, Visit
from lifelong.data.sampling import generator
from lifelong.learners.base import Learner
from strategies.memory.base import Memory
from strategies.memory.budget import Budget, Policy

EMBED_AT_ONCE = 1024
"""Examples that are embedded in one pass for herding."""
TIE = 1e-5
"""What herding takes for equal, so that rounding does not choose between examples of the same features."""
LABEL_BYTES = 8
"""Bytes that an example's class and experience take."""


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
            raise ValueError("a reservoir does not look at classes: bound it by budget.examples or budget.bytes")
        self.budget, self.policy = budget, policy
        self.x = torch.empty(0)
        """``(M, *X)`` inputs as the stream stores them, on the device that they are used on."""
        self.number, self.home = _integers(0, 0), _integers(0, 0)
        """``(M,)`` class in the stream, and experience, on the host: what is drawn is decided there."""
        self.extra: dict[str, Tensor] = {}
        """What a strategy keeps beside each example, by name: ``(M, …)``."""
        self.n_watched = 0
        self._dtype = torch.float32
        self._ways: list[Tensor] = []
        self._boundaries = True
        self._table: Tensor | None = None
        self._rows: dict[int, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.number)

    # -- keeping --------------------------------------------------------------------------------------------------

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Note the ways of the experience."""
        assert visit.ways is not None
        self._check_types(visit.experience.pools)
        if self.policy != "reservoir":
            needed = len(self._groups()) + sum(len(_by_number(pool)) for pool in visit.experience.pools)
            self._check_room(visit.experience.pools[0].x[0].nbytes + LABEL_BYTES, needed, visit.experience.name)
        self._boundaries, self._table = visit.has_boundaries, None
        self._ways.append(torch.from_numpy(visit.ways))

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Shrink the classes that are kept and keep a share of the new ones; a reservoir has done so already."""
        if self.policy == "reservoir":
            return
        rng = generator(visit.seed, "memory", visit.experience.index)
        home, groups, pools = len(self._ways) - 1, self._groups(), visit.experience.pools
        new = [(pool, number, members) for pool in pools for number, members in _by_number(pool).items()]
        quota = self._quota(len(groups) + len(new), pools[0].x[0].nbytes + LABEL_BYTES)
        parts = [self._take(group[:quota]) for group in groups]
        for pool, number, members in new:
            chosen = self._choose(learner, pool, rng.permutation(members), quota)
            labels = {"number": _integers(len(chosen), number), "home": _integers(len(chosen), home)}
            parts.append({"x": pool.x[torch.from_numpy(chosen)].to(learner.device), **labels})
        self._put({name: torch.cat([part[name].to(parts[-1][name].device) for part in parts]) for name in parts[-1]})

    def watch(
        self,
        learner: Learner,
        batch: Episode,
        position: Position,
        extra: Mapping[str, Tensor] | None = None,
        *,
        runner: TaskRunner,
    ) -> None:
        """Algorithm R: example ``n`` of the stream takes the place of a kept one with probability ``M / n``.

        Args:
            learner: what is trained.
            batch: this rank's examples in this step; the stream's own come first and are the ones that count.
            position: where in the stream.
            extra: what to keep beside each example, ``(B, …)`` by name.
            runner: gathers the examples of all ranks.

        Raises:
            ValueError: when the budget has no room for a single example.
        """
        if self.policy != "reservoir" or self.budget.is_nothing:
            return
        new = self._own(batch, position.n_own, extra or {}, runner)
        example_bytes = sum(tensor[0].nbytes for tensor in new.values())
        self._check_room(example_bytes, 1, "the stream")
        capacity = self.budget.capacity(example_bytes)
        assert capacity is not None
        self._move(new["x"].device)
        n_new, n_free = len(new["x"]), min(max(capacity - len(self), 0), len(new["x"]))
        if n_free:
            old = self._take(slice(None)) if len(self) else {name: tensor[:0] for name, tensor in new.items()}
            self._put({name: torch.cat([old[name], tensor[:n_free]]) for name, tensor in new.items()})
        # One uniform number for each further example; a later one may replace an earlier one of the same batch.
        counts = self.n_watched + 1 + np.arange(n_free, n_new)
        rng = generator(position.seed, "memory", len(self._ways) - 1, self.n_watched)
        places = (rng.random(len(counts)) * counts).astype(np.int64)
        winners = {int(place): n_free + i for i, place in enumerate(places) if place < capacity}
        if winners:
            self._replace(list(winners), {name: tensor[list(winners.values())] for name, tensor in new.items()})
        self.n_watched += n_new

    # -- drawing --------------------------------------------------------------------------------------------------

    def draw(self, n_units: int, position: Position, like: Episode, home: int | None = None) -> Episode:
        """Kept examples at random, with replacement: a function of the seed and the step alone."""
        return self.episode(self.pick(n_units, position, home=home), like.weight.device)

    def pick(self, n_units: int, position: Position, *, home: int | None = None, salt: int = 0) -> Tensor:
        """This rank's share of ``n_units`` rows of the memory; another ``salt``, below 16, gives other rows."""
        index = (position.step * 16 + salt) * 4096 + (0 if home is None else home + 1)
        rng = generator(position.seed, "rehearse", position.experience, index)
        rows = None if home is None else self._rows_by_home()[home]
        drawn = rng.integers(len(self) if rows is None else len(rows), size=n_units)
        mine = torch.from_numpy(drawn[position.rank :: position.world])
        return mine if rows is None else rows[mine]

    def episode(self, rows: Tensor, device: torch.device) -> Episode:
        """The examples at some rows ``(B,)``, on the host, as a batch of the stream."""
        self._move(device)
        classes = self.ways_now()[self.home[rows].long()]
        right = classes == self.number[rows].long()[:, None]
        assert right.any(1).all(), "an example's class is one of its ways"
        x, y = as_input(self.x[rows.to(device)])[:, None], right.int().argmax(1, keepdim=True).to(device)
        weight = torch.ones(len(rows), device=device)
        return Episode(x[:, :0], y[:, :0], x, y, weight, classes.shape[1], classes.to(device))

    def ways_now(self) -> Tensor:
        """``(E, N)`` for each experience the classes that its examples are told apart from now, filled with -1."""
        if self._table is None:
            now = set(self._ways[-1].tolist())
            ways = [self._ways[-1] if set(own.tolist()) <= now else own for own in self._ways]
            self._table = torch.nn.utils.rnn.pad_sequence(ways, batch_first=True, padding_value=-1)
        return self._table

    @property
    def homes(self) -> list[int]:
        """Past experiences that it holds examples of; a reservoir has some of the current one, too."""
        current = len(self._ways) - 1 if self.policy == "reservoir" else None
        return [home for home in self._rows_by_home() if home != current]

    @property
    def n_past(self) -> int:
        """Past experiences that it holds examples of; with a reservoir all that have begun but the current one.

        A stream without boundaries counts as one, that of what has gone by.
        """
        if self.policy == "reservoir":
            return len(self._ways) - self._boundaries if len(self) else 0
        return len(self.homes)

    # -- state ----------------------------------------------------------------------------------------------------

    @property
    def nbytes(self) -> int:
        """Bytes of the examples, their classes and experiences, and what is kept beside them."""
        return sum(tensor.nbytes for tensor in self._take(slice(None)).values())

    def state(self) -> dict[str, Any]:
        """What is kept, for the checkpoint."""
        rows = {name: tensor.clone() for name, tensor in self._take(slice(None)).items()}
        about = {"n_watched": self.n_watched, "dtype": str(self._dtype), "boundaries": self._boundaries}
        return {"rows": rows, "ways": list(self._ways), **about}

    def load(self, state: dict[str, Any]) -> None:
        """What was kept, from the checkpoint."""
        self._put(dict(state["rows"]))
        self._ways, self.n_watched, self._table = [w.cpu() for w in state["ways"]], state["n_watched"], None
        self._dtype = getattr(torch, state["dtype"].removeprefix("torch."))
        self._boundaries = state["boundaries"]

    # -- rows -----------------------------------------------------------------------------------------------------

    def _take(self, rows: Any) -> dict[str, Tensor]:
        columns = {"x": self.x, "number": self.number, "home": self.home, **self.extra}
        return {name: column[rows] for name, column in columns.items()}

    def _put(self, columns: dict[str, Tensor]) -> None:
        self.x, self.number, self.home = columns.pop("x"), columns.pop("number").cpu(), columns.pop("home").cpu()
        self.extra, self._rows = columns, None

    def _replace(self, rows: list[int], new: Mapping[str, Tensor]) -> None:
        for name, column in self._take(slice(None)).items():
            column[rows] = new[name]
        self._rows = None

    def _move(self, device: torch.device) -> None:
        if self.x.device != device:
            self.x, self.extra = self.x.to(device), {name: t.to(device) for name, t in self.extra.items()}

    def _own(self, batch: Episode, n_own: int, extra: Mapping[str, Tensor], runner: TaskRunner) -> dict[str, Tensor]:
        """The columns of the stream's own examples of all ranks."""
        assert batch.classes is not None
        number = batch.classes.gather(1, batch.query_y)[:, 0]
        mine = {"x": self._raw(batch.query_x[:, 0]), "number": number, **extra}
        new = {name: runner.gather(tensor[:n_own].detach()) for name, tensor in mine.items()}
        new["number"] = new["number"].int().cpu()
        return new | {"home": torch.full_like(new["number"], len(self._ways) - 1)}

    def _raw(self, x: Tensor) -> Tensor:
        return (x * 255).round().to(torch.uint8) if self._dtype == torch.uint8 else x.to(self._dtype)

    def _rows_by_home(self) -> dict[int, Tensor]:
        if self._rows is None:
            self._rows = {home: (self.home == home).nonzero()[:, 0] for home in np.unique(self.home.numpy()).tolist()}
        return self._rows

    def _groups(self) -> list[Tensor]:
        """The rows of each class of each experience, in the order in which they were chosen."""
        order = np.lexsort((self.number, self.home))  # keeps the order inside a class
        home, number = self.home.numpy()[order], self.number.numpy()[order]
        first = np.flatnonzero((np.diff(home) != 0) | (np.diff(number) != 0)) + 1
        return [torch.from_numpy(rows) for rows in np.split(order, first)] if len(self) else []

    # -- choosing -------------------------------------------------------------------------------------------------

    def _quota(self, n_classes: int, example_bytes: int) -> int:
        capacity = self.budget.capacity(example_bytes)
        bounds = [] if capacity is None else [capacity // n_classes]
        return min(bounds if self.budget.per_class is None else [*bounds, self.budget.per_class])

    def _choose(self, learner: Learner, pool: Pool, members: np.ndarray, n_kept: int) -> np.ndarray:
        if self.policy == "class_balanced" or n_kept == 0:
            return members[:n_kept]
        params = learner.meta_parameters()
        with evaluating(learner.network), torch.no_grad():
            pieces = [members[i : i + EMBED_AT_ONCE] for i in range(0, len(members), EMBED_AT_ONCE)]
            features = torch.cat([learner.embed(params, pool.gather(piece, learner.device)) for piece in pieces])
        chosen: np.ndarray = members[herd(features, n_kept).cpu().numpy()]
        return chosen

    def _check_room(self, example_bytes: int, needed: int, name: str) -> None:
        capacity = self.budget.capacity(example_bytes)
        if self.budget.is_nothing or capacity is None or capacity >= needed:
            return
        kinds = f"and with {name} there are {needed} classes to keep" if needed > 1 else "so nothing can be kept"
        raise ValueError(
            f"the memory's budget is {capacity} examples (of {example_bytes} bytes), {kinds}: raise it to at least "
            f"{needed} ({needed * example_bytes} bytes)" + ", or choose the policy reservoir" * (needed > 1)
        )

    def _check_types(self, pools: tuple[Pool, ...]) -> None:
        if not self._ways:
            self._dtype = pools[0].x.dtype
        for pool in pools:
            if pool.x.dtype != self._dtype:
                raise ValueError(
                    f"{pool.name} has inputs of {pool.x.dtype}, but those before it are {self._dtype}, and the memory "
                    "keeps them as they are: give all sources one type (uint8 is scaled to 0 … 1)"
                )


def herd(features: Tensor, n_kept: int) -> Tensor:
    """Indices of examples, in an order in which every prefix has a mean near that of all (Rebuffi et al. 2017).

    ``p_k = argmin_x ‖μ − (φ(x) + Σ_{j<k} φ(p_j)) / k‖`` with features ``φ`` of unit length, none taken twice; of
    equal ones the first.

    Args:
        features: ``(n, D)`` of one class.
        n_kept: at most so many are chosen.

    Example:
        >>> herd(torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]]), 2).tolist()
        [1, 0]
    """
    features = torch.nn.functional.normalize(features)
    mean, lack = features.mean(0), torch.zeros_like(features[0])
    # Where k times the distance is smallest, φ(x) is nearest to what the sum lacks: one product with all features.
    half = features.square().sum(1) / 2
    order = []
    for _ in range(min(n_kept, len(features))):
        lack = lack + mean
        nearness = features @ lack - half
        best = (nearness >= nearness.max() - TIE).int().argmax()
        order.append(best)
        lack, half[best] = lack - features[best], torch.inf
    return torch.stack(order)


def _by_number(pool: Pool) -> dict[int, np.ndarray]:
    """The examples of each class that has any; variants of a class are one."""
    members: dict[int, np.ndarray] = {}
    for number, some in zip(pool.numbers.tolist(), pool.members, strict=True):
        members[number] = np.concatenate([members.get(number, some[:0]), some])
    return {number: some for number, some in members.items() if len(some)}


def _integers(n: int, value: int) -> Tensor:
    return torch.full((n,), value, dtype=torch.int32)
