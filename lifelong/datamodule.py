"""The episodic DataModule: loads sources, builds the stream and yields batches of tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import lightning as L
import torch

from lifelong.batch import Episode
from lifelong.images import same_shape
from lifelong.pool import Pool, TaskShape
from lifelong.sampling import Draw, draw_task, gather, generator
from lifelong.stream import Experience, Source, Stream, build_stream


class Drawn:
    """Drawn tasks on their way to the device; not a collection, so nothing on the way looks into it."""

    def __init__(self, draws: list[Draw], shape: TaskShape) -> None:
        self.draws, self.shape = draws, shape

    def gather(self, device: torch.device) -> Episode:
        """The tasks as tensors on the device."""
        return gather(self.draws, self.shape, device)


class TaskLoader:
    """Yields one rank's share of the tasks of each step and remembers its place for an exact resume.

    Args:
        draw: maps (experience, index of the task) to a drawn task.
        shape: of the tasks.
        n_tasks: tasks in a batch, over all ranks together.
        n_steps: batches.
        place: tells (experience, rank, number of ranks) when an iteration begins.
    """

    def __init__(
        self,
        draw: Callable[[int, int], Draw],
        shape: TaskShape,
        *,
        n_tasks: int,
        n_steps: int,
        place: Callable[[], tuple[int, int, int]],
    ) -> None:
        self._draw, self._shape, self._place = draw, shape, place
        self._n_tasks, self._n_steps = n_tasks, n_steps
        self._position = self._resumed = (0, 0)

    def __len__(self) -> int:
        return self._n_steps

    def __iter__(self) -> Iterator[Drawn]:
        experience, rank, world = self._place()
        start = self._resumed[1] if self._resumed[0] == experience else 0
        self._resumed = (0, 0)
        for step in range(start, self._n_steps):
            tasks = range(step * self._n_tasks + rank, (step + 1) * self._n_tasks, world)
            self._position = (experience, step + 1)
            yield Drawn([self._draw(experience, i) for i in tasks], self._shape)

    def state_dict(self) -> dict[str, int]:
        """The experience and the next step."""
        return {"experience": self._position[0], "step": self._position[1]}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from there."""
        self._position = self._resumed = (state["experience"], state["step"])


