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
    """Hold drawn tasks of one shape."""

    def __init__(self, draws: list[Draw], shape: TaskShape) -> None:
        self.draws, self.shape = draws, shape

    def gather(self, device: torch.device) -> Episode:
        """Return the tasks as tensors on the device."""
        return gather(self.draws, self.shape, device)


class EpisodicDataModule(StreamDataModule):
    """Draw few-shot tasks from a stream of domains, each epoch of the Trainer one experience.

    Args:
        sources: the data sets, in the order of the stream; each brings one or more domains.
        unseen: data sets whose domains are evaluated and never learnt: how well the learner adapts to new domains.
        fixed_ways: every domain has the same classes (positive, negative), and a way is the same class in every task,
            so that a head may be learnt before any support set is seen. Examples are held out, not classes.
        n_way: classes in a task (1 for regression).
        n_shot: support examples per class.
        n_query: query examples per class.
        eval_n_way: ways of the evaluation tasks; as in training where None.
        eval_n_shot: shots of the evaluation tasks; as in training where None.
        eval_n_query: queries per class of the evaluation tasks; as in training where None.
        eval_support: where the support sets of evaluation tasks are drawn from in domains that hold out examples:
            ``held_out`` from the part that is evaluated, as the queries are, so that the learner has seen neither;
            ``train`` from the training examples, as a person would who has few of them and asks about new ones. The
            queries are held out in both; a domain that holds out classes has support and queries of those.
        small_classes: ``refuse`` a class that has too few examples for the tasks, or ``leave_out`` all such, and name
            them in one line.
        augmentation: changes the images of training tasks at random, and never those of evaluation or those that
            strategies ask for (:class:`~lifelong.vision.PhotoAugmentation`); None leaves them as they are.
        tasks_per_batch: tasks in one optimizer step, over all devices together.
        steps_per_experience: optimizer steps spent on each experience.
        n_eval_tasks: fixed evaluation tasks per domain, the same for every method, seed and row of the matrix.
        eval_tasks_per_batch: tasks evaluated at once, over all devices together; as many as in training where None.
            More are faster with small networks, and take more memory where tasks run together.
        evaluate_on: which part the accuracy matrix of ``fit`` and ``validate`` comes from. Choose settings on ``val``;
            report on ``test``.
        evaluate_every: fill a whole row of the matrix after every so many experiences and the last; in between only the
            domain just learnt and the next one are evaluated, for long streams.
        split: share (below 1) or number of the classes (or of each class's examples) held out for val and test.
        split_seed: decides the split and the evaluation tasks, and nothing else does.
        joint: train on all domains at once: the upper bound. Steps are those of the whole stream.
        cumulative: train each experience on tasks of its own domain and all before it: the upper bound for every row of
            the matrix. Steps are as usual.
        seed: decides the training tasks; ``--seed`` of the command line sets it.

    Raises:
        ValueError: when a setting is out of range, or a class or domain is too small for the tasks (it is named).
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
        """Build the stream; classes that are too small for the tasks may be left out."""
        least = (self.shape, self.eval_shape) if self.small_classes == "leave_out" else None
        return super().build(domains, support=self.eval_support, least=least, **settings)

    def check(self, stream: Stream) -> None:
        """Refuse a class with too few examples, and a part with too few classes unless it is empty.

        An empty evaluation part is refused when it is evaluated.
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
        """Return the optimizer steps of one experience; the joint bound spends those of the whole stream on it."""
        return self.steps * (self.stream.n_learnt if self.joint else 1)

    def units(self, experience: int, step: int) -> range:
        """Return the indices of the tasks of a step, counted on from those of the step before."""
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
        """Return the number of tasks, the same for every domain but those with an empty part, which have none."""
        return self.n_eval_tasks if self.stream.n_examples(part, domain) > 0 else 0

    def about_evaluation(self, part: Part) -> str:
        """Return number and shape of the tasks."""
        support = ", support from the training part" if self.eval_support == "train" else ""
        return f"{self.n_eval_tasks} {part} tasks a domain, {self.eval_shape}{support}"

    def evaluation_name(self, part: Part) -> str:
        """Return part, ways and shots, and where the support is from unless it is that part."""
        support = "_train_support" if self.eval_support == "train" else ""
        return f"{part}_{self.eval_shape.n_way}way_{self.eval_shape.n_shot}shot{support}"
