"""The episodic DataModule: few-shot tasks drawn from the classes of each domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch

from lifelong.data.augmentation import Augmentation
from lifelong.data.domain import Domain
from lifelong.data.episode import Episode
from lifelong.data.kinds import Part, StreamKind, Support, Unit
from lifelong.data.loaders import Drawn
from lifelong.data.pool import TaskShape
from lifelong.data.sampling import Draw, draw_task, gather, generator
from lifelong.data.source import Source
from lifelong.data.stream import Experience, Stream
from lifelong.data.stream_data import MOST_AT_ONCE, positive
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.utilities.ranges import check_number


class DrawnTasks(Drawn):
    """Store drawn tasks of one shape."""

    def __init__(self, draws: list[Draw], shape: TaskShape) -> None:
        self.draws, self.shape = draws, shape

    def gather(self, device: torch.device) -> Episode:
        """Return the tasks as tensors on the device."""
        return gather(self.draws, self.shape, device)


class EpisodicDataModule(StreamDataModule):
    """Draw few-shot tasks from a stream of domains, each epoch of the Trainer one experience.

    Args:
        sources: the data sets, in the order of the stream; each provides one or more domains.
        unseen: data sets whose domains are evaluated but never trained on, to measure adaptation to new domains.
        fixed_ways: every domain has the same classes (positive, negative), and a way is the same class in every task,
            so that a head can be trained without a support set. Examples are held out, not classes.
        n_way: classes per task (1 for regression).
        n_shot: support examples per class.
        n_query: query examples per class.
        eval_n_way: ways of the evaluation tasks. Default: as in training.
        eval_n_shot: shots of the evaluation tasks. Default: as in training.
        eval_n_query: queries per class of the evaluation tasks. Default: as in training.
        eval_support: source of the support sets of evaluation tasks in domains that hold out examples. ``held_out``:
            the evaluated part, like the queries, so that the learner has seen neither. ``train``: the training
            examples. The queries are always held out; in a domain that holds out classes, support and queries are of
            these classes.
        small_classes: ``refuse`` a class with too few examples for the tasks, or ``leave_out`` all such classes and
            report them in one line.
        augmentation: random augmentation of the images of training tasks
            (:class:`~lifelong.vision.PhotoAugmentation`); images for evaluation or strategies are not augmented.
            Default: none.
        tasks_per_batch: tasks per optimizer step, over all devices.
        steps_per_experience: optimizer steps per experience.
        n_eval_tasks: fixed evaluation tasks per domain, the same for every method, seed and row of the matrix.
        eval_tasks_per_batch: tasks per evaluation batch, over all devices. Default: as in training. Larger batches are
            faster with small networks and need more memory if tasks are vectorised.
        evaluate_on: part of the data for the accuracy matrix of ``fit`` and ``validate``. Choose settings on ``val``;
            report on ``test``.
        evaluate_every: compute a complete row of the matrix after every this many experiences and after the last one;
            for the other rows only the domain just learnt and the next one are evaluated. Useful for long streams.
        split: share (below 1) or number of the classes (or of each class's examples) held out for val and test.
        split_seed: seed of the split and the evaluation tasks; nothing else affects them.
        joint: train on all domains at once, an upper bound. The number of steps is that of the whole stream.
        cumulative: train each experience on tasks of its own and all earlier domains, an upper bound for every row of
            the matrix. The number of steps is unchanged.
        seed: seed of the training tasks; set by ``--seed`` on the command line.

    Raises:
        ValueError: when a setting is out of range, or a class or domain, given in the message, is too small for the
            tasks.
    """

    unit: ClassVar[Unit] = "tasks"
    kind: StreamKind = "few-shot"

    def __init__(
        self,
        sources: list[Source],
        *,
        unseen: list[Source] | None = None,
        fixed_ways: bool = False,
        n_way: int = 5,
        n_shot: int = 5,
        n_query: int = 5,
        eval_n_way: int | None = None,
        eval_n_shot: int | None = None,
        eval_n_query: int | None = None,
        eval_support: Support = "held_out",
        small_classes: Literal["refuse", "leave_out"] = "refuse",
        augmentation: Augmentation | None = None,
        tasks_per_batch: int = 4,
        steps_per_experience: int = 100,
        n_eval_tasks: int = 200,
        eval_tasks_per_batch: int | None = None,
        evaluate_on: Part = "val",
        evaluate_every: int = 1,
        split: tuple[float, float] = (0.15, 0.25),
        split_seed: int = 0,
        joint: bool = False,
        cumulative: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(
            sources,
            units_per_batch=positive("tasks_per_batch", tasks_per_batch, MOST_AT_ONCE),
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
        self.fixed_ways = fixed_ways
        self.shape = TaskShape(n_way, n_shot, n_query)
        asked = {"eval_n_way": eval_n_way, "eval_n_shot": eval_n_shot, "eval_n_query": eval_n_query}
        for name, value in asked.items():
            check_number(f"--data.{name}", value, least=1, whole=True, hint=", or null for as many as in training")
        self.eval_shape = TaskShape(eval_n_way or n_way, eval_n_shot or n_shot, eval_n_query or n_query)
        self.eval_support, self.small_classes = eval_support, small_classes
        if fixed_ways and small_classes == "leave_out":
            raise ValueError(
                "--data.fixed_ways needs every class in every domain, so that none can be left out: set "
                "--data.small_classes refuse, or --data.fixed_ways false"
            )
        self.steps = positive("steps_per_experience", steps_per_experience)
        self.n_eval_tasks = positive("n_eval_tasks", n_eval_tasks)
        at_once = tasks_per_batch if eval_tasks_per_batch is None else eval_tasks_per_batch
        self.units_per_eval_batch = positive("eval_tasks_per_batch", at_once, MOST_AT_ONCE)

    def build(self, domains: Sequence[Domain], **settings: Any) -> Stream:
        """Build the stream, leaving out classes that are too small for the tasks if ``small_classes`` says so."""
        least = (self.shape, self.eval_shape) if self.small_classes == "leave_out" else None
        return super().build(domains, support=self.eval_support, least=least, **settings)

    def check(self, stream: Stream) -> None:
        """Refuse a class with too few examples, and a non-empty part with too few classes.

        An empty evaluation part is refused only when it is evaluated.
        """
        for experience in stream.experiences:
            if experience.index not in stream.absent:
                for pool in experience.pools:
                    pool.check(self.shape)
        for pool in (*stream.val, *stream.test):
            if len(pool) > 0:
                pool.check(self.eval_shape)

    @property
    def task_shape(self) -> TaskShape:
        """Return ways, shots and queries of a training task."""
        return self.shape

    @property
    def steps_per_experience(self) -> int:
        """Return the optimizer steps of one experience; in joint training those of the whole stream."""
        return self.steps * (self.stream.n_learnt if self.joint else 1)

    def units(self, experience: int, step: int) -> range:
        """Return the indices of the tasks of a step, which continue those of the previous step."""
        return range(step * self.units_per_batch, (step + 1) * self.units_per_batch)

    def draw(self, experience: Experience, purpose: str, indices: Sequence[int]) -> DrawnTasks:
        """Draw tasks of an experience; task ``i`` is a pure function of seed, purpose, experience and ``i``."""
        rngs = (generator(self.seed, purpose, experience.index, i) for i in indices)
        return DrawnTasks([draw_task(experience.pools, self.shape, rng) for rng in rngs], self.shape)

    def draw_for_evaluation(self, part: Part, domain: int, indices: Sequence[int]) -> DrawnTasks:
        """Draw tasks of a held-out part, the same for every method, seed and row of the matrix."""
        pool = self.stream.pools(part)[domain]
        rngs = (generator(self.split_seed, part, domain, i) for i in indices)
        return DrawnTasks([draw_task([pool], self.eval_shape, rng) for rng in rngs], self.eval_shape)

    def n_eval_units(self, part: Part, domain: int) -> int:
        """Return the number of tasks, the same for every domain; 0 if the part is empty."""
        return self.n_eval_tasks if self.stream.n_examples(part, domain) > 0 else 0

    def about_evaluation(self, part: Part) -> str:
        """Return number and shape of the tasks."""
        support = ", support from the training part" if self.eval_support == "train" else ""
        return f"{self.n_eval_tasks} {part} tasks a domain, {self.eval_shape}{support}"

    def evaluation_name(self, part: Part) -> str:
        """Return the part, ways and shots, and the source of the support sets if it is another part."""
        support = "_train_support" if self.eval_support == "train" else ""
        return f"{part}_{self.eval_shape.n_way}way_{self.eval_shape.n_shot}shot{support}"