class EpisodicDataModule(L.LightningDataModule):
    """Few-shot tasks from a stream of domains, each epoch of the Trainer one experience.

    Args:
        sources: the data sets, in the order of the stream; each brings one or more domains.
        n_way: classes in a task (1 for regression).
        n_shot: support examples per class.
        n_query: query examples per class.
        eval_n_way: ways of the evaluation tasks; as in training where None.
        eval_n_shot: shots of the evaluation tasks; as in training where None.
        eval_n_query: queries per class of the evaluation tasks; as in training where None.
        tasks_per_batch: tasks in one optimizer step, over all devices together.
        steps_per_experience: optimizer steps spent on each experience.
        n_eval_tasks: fixed evaluation tasks per domain, the same for every method, seed and row of the matrix.
        evaluate_on: which part the accuracy matrix of ``fit`` and ``validate`` comes from. Choose settings on ``val``;
            report on ``test``.
        split: share (below 1) or number of the classes (or of each class's examples) held out for val and test.
        split_seed: decides the split and the evaluation tasks, and nothing else does.
        joint: train on all domains at once: the upper bound. Steps are those of the whole stream.
        seed: decides the training tasks; the command line links it to ``--seed_everything``.

    Raises:
        ValueError: when a setting is out of range, or a class or domain is too small for the tasks (it is named).
    """

    def __init__(
        self,
        sources: list[Source],
        *,
        n_way: int = 5,
        n_shot: int = 5,
        n_query: int = 5,
        eval_n_way: int | None = None,
        eval_n_shot: int | None = None,
        eval_n_query: int | None = None,
        tasks_per_batch: int = 4,
        steps_per_experience: int = 100,
        n_eval_tasks: int = 200,
        evaluate_on: Literal["val", "test"] = "val",
        split: tuple[float, float] = (0.15, 0.25),
        split_seed: int = 0,
        joint: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.sources = sources
        self.shape = TaskShape(n_way, n_shot, n_query)
        self.eval_shape = TaskShape(eval_n_way or n_way, eval_n_shot or n_shot, eval_n_query or n_query)
        self.tasks_per_batch = _positive("tasks_per_batch", tasks_per_batch)
        self.steps = _positive("steps_per_experience", steps_per_experience)
        self.n_eval_tasks = _positive("n_eval_tasks", n_eval_tasks)
        self.evaluate_on, self.split, self.split_seed = evaluate_on, split, split_seed
        self.joint, self.seed = joint, seed
        self._stream: Stream | None = None

    @property
    def stream(self) -> Stream:
        """The stream, loaded on first use."""
        if self._stream is None:
            self._stream = self._load()
        return self._stream

    @property
    def steps_per_experience(self) -> int:
        """Optimizer steps of one experience; the joint bound spends those of the whole stream on its only one."""
        return self.steps * (len(self.stream.domains) if self.joint else 1)

    def prepare_data(self) -> None:
        """Load once on the first process of a node, so that downloads and caches exist before the others ask."""
        self.stream  # noqa: B018

    def setup(self, stage: str) -> None:
        """Make the stream's length the Trainer's: one epoch is one experience."""
        trainer = self.trainer
        assert trainer is not None
        if trainer.world_size > self.tasks_per_batch:
            raise ValueError(
                f"{self.tasks_per_batch} tasks per batch cannot be shared by {trainer.world_size} devices: "
                f"set --data.tasks_per_batch to at least {trainer.world_size}"
            )
        if stage == "fit":
            asked, length = trainer.max_epochs, len(self.stream.experiences)
            trainer.fit_loop.max_epochs = length if asked is None or asked < 0 else min(asked, length)

    def train_dataloader(self) -> TaskLoader:
        """The training tasks of whatever experience the Trainer is in."""

        def draw(experience: int, index: int) -> Draw:
            return self.draw(self.stream.experiences[experience], "train", index)

        return TaskLoader(
            draw,
            self.shape,
            n_tasks=self.tasks_per_batch,
            n_steps=self.steps_per_experience,
            place=lambda: (self._current_experience(), *self._rank()),
        )

    def val_dataloader(self) -> list[TaskLoader]:
        """The fixed evaluation tasks, one loader per domain."""
        return self._evaluation_loaders(self.evaluate_on)

    def test_dataloader(self) -> list[TaskLoader]:
        """The fixed test tasks, one loader per domain."""
        return self._evaluation_loaders("test")

    def predict_dataloader(self) -> list[TaskLoader]:
        """The fixed test tasks, one loader per domain."""
        return self._evaluation_loaders("test")

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Gather drawn tasks on the device, where the data lives if it fits."""
        return batch.gather(device) if isinstance(batch, Drawn) else batch

    def draw(self, experience: Experience, purpose: str, index: int) -> Draw:
        """Task ``index`` of an experience, drawn for a purpose (``train``, ``fisher``, …) from its training pools."""
        return draw_task(experience.pools, self.shape, generator(self.seed, purpose, experience.index, index))

    def batches(
        self, experience: Experience, purpose: str, n_tasks: int, device: torch.device
    ) -> Iterator[tuple[Sequence[int], Episode]]:
        """This rank's share of ``n_tasks`` fresh tasks of an experience, each batch with its tasks' global indices."""
        rank, world = self._rank()
        mine = range(rank, n_tasks, world)
        for start in range(0, len(mine), self.tasks_per_batch):
            indices = mine[start : start + self.tasks_per_batch]
            yield indices, gather([self.draw(experience, purpose, i) for i in indices], self.shape, device)

    def _load(self) -> Stream:
        domains = same_shape([domain for source in self.sources for domain in source.domains()])
        stream = build_stream(domains, split=self.split, split_seed=self.split_seed, joint=self.joint)
        for experience in stream.experiences:
            for pool in experience.pools:
                pool.check(self.shape)
        for pool in (*stream.val, *stream.test):
            pool.check(self.eval_shape)
        return stream

    def _evaluation_loaders(self, part: Literal["val", "test"]) -> list[TaskLoader]:
        pools = self.stream.val if part == "val" else self.stream.test
        return [self._evaluation_loader(part, number, pool) for number, pool in enumerate(pools)]

    def _evaluation_loader(self, part: str, number: int, pool: Pool) -> TaskLoader:
        def draw(_: int, index: int) -> Draw:
            return draw_task(
                [pool], self.eval_shape, generator(self.split_seed, part, number, index % self.n_eval_tasks)
            )

        # Every rank needs the same number of tasks in each step, so the last step may wrap round; the evaluator
        # drops what is beyond n_eval_tasks.
        world = self._rank()[1]
        n_tasks = -(-self.tasks_per_batch // world) * world
        return TaskLoader(
            draw,
            self.eval_shape,
            n_tasks=n_tasks,
            n_steps=-(-self.n_eval_tasks // n_tasks),
            place=lambda: (0, *self._rank()),
        )

    def _current_experience(self) -> int:
        return self.trainer.current_epoch if self.trainer is not None else 0

    def _rank(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)


def _positive(name: str, value: int) -> int:
    if value < 1:
        raise ValueError(f"--data.{name} is {value}: it must be at least 1")
    return value
