"""Streams of labelled examples: class-, domain- and task-incremental learning.

A labelled example is a task with an empty support set and one query. Its ways are the classes that compete in the
softmax: depending on the scenario, all classes of the stream, those seen so far, or those of its own experience.

Shapes: ``B`` examples, ``N`` ways, ``*X`` one input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from lifelong.data.augmentation import Augmentation
from lifelong.data.deck import Deck, DrawnExamples
from lifelong.data.fading import Fading
from lifelong.data.kinds import Part, Unit
from lifelong.data.pool import Pool
from lifelong.data.sampling import generator
from lifelong.data.source import Source
from lifelong.data.stream import Experience, Stream
from lifelong.data.stream_data import MOST_AT_ONCE, positive
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.utilities.ranges import check_number

Scenario = Literal["class", "domain", "task"]
Classes = Literal["all", "seen", "current"]


class ExampleDataModule(StreamDataModule):
    """Draw labelled examples from a stream of domains, each epoch of the Trainer one experience.

    Args:
        sources: the data sets, in the order of the stream; each provides one or more domains.
        unseen: data sets whose domains are evaluated but never trained on. They require the ``domain`` scenario, as
            their classes would otherwise never be learnt.
        scenario: which classes compete in the softmax. ``class``: those of the whole stream. ``domain``: the same
            classes in every domain. ``task``: those of the example's own experience, which is known (one head per
            experience).
        classes: which classes compete in the ``class`` scenario: ``all`` classes of the stream, those ``seen`` so far,
            or those of the ``current`` experience (in training; in evaluation those seen so far).
        augmentation: random augmentation of the images of training examples
            (:class:`~lifelong.vision.PhotoAugmentation`); images for evaluation or strategies are not augmented.
            Default: none.
        batch_size: examples per optimizer step, over all devices.
        steps_per_experience: optimizer steps per experience. Default: given by ``passes``.
        passes: passes over each experience's examples; 1 is online learning, in which each example is seen once.
        n_eval_examples: examples evaluated per domain, the same in every row. Default: all.
        evaluate_on: part of the data for the accuracy matrix of ``fit`` and ``validate``. Choose settings on ``val``;
            report on ``test``.
        evaluate_every: compute a complete row of the matrix after every this many experiences and after the last one;
            for the other rows only the domain just learnt and the next one are evaluated. Useful for long streams.
        split: share (below 1) or number of each class's examples held out for val and test.
        split_seed: seed of the split and the evaluation examples; nothing else affects them.
        joint: train on all domains at once, an upper bound. The number of steps is that of the whole stream.
        cumulative: train each experience on the examples of its own and all earlier domains, an upper bound for every
            row of the matrix. The number of steps is unchanged.
        fade: make a stream without boundaries: each domain fades into the next over this share of an experience around
            the boundary (:class:`~lifelong.data.fading.Fading`), and learner and strategies are not notified of
            boundaries. An experience is then one stretch of the stream, with one row of the matrix. 0 changes the
            domain abruptly, without notification. Default: boundaries. Requires ``classes: all`` or the ``domain``
            scenario.
        seed: seed of the order of the training examples; set by ``--seed`` on the command line.

    Raises:
        ValueError: when a setting is out of range, or the domains or ``fade`` do not fit the scenario.

    Reference:
        van de Ven, Tuytelaars & Tolias, "Three types of incremental learning", Nature Machine Intelligence 2022.
        Fading: Zeno, Golan, Hoffer & Soudry, "Task Agnostic Continual Learning Using Online Variational Bayes", 2018.
    """

    unit: ClassVar[Unit] = "examples"

    def __init__(
        self,
        sources: list[Source],
        *,
        unseen: list[Source] | None = None,
        scenario: Scenario = "class",
        classes: Classes = "seen",
        augmentation: Augmentation | None = None,
        batch_size: int = 128,
        steps_per_experience: int | None = None,
        passes: int = 1,
        n_eval_examples: int | None = None,
        evaluate_on: Part = "val",
        evaluate_every: int = 1,
        split: tuple[float, float] = (0.1, 0.2),
        split_seed: int = 0,
        joint: bool = False,
        cumulative: bool = False,
        fade: float | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__(
            sources,
            units_per_batch=positive("batch_size", batch_size, MOST_AT_ONCE),
            unseen=unseen or (),
            evaluate_on=evaluate_on,
            evaluate_every=evaluate_every,
            split=split,
            split_seed=split_seed,
            joint=joint,
            cumulative=cumulative,
            seed=seed,
            augmentation=augmentation,
        )
        self.kind, self.classes = scenario, classes
        self.steps = None if steps_per_experience is None else positive("steps_per_experience", steps_per_experience)
        self.passes = positive("passes", passes)
        self.n_eval_examples = None if n_eval_examples is None else positive("n_eval_examples", n_eval_examples)
        self.fade, self.has_boundaries = fade, fade is None
        self._check_fade()
        if self.unseen and scenario != "domain":
            raise ValueError(
                f"--data.unseen is never learnt, and in the {scenario} scenario nothing teaches its classes: "
                "set --data.scenario domain, or leave it out"
            )
        self._decks: dict[tuple[Pool, ...], Deck] = {}
        self._evaluation_decks: dict[tuple[Part, int], tuple[Deck, np.ndarray]] = {}
        self._orders: dict[tuple[str, int, int], tuple[int, np.ndarray]] = {}
        self._plans: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def check(self, stream: Stream) -> None:
        """Refuse an experience with a single competing class, and unequal numbers of classes if they are shared.

        In the ``class`` scenario with ``classes`` ``all`` or ``seen`` an experience may have a single class.
        """
        if stream.absent and self.fade is not None:
            raise ValueError(
                "with --data.fade each domain fades into the next, and the examples of "
                f"{stream.domains[max(stream.absent)]} are not at hand: give its data, or leave --data.fade out"
            )
        shares = self.kind == "class" and self.classes != "current"
        for experience in stream.experiences:
            for pool in () if experience.index in stream.absent else experience.pools:
                n_classes = sum(len(members) > 0 for members in pool.members)
                if n_classes < (1 if shares else 2):
                    raise ValueError(self._too_few_classes(pool, n_classes))
        if stream.n_classes < 2:
            raise ValueError(f"the stream has {stream.n_classes} class in all: give --data.sources at least two")
        counts = {pool.n_classes: pool.name for pool in stream.test}
        if self.kind != "class" and len(counts) > 1:
            listed = ", ".join(f"{name} has {n}" for n, name in counts.items())
            raise ValueError(f"the {self.kind} scenario needs as many classes in every domain, but {listed}")

    def _too_few_classes(self, pool: Pool, n_classes: int) -> str:
        if n_classes == 0:
            return f"{pool.name} has no example: leave it out, or hold less out (--data.split)"
        scenario = f"--data.scenario {self.kind}" + (" with --data.classes current" if self.kind == "class" else "")
        return (
            f"{pool.name} has examples of one class, and with {scenario} no other competes with it: give every "
            "experience at least two classes, or set --data.scenario class with --data.classes all or seen"
        )

    def reseed(self, seed: int) -> None:
        """Set the seed of the order of the training examples."""
        super().reseed(seed)
        self._decks, self._evaluation_decks, self._orders, self._plans = {}, {}, {}, {}

    def ways(self, experience: Experience) -> np.ndarray:
        """Return all classes, those seen so far or the experience's own, depending on the scenario."""
        if self.kind == "class":
            return self._ways(experience.index, "all" if self.classes == "all" else "seen")
        return np.unique(np.concatenate([pool.numbers for pool in self._own(experience)]))

    def _check_fade(self) -> None:
        if self.fade is None:
            return
        check_number("--data.fade", self.fade, least=0, most=1, hint=", a share of an experience")
        if self.joint or self.cumulative:
            bound = "joint" if self.joint else "cumulative"
            raise ValueError(f"--data.{bound} mixes whole domains, so nothing can fade: leave it or --data.fade out")
        if self.kind == "task" or (self.kind == "class" and self.classes != "all"):
            setting = "--data.scenario task" if self.kind == "task" else f"--data.classes {self.classes}"
            raise ValueError(
                f"{setting} selects the classes that compete by the experience, and with --data.fade nobody knows it: "
                "set --data.scenario domain, or --data.scenario class with --data.classes all"
            )

    # -- steps ----------------------------------------------------------------------------------------------------

    @property
    def steps_per_experience(self) -> int:
        """Return the number of steps that is set, or that an experience of average size needs for its passes."""
        stream = self.stream
        if self.steps is not None:
            return self.steps * (stream.n_learnt if self.joint else 1)
        total = sum(self._n_examples(experience) for experience in stream.experiences)
        return max(round(self.passes * total / len(stream.experiences) / self.units_per_batch), 1)

    def units(self, experience: int, step: int) -> range:
        """Return the indices of a step: a batch, or with ``passes`` an even share of the examples."""
        n_steps, total = self.steps_per_experience, self._n_units(experience)
        return range(step * total // n_steps, (step + 1) * total // n_steps)

    def _n_units(self, experience: int) -> int:
        if self.steps is not None:
            return self.steps_per_experience * self.units_per_batch
        return self.passes * self._n_examples(self.stream.experiences[experience])

    def _n_examples(self, experience: Experience) -> int:
        if experience.index in self.stream.absent:
            return self.stream.n_examples("train", experience.index)
        return sum(len(pool) for pool in self._own(experience))

    def _own(self, experience: Experience) -> tuple[Pool, ...]:
        """Return the experience's own pools, without those of earlier ones."""
        return experience.pools[-1:] if self.cumulative else experience.pools

    # -- drawing --------------------------------------------------------------------------------------------------

    def deck(self, experience: Experience) -> Deck:
        """Return the training examples of an experience."""
        return self._deck(experience.pools)

    def draw(self, experience: Experience, purpose: str, indices: Sequence[int]) -> DrawnExamples:
        """Draw examples in random order, once per pass, as a function of seed, purpose, experience and index."""
        places = self._places(experience, purpose, np.asarray(indices))
        return self._drawn(self.deck(experience), places, experience.index, self.classes)

    def draw_from_stream(self, experience: int, indices: Sequence[int]) -> DrawnExamples:
        """Draw the stream's own examples; in a fading stream the next ones of each domain in its random order."""
        if self.fade is None:
            return self.draw(self.stream.experiences[experience], "train", indices)
        near = self.stream.experiences[max(experience - 1, 0) : experience + 2]
        domains, turns = (plan[np.asarray(indices)] for plan in self._plan(experience))
        places, start = np.empty(len(indices), dtype=np.int64), 0
        for neighbour in near:
            same = domains == neighbour.index
            places[same] = start + self._places(neighbour, "train", turns[same])
            start += self._n_examples(neighbour)
        deck = self._deck(tuple(pool for neighbour in near for pool in neighbour.pools))
        return self._drawn(deck, places, experience, self.classes)

    def draw_for_evaluation(self, part: Part, domain: int, indices: Sequence[int]) -> DrawnExamples:
        """Draw examples of a held-out part, the same for every method, seed and row of the matrix."""
        deck, order = self._evaluation_deck(part, domain)
        classes: Classes = "seen" if self.classes == "current" else self.classes
        return self._drawn(deck, order[np.asarray(indices)], self.current_experience, classes)

    def n_eval_units(self, part: Part, domain: int) -> int:
        """Return the number of evaluated examples of the part: all, or ``n_eval_examples``."""
        n_examples = self.stream.n_examples(part, domain)
        return n_examples if self.n_eval_examples is None else min(n_examples, self.n_eval_examples)

    def about_evaluation(self, part: Part) -> str:
        """Return number, part and scenario."""
        number = "all" if self.n_eval_examples is None else f"{self.n_eval_examples}"
        return f"{number} {part} examples a domain, {self.kind} scenario"

    def evaluation_name(self, part: Part) -> str:
        """Return part and scenario."""
        return f"{part}_{self.kind}"

    def _evaluation_deck(self, part: Part, domain: int) -> tuple[Deck, np.ndarray]:
        if (part, domain) not in self._evaluation_decks:
            deck = Deck.of([self.stream.pools(part)[domain]])
            order = generator(self.split_seed, part, domain).permutation(len(deck))
            self._evaluation_decks[part, domain] = (deck, order)
        return self._evaluation_decks[part, domain]

    def _deck(self, pools: tuple[Pool, ...]) -> Deck:
        if pools not in self._decks:
            self._decks = {pools: Deck.of(pools)}
        return self._decks[pools]

    def _plan(self, experience: int) -> tuple[np.ndarray, np.ndarray]:
        if experience not in self._plans:
            assert self.fade is not None
            fading = Fading(len(self.stream.experiences), self._n_units, fade=self.fade, seed=self.seed)
            self._plans = {experience: (fading.domains(experience), fading.turns(experience))}
        return self._plans[experience]

    def _places(self, experience: Experience, purpose: str, indices: np.ndarray) -> np.ndarray:
        """Return the positions of examples in the experience's own deck, in a new random order for each pass."""
        size = sum(len(pool) for pool in experience.pools)
        passes, positions = np.divmod(indices, size)
        places = np.empty(len(positions), dtype=np.int64)
        for number in set(passes.tolist()):
            chosen = passes == number
            places[chosen] = self._order(experience.index, purpose, number, size)[positions[chosen]]
        return places

    def _order(self, experience: int, purpose: str, number: int, size: int) -> np.ndarray:
        # The last pass of each purpose is cached, as every step needs it, also for domains that fade in or out.
        key = (purpose, experience, size)
        if self._orders.get(key, (-1,))[0] != number:
            order = generator(self.seed, purpose, experience, number).permutation(size)
            near = {k: v for k, v in self._orders.items() if abs(k[1] - experience) <= 2}
            self._orders = near | {key: (number, order)}
        return self._orders[key][1]

    def _drawn(self, deck: Deck, places: np.ndarray, experience: int, classes: Classes) -> DrawnExamples:
        if self.kind != "class":
            table = np.stack([pool.numbers for pool in deck.pools])
            return DrawnExamples(deck, places, deck.label[places], table[deck.pool[places]])
        ways = self._ways(experience, classes)
        labels = np.searchsorted(ways, deck.number[places])
        return DrawnExamples(deck, places, labels, np.tile(ways, (len(places), 1)))

    def _ways(self, experience: int, classes: Classes) -> np.ndarray:
        stream = self.stream
        if classes == "all":
            return np.arange(stream.n_classes)
        first = experience if classes == "current" else 0
        past = stream.experiences[first : experience + 1]
        return np.unique(np.concatenate([pool.numbers for e in past for pool in e.pools]))
