"""The base of all DataModules of streams: a stream of data that a Lightning Trainer takes."""

from typing import Any

import lightning as L
import torch

from lifelong.data.kinds import Part
from lifelong.data.loaders import Drawn, RowLoader, StepLoader
from lifelong.data.stream_data import StreamData


class StreamDataModule(StreamData, L.LightningDataModule):
    """Make a stream of data a Trainer's: each epoch is one experience, each domain has an evaluation loader.

    Abstract: subclasses define what a unit is, how units are drawn, and how many make a step; see
    :class:`~lifelong.data.stream_data.StreamData`.
    """

    def prepare_data(self) -> None:
        """Load once on the first process of a node, so that downloads and caches exist before the others ask."""
        self.load()

    def setup(self, stage: str) -> None:
        """Refuse more processes than a batch has units."""
        assert self.trainer is not None
        self.check_processes(self.trainer.world_size)

    def check_processes(self, n_processes: int) -> None:
        """Refuse more processes than a batch has units.

        Args:
            n_processes: that train together.

        Raises:
            ValueError: naming both.
        """
        if n_processes > self.units_per_batch:
            raise ValueError(
                f"a batch of {self.units_per_batch} cannot be shared by {n_processes} devices: "
                f"make it at least {n_processes} (--data.tasks_per_batch or --data.batch_size)"
            )

    # -- loaders --------------------------------------------------------------------------------------------------

    def train_dataloader(self) -> StepLoader:
        """Return the training units of the experience that the Trainer is in."""
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
        """Gather drawn units on the device, where the data lives if it fits."""
        return batch.gather(device) if isinstance(batch, Drawn) else batch

    @property
    def row_is_whole(self) -> bool:
        """Tell whether the row that is due now has all domains.

        In ``fit`` those before the first step, after every ``evaluate_every``-th experience and after the last do.
        """
        trainer = self.trainer
        if trainer is None or trainer.state.fn != "fit" or trainer.sanity_checking:
            return True
        return self._is_whole_after(self.current_experience, self.n_experiences_due)

    @property
    def domains_due(self) -> tuple[int, ...]:
        """Return the domains in the row that is due now."""
        return self._row(self.current_experience, is_whole=self.row_is_whole)

    def row_after(self, experience: int, n_experiences: int) -> tuple[int, ...]:
        """Return the domains that ``fit`` evaluates after an experience: if not all, the last learnt and the next.

        That is all that learning score, backward and forward transfer ask of such a row. A domain whose examples are
        not at hand is in none.

        Args:
            experience: its number.
            n_experiences: after so many of them the Trainer ends.
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
        """Return after how many experiences the Trainer ends: all of the stream, unless it was told to end earlier."""
        length, asked = len(self.stream.experiences), None if self.trainer is None else self.trainer.max_epochs
        return length if asked is None or asked < 0 else min(asked, length)

    @property
    def current_experience(self) -> int:
        """Return the experience that the Trainer is in."""
        return self.trainer.current_epoch if self.trainer is not None else 0

    @property
    def rank(self) -> tuple[int, int]:
        """Return the number of this process and how many there are."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer is not None else (0, 1)

    def _evaluation_loaders(self, part: Part, *, skips: bool = False) -> list[StepLoader] | RowLoader:
        loaders = [self._evaluation_loader(part, number) for number in range(len(self.stream.domains))]
        return RowLoader(loaders, lambda: self.domains_due) if skips or self.stream.absent else loaders

    def _evaluation_loader(self, part: Part, domain: int) -> StepLoader:
        # Every rank needs the same number of units in each step, so the last step may wrap round; the evaluator
        # drops what is beyond n_eval_units.
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
    """Return the DataModule of a stream that a Trainer works on.

    Raises:
        ValueError: when it works on anything else.
    """
    data = getattr(trainer, "datamodule", None)
    if not isinstance(data, StreamDataModule):
        raise ValueError(
            f"the Trainer was given {'no DataModule' if data is None else type(data).__name__}, and a stream comes "
            "from an EpisodicDataModule or ExampleDataModule: give it as trainer.fit(module, datamodule=data)"
        )
    return data
