"""Base of streams of data, independent of the unit: few-shot tasks or labelled examples.

A *unit* is one of the ``B`` elements of a batch, with its own loss and weight.
"""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from typing_extensions import Self

from lifelong.data.augmentation import Augmentation, Augmented, check_augmentable
from lifelong.data.checked import checked_domains
from lifelong.data.domain import Domain
from lifelong.data.episode import Episode
from lifelong.data.images import same_shape
from lifelong.data.kinds import Part, StreamKind, Unit
from lifelong.data.loaders import Drawn
from lifelong.data.pool import TaskShape
from lifelong.data.position import Position, Visit
from lifelong.data.reader import Reader
from lifelong.data.source import Source, with_seed
from lifelong.data.stream import Experience, Stream, build_stream
from lifelong.data.stream_record import StreamRecord
from lifelong.utilities.ranges import check_number
from lifelong.utilities.recorded import Recorded, init_arguments, made_by


class StreamData(Recorded):
    """Load sources, build the stream, and draw its units.

    Abstract: subclasses define what a unit is, how units are drawn, and the number of units per step.

    Args:
        sources: the data sets, in the order of the stream; each provides one or more domains.
        units_per_batch: units per optimizer step, over all devices.
        unseen: data sets whose domains are evaluated but never trained on.
        evaluate_on: part of the data for the accuracy matrix of ``fit`` and ``validate``.
        split: share (below 1) or number of the classes (or of each class's examples) held out for val and test.
        split_seed: seed of the split and the evaluation units; nothing else affects them.
        joint: train on all domains at once, an upper bound. The number of steps is that of the whole stream.
        cumulative: train each experience on its own and all earlier domains, an upper bound for every row. The number
            of steps is unchanged.
        seed: seed of the training units.
        augmentation: random augmentation of the images of the stream's own training units. Default: none.
    """

    unit: ClassVar[Unit]
    """The kind of unit that is drawn."""
    kind: StreamKind
    """The kind of stream: few-shot tasks, or the scenario of labelled examples."""
    fixed_ways: bool = False
    """Whether every domain has the same classes and every task has all of them, each always as the same way."""
    has_boundaries: bool = True
    """Whether learner and strategies are notified of boundaries; otherwise the stream is one experience to them."""

    def __init__(
        self,
        sources: list[Source],
        *,
        units_per_batch: int,
        unseen: Sequence[Source],
        evaluate_on: Part,
        split: tuple[float, float],
        split_seed: int,
        joint: bool,
        cumulative: bool,
        seed: int,
        evaluate_every: int,
        augmentation: Augmentation | None = None,
    ) -> None:
        super().__init__()
        self.evaluate_every = positive("evaluate_every", evaluate_every)
        check_number("--data.split_seed", split_seed, least=0, whole=True)
        check_number("--data.seed", seed, least=0, whole=True)
        for share in split:
            check_number("--data.split", share, least=0, hint=": shares below 1, or numbers of classes or examples")
            if share > 1 and share != int(share):
                raise ValueError(f"--data.split has {share}: give a share below 1, or a whole number")
        self.sources, self.unseen, self.units_per_batch = sources, list(unseen), units_per_batch
        self.units_per_eval_batch = units_per_batch
        self.evaluate_on, self.split, self.split_seed = evaluate_on, split, split_seed
        self.joint, self.cumulative, self.seed = joint, cumulative, seed
        self.augmentation = augmentation
        self._stream: Stream | None = None
        self._record: tuple[Stream, StreamRecord] | None = None
        self._origins: list[tuple[Source, int]] = []

    # -- decided by a subclass ----------------------------------------------------------------------------------

    @abstractmethod
    def check(self, stream: Stream) -> None:
        """Raise a ``ValueError`` that says what is missing if units cannot be drawn."""

    @property
    @abstractmethod
    def steps_per_experience(self) -> int:
        """Return the optimizer steps of one experience."""

    @abstractmethod
    def units(self, experience: int, step: int) -> range:
        """Return the indices of the units of a training step, over all ranks."""

    @abstractmethod
    def draw(self, experience: Experience, purpose: str, indices: Sequence[int]) -> Drawn:
        """Draw units of an experience for a purpose (``train``, ``fisher``, …) from its training pools."""

    def draw_for_training(self, experience: int, indices: Sequence[int]) -> Drawn:
        """Draw the stream's own units of an experience, with augmentation if it is set."""
        drawn = self.draw_from_stream(experience, indices)
        if self.augmentation is None:
            return drawn
        return Augmented(drawn, self.augmentation, (self.seed, experience), indices)

    def draw_from_stream(self, experience: int, indices: Sequence[int]) -> Drawn:
        """Draw the stream's own units of an experience, without augmentation."""
        return self.draw(self.stream.experiences[experience], "train", indices)

    @abstractmethod
    def draw_for_evaluation(self, part: Part, domain: int, indices: Sequence[int]) -> Drawn:
        """Draw the fixed evaluation units of a domain."""

    @abstractmethod
    def n_eval_units(self, part: Part, domain: int) -> int:
        """Return the number of evaluation units of a domain; 0 if its part is empty."""

    @abstractmethod
    def about_evaluation(self, part: Part) -> str:
        """Describe the evaluation units in words: ``1000 test tasks a domain, 5-way 1-shot``."""

    @abstractmethod
    def evaluation_name(self, part: Part) -> str:
        """Return a file name for the evaluation units, different for different units so that nothing is overwritten."""

    # -- the stream -----------------------------------------------------------------------------------------------

    def load(self) -> Stream:
        """Load the sources, split their domains and return the stream; later calls return the same stream.

        Raises:
            ValueError: when a source cannot be loaded, or units cannot be drawn from its domains.
        """
        if self._stream is None:
            given = [*self.sources, *self.unseen]
            loaded = [(source, checked_domains(source, self.seed)) for source in given]
            n_learnt = sum(len(domains) for _, domains in loaded[: len(self.sources)])
            domains = same_shape([domain for _, domains in loaded for domain in domains])
            if self.augmentation is not None:
                check_augmentable(domains[:n_learnt])
            stream = self.build(domains[:n_learnt], unseen=domains[n_learnt:])
            self.check(stream)
            places = [place for place, (_, domains) in enumerate(loaded) for _ in domains]
            records = [replace(r, source=place) for r, place in zip(stream.records, places, strict=True)]
            self._stream = replace(stream, records=tuple(records))
            self._origins = [(source, number) for source, domains in loaded for number in range(len(domains))]
        return self._stream

    def build(self, domains: Sequence[Domain], **settings: Any) -> Stream:
        """Build the stream of some domains.

        Args:
            domains: domains for training.
            settings: further arguments of :func:`~lifelong.data.stream.build_stream`.
        """
        return build_stream(
            domains,
            split=self.split,
            split_seed=self.split_seed,
            joint=self.joint,
            cumulative=self.cumulative,
            shared_classes=self.kind == "domain",
            fixed_ways=self.fixed_ways,
            # A classifier cannot predict classes that it was never trained on.
            hold_out_examples=self.unit == "examples" or self.fixed_ways,
            **settings,
        )

    def reseed(self, seed: int) -> None:
        """Set the seed of the training units; if a source depends on it, the stream is loaded again."""
        if seed == self.seed:
            return
        if any(with_seed(source, seed) is not source for source in (*self.sources, *self.unseen)):
            self._stream = None
        self.seed = seed

    def with_sources(self, sources: Sequence[Source]) -> Self:
        """Return a stream with the same settings and other sources.

        Args:
            sources: sources in the order of the stream.
        """
        made = made_by(self)(**(init_arguments(self) | {"sources": list(sources)}))
        made.reseed(self.seed)
        return made  # type: ignore[no-any-return]

    @property
    def stream(self) -> Stream:
        """Return the stream, loaded on first use."""
        return self.load()

    @property
    def origins(self) -> list[tuple[Source, int]]:
        """Return the source of each domain of the stream, with the domain's index among that source's domains."""
        self.load()
        return self._origins

    @property
    def n_classes(self) -> int:
        """Return the number of training classes, for which a classifier of the whole stream needs outputs."""
        return self.stream.n_classes

    @property
    def task_shape(self) -> TaskShape | None:
        """Return ways, shots and queries of a training task; None for labelled examples."""
        return None

    def ways(self, experience: Experience) -> np.ndarray | None:
        """Return the classes ``(N,)`` that compete for an experience's examples after it is learnt; None for tasks."""
        return None

    def reader(self) -> Reader | None:
        """Return the reader of the first source that has one."""
        readers = (source.reader() for source in self.sources)
        return next((reader for reader in readers if reader is not None), None)

    def record(self, n_learnt: int) -> StreamRecord:
        """Return the names of the stream's experiences and classes.

        Args:
            n_learnt: number of experiences that have begun.
        """
        stream = self.stream
        if self._record is None or self._record[0] is not stream:
            # Cached, as checkpoints of a long stream are written often.
            own = [replace(e, pools=e.pools[-1:]) if self.cumulative else e for e in stream.experiences]
            made = StreamRecord.of(own, self.unit, self.kind, fixed_ways=self.fixed_ways, shape=self.task_shape)
            self._record = (stream, made)
        return replace(self._record[1], n_learnt=min(n_learnt, len(stream.experiences)))

    # -- where training stands ------------------------------------------------------------------------------------

    def begins(self, experience: int) -> bool:
        """Return whether learner and strategies are notified of the start; without boundaries only of the first."""
        return self.has_boundaries or experience == self.stream.experiences[0].index

    def ends(self, experience: int) -> bool:
        """Return whether learner and strategies are notified of the end; without boundaries only of the last."""
        return self.has_boundaries or experience == self.stream.experiences[-1].index

    def check_at_hand(self, experience: int) -> None:
        """Refuse to learn an experience whose examples are not available.

        Args:
            experience: index of the experience.

        Raises:
            ValueError: when they are not available.
        """
        if experience in self.stream.absent:
            raise ValueError(
                f"experience {experience + 1} ({self.stream.domains[experience]}) is to be learnt, and its examples "
                "are not at hand: give its data among --data.sources again"
            )

    def visit(self, experience: int, device: torch.device, dtype: torch.dtype = torch.float32) -> Visit:
        """Return the visit to an experience that learner and strategies receive at its start and end.

        Args:
            experience: index of the experience.
            device: device on which its units are gathered.
            dtype: data type of real-valued tensors.
        """
        place = self.stream.experiences[experience]
        n_experiences, n_steps = len(self.stream.experiences), self.steps_per_experience
        if not self.has_boundaries:
            place = replace(place, index=0, name="stream")
            n_experiences, n_steps = 1, n_experiences * n_steps

        def batches(purpose: str, n_units: int) -> Iterator[tuple[Sequence[int], Episode]]:
            found = self.batches(place, purpose, n_units, device)
            return found if dtype == torch.float32 else ((indices, batch.to(dtype)) for indices, batch in found)

        return Visit(
            place,
            n_experiences,
            self.seed,
            batches,
            self.ways(place),
            has_boundaries=self.has_boundaries,
            n_steps=n_steps,
        )

    def position(self, experience: int, step: int) -> Position:
        """Return the position in the stream of a training step of this process.

        Args:
            experience: index of the experience.
            step: index of the step within the experience.
        """
        n_units = len(self.units(experience, step))
        if not self.has_boundaries:
            experience, step = 0, experience * self.steps_per_experience + step
        return Position(experience, step, self.seed, n_units, *self.rank)

    def example(self, device: torch.device) -> Tensor:
        """Return two inputs ``(2, *X)`` of the stream, for inferring shapes."""
        at_hand = [number for number in range(self.stream.n_learnt) if number not in self.stream.absent]
        pool = self.stream.experiences[0 if self.joint else at_hand[0]].pools[0]
        return pool.gather(np.concatenate(pool.members)[:2], device)

    def batches(
        self, experience: Experience, purpose: str, n_units: int, device: torch.device
    ) -> Iterator[tuple[Sequence[int], Episode]]:
        """Yield this rank's share of ``n_units`` newly drawn units of an experience, batches with global indices."""
        rank, world = self.rank
        share = range(rank, n_units, world)
        for start in range(0, len(share), self.units_per_batch):
            indices = share[start : start + self.units_per_batch]
            yield indices, self.draw(experience, purpose, indices).gather(device)

    @property
    def rank(self) -> tuple[int, int]:
        """Return the index of this process and the number of processes."""
        return 0, 1

    @property
    def current_experience(self) -> int:
        """Return the index of the current experience."""
        return 0


MOST_AT_ONCE = 1 << 20
"""Maximum number of units of a batch, as their indices are listed before any is drawn."""


def positive(name: str, value: int, most: int | None = None) -> int:
    """Return a setting that must be at least 1.

    Raises:
        ValueError: when it is less than 1, or more than the maximum.
    """
    check_number(f"--data.{name}", value, least=1, most=most, whole=True)
    return value
