"""The base of all DataModules of streams: a stream of data for a Lightning Trainer."""

from typing import Any

import lightning as L
import torch

from lifelong.data.kinds import Part
from lifelong.data.loaders import Drawn, RowLoader, StepLoader
from lifelong.data.stream_data import StreamData


class StreamDataModule(StreamData, L.LightningDataModule):
    """Provide a stream of data to a Trainer: each epoch is one experience, each domain has an evaluation loader.

    Abstract: subclasses define what a unit is, how units are drawn, and the number of units per step; see
    :class:`~lifelong.data.stream_data.StreamData`.
    """

    def prepare_data(self) -> None:
        """Load the data on the first process of a node, so that downloads and caches exist for the others."""
        self.load()

    def setup(self, stage: str) -> None:
        """Refuse more processes than a batch has units."""
        assert self.trainer is not None
        self.check_processes(self.trainer.world_size)

    def check_processes(self, n_processes: int) -> None:
        """Refuse more processes than a batch has units.

        Args:
            n_processes: number of processes.

        Raises:
            ValueError: with both numbers.
        """
        if n_processes > self.units_per_batch:
            raise ValueError(
                f"a batch of {self.units_per_batch} cannot be shared by {n_processes} devices: "
                f"make it at least {n_processes} (--data.tasks_per_batch or --data.batch_size)"
            )

    # -- loaders --------------------------------------------------------------------------------------------------

    def train_dataloader(self) -> StepLoader:
        """Return the training units of the Trainer's current experience."""
        return StepLoader(
            self.draw_for_training,
            self.units,
            n_steps=self.steps_per_experience,
            place=lambda: (self.current_experience, *self.rank),
        )

    def val_dataloader(self) -> list[StepLoader] | RowLoader:
        """Return the fixed evaluation units, one loader per domain."""
        return self._evaluation_loaders(self.evaluate_on, skips=self.evaluate_every > 1)

    def test_dataloader(self) -> list[StepLoader] | RowLoader:
        """Return the fixed test units, one loader per domain."""
        return self._evaluation_loaders("test")

    def predict_dataloader(self) -> list[StepLoader] | RowLoader:
        """Return the fixed test units, one loader per domain."""
        return self._evaluation_loaders("test")

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Gather drawn units on the device, which also stores the data if they fit."""
        return batch.gather(device) if isinstance(batch, Drawn) else batch

    @property
    def row_is_whole(self) -> bool:
        """Return whether the current row of the matrix has all domains.

        In ``fit`` these are the rows before the first step, after every ``evaluate_every``-th experience and after the
        last one.
        """
        trainer = self.trainer
        if trainer is None or trainer.state.fn != "fit" or trainer.sanity_checking:
            return True
        return self._is_whole_after(self.current_experience, self.n_experiences_due)

    @property
    def domains_due(self) -> tuple[int, ...]:
        """Return the domains of the current row of the matrix."""
        return self._row(self.current_experience, is_whole=self.row_is_whole)

    def row_after(self, experience: int, n_experiences: int) -> tuple[int, ...]:
        """Return the domains that ``fit`` evaluates after an experience: if not all, the last learnt and the next.

        Learning score, backward and forward transfer need only these from such a row. Domains whose examples are not
        available are not evaluated.

        Args:
            experience: index of the experience.
            n_experiences: number of experiences after which the Trainer ends.
        """
        return self._row(experience, is_whole=self._is_whole_after(experience, n_experiences))

    def _row(self, experience: int, *, is_whole: bool) -> tuple[int, ...]:
        n_domains = len(self.stream.domains)
        due = range(n_domains) if is_whole else range(experience, min(experience + 2, n_domains))
        return tuple(domain for domain in due if domain not in self.stream.absent)

    def _is_whole_after(self, experience: int, n_experiences: int) -> bool:
        return (experience + 1) % self.evaluate_every == 0 or experience + 1 == n_experiences

    @property
    def n_experiences_due(self) -> int:
        """Return the number of experiences after which the Trainer ends: all, unless it is limited."""
        length, asked = len(self.stream.experiences), None if self.trainer is None else self.trainer.max_epochs
        return length if asked is None or asked < 0 else min(asked, length)

    @property
    def current_experience(self) -> int:
        """Return the index of the Trainer's current experience."""
        return self.trainer.current_epoch if self.trainer is not None else 0

    @property
    def rank(self) -> tuple[int, int]:
        """Return the index of this process and the number of processes."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)

    def _evaluation_loaders(self, part: Part, *, skips: bool = False) -> list[StepLoader] | RowLoader:
        loaders = [self._evaluation_loader(part, number) for number in range(len(self.stream.domains))]
        return RowLoader(loaders, lambda: self.domains_due) if skips or self.stream.absent else loaders

    def _evaluation_loader(self, part: Part, domain: int) -> StepLoader:
        # Every rank needs the same number of units in each step, so the last step may wrap around; the evaluator
        # drops units beyond n_eval_units.
        n_units, world = self.n_eval_units(part, domain), self.rank[1]
        if n_units == 0 and domain not in self.stream.absent:
            raise ValueError(self._nothing_to_evaluate(part, domain))
        per_step = max(min(-(-self.units_per_eval_batch // world) * world, -(-n_units // world) * world), 1)
        return StepLoader(
            lambda _, indices: self.draw_for_evaluation(part, domain, [i % n_units for i in indices]),
            lambda _, step: range(step * per_step, (step + 1) * per_step),
            n_steps=-(-n_units // per_step),
            place=lambda: (0, *self.rank),
        )

    def _nothing_to_evaluate(self, part: Part, domain: int) -> str:
        other: Part = "test" if part == "val" else "val"
        way_out = f"hold something out for it (--data.split is {list(self.split)}, for val and test)"
        if len(self.stream.pools(other)[domain]) > 0:
            command = "" if part == "val" else "`validate` "
            way_out += f", or evaluate the {other} part ({command}--data.evaluate_on {other})"
        return f"the {part} part of {self.stream.domains[domain]} is empty, so nothing can be evaluated: {way_out}"


def stream_data(trainer: L.Trainer) -> StreamDataModule:
    """Return a Trainer's DataModule of a stream.

    Raises:
        ValueError: when the Trainer has other data.
    """
    data = getattr(trainer, "datamodule", None)
    if not isinstance(data, StreamDataModule):
        raise ValueError(
            f"the Trainer was given {'no DataModule' if data is None else type(data).__name__}, and a stream comes "
            "from an EpisodicDataModule or ExampleDataModule: give it as trainer.fit(module, datamodule=data)"
        )
    return data
