"""The evaluator: it fills the accuracy matrix row by row during training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.utilities import CombinedLoader
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from lifelong.compute.evaluating import evaluating
from lifelong.data.episode import Episode
from lifelong.data.stream_datamodule import stream_data
from lifelong.evaluation.batch_collector import BatchCollector
from lifelong.evaluation.intervals import Row, Scores, ragged, stacked, unpadded
from lifelong.evaluation.packing import pack, unpack
from lifelong.evaluation.report import Report
from lifelong.evaluation.results import Results
from lifelong.evaluation.setting import Setting
from lifelong.evaluation.setting_of import setting_of
from lifelong.training.accessors import evaluation_part, stream_module
from lifelong.training.stream_module import StreamModule


class Evaluator(BatchCollector):
    """Score every domain after every experience, on the same tasks each time; the rows are the accuracy matrix.

    The row of the untrained learner is taken from the Trainer's sanity check if that is a whole evaluation
    (``num_sanity_val_steps=-1``), else it is measured before the first step. With ``num_sanity_val_steps=0`` there is
    none. The scores are saved in the checkpoint.

    Args:
        report: prints and writes the results. If None, results are kept in memory only.

    Example:
        >>> Evaluator().rows
        {}
    """

    def __init__(self, report: Report | None = None) -> None:
        self.report = report
        self.rows: dict[str, list[Scores]] = {}
        """Scores ``(domains, units)`` after each experience, by measure."""
        self.untrained: Row | None = None
        """Scores of the learner before its first step, by domain."""
        self.evaluation: Results | None = None
        """The last evaluation of a checkpoint, by ``validate`` or ``test``."""
        self.seconds = 0.0
        self._collected: dict[str, dict[int, list[Tensor]]] = {}
        self._setting: Setting | None = None
        self._columns: dict[str, int] = {}  # evaluation units of each domain of the stream
        self._started = time.monotonic()

    # -- what was measured -------------------------------------------------------------------------------------------

    @property
    def results(self) -> Results:
        """Return the results of the stream so far.

        Raises:
            ValueError: when no experience has been evaluated.
        """
        if self._setting is None:
            raise ValueError("no experience has been evaluated: give the Evaluator to a Trainer and fit a StreamModule")
        rows = {name: tuple(of_name) for name, of_name in self.rows.items()}
        return Results(self._setting, rows, None if self.untrained is None else ragged(self.untrained))

    def matrix(self, measure: str = "score") -> Scores:
        """Return the scores ``(rows, domains, units)`` of a measure."""
        return stacked(self.rows[measure])

    def elapsed(self) -> float:
        """Return the wall time of the run in seconds, including the time before it was resumed."""
        return self.seconds + time.monotonic() - self._started

    # -- collecting --------------------------------------------------------------------------------------------------

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Discard the rows of an earlier run; those of a checkpoint are loaded afterwards."""
        if stage == "fit":
            domains = stream_data(trainer).stream.domains
            self._columns = {name: n_eval_units(trainer, number) for number, name in enumerate(domains)}
        if stage == "fit" and trainer.global_step == 0:
            self.rows, self.untrained, self.seconds, self._setting = {}, None, 0.0, None

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock; a resumed run continues from the seconds in its checkpoint."""
        self._started = time.monotonic()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Evaluate the untrained learner if the Trainer's sanity check did not."""
        is_known = self.rows or self.untrained is not None
        wants_none = trainer.num_sanity_val_steps == 0 or not trainer.enable_validation
        if is_known or wants_none or trainer.global_step > 0:
            return
        self.forget()
        self._evaluate(trainer)
        self.untrained = self._row(trainer)["score"]
        self.forget()

    def forget(self) -> None:
        """Discard the scores of an interrupted evaluation."""
        self._collected = {}

    def collect(self, trainer: L.Trainer, module: StreamModule, outputs: Any, batch: Episode, domain: int) -> None:
        """Store the measures of a batch of tasks."""
        for name, values in outputs.items():
            self._collected.setdefault(name, {}).setdefault(domain, []).append(values)

    def _evaluate(self, trainer: L.Trainer) -> None:
        """Collect from every validation batch of all domains, as the Trainer's sanity check does."""
        module, loaders = stream_module(trainer), stream_data(trainer).val_dataloader()
        loaders = loaders.flattened if isinstance(loaders, CombinedLoader) else loaders
        with isolate_rng(), evaluating(module):
            for domain, (loader, n_batches) in enumerate(zip(loaders, trainer.num_val_batches, strict=True)):
                if domain in stream_data(trainer).stream.absent:
                    continue
                for _, drawn in zip(range(int(min(n_batches, len(loader)))), loader, strict=False):
                    batch = drawn.gather(module.device)
                    with trainer.precision_plugin.val_step_context():
                        self.collect(trainer, module, module.measures(batch, domain), batch, domain)

    def _row(self, trainer: L.Trainer) -> dict[str, Row]:
        domains = range(len(stream_data(trainer).stream.domains))
        return {
            name: [_scores(collected.get(domain), domain, trainer) for domain in domains]
            for name, collected in self._collected.items()
        }

    # -- using a row -------------------------------------------------------------------------------------------------

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take a complete row: of the untrained learner, of an experience, or of a checkpoint."""
        if trainer.sanity_checking:
            if _sanity_check_is_whole(trainer) and not self.rows and self.untrained is None:
                self.untrained = self._row(trainer)["score"]
            return
        row = self._row(trainer)
        if trainer.state.fn != "fit":
            self._take_checkpoint(row, trainer)
            return
        self._add(row, trainer.current_epoch)
        self._setting = setting_of(trainer, seconds=self.elapsed())
        if stream_data(trainer).row_is_whole:  # an incomplete row has no average to log
            pl_module.log_dict(self.results.scalars(), rank_zero_only=False, sync_dist=False)
        if self.report is not None:
            self.report.row(self.results, trainer)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Take the row of a checkpoint on the test tasks."""
        self._take_checkpoint(self._row(trainer), trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report the whole matrix."""
        if not self.rows:
            return
        self._setting = setting_of(trainer, seconds=self.elapsed(), finished=True)
        if self.report is not None:
            self.report.finish(self.results, trainer)

    def _take_checkpoint(self, row: dict[str, Row], trainer: L.Trainer) -> None:
        self.evaluation = Results(setting_of(trainer), {name: [ragged(scores)] for name, scores in row.items()})
        if self.report is not None:
            self.report.evaluation(self.evaluation, trainer)

    def _add(self, row: dict[str, Row], experience: int) -> None:
        for name, scores in row.items():
            kept = self.rows.setdefault(name, [])
            # A measure may start late (a router first needs something to select): its earlier rows are NaN.
            kept += [ragged([np.full_like(domain, np.nan) for domain in scores])] * (experience - len(kept))
            self.rows[name] = [*kept[:experience], ragged(scores)]

    # -- checkpoint --------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the rows as a few tensors, so that a checkpoint loads without unpickling code."""
        return {
            "rows": {name: _tensors(rows) for name, rows in self.rows.items()},
            "untrained": None if self.untrained is None else _tensors([ragged(self.untrained)]),
            "seconds": self.elapsed(),
            "domains": list(self._columns),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the rows of a checkpoint; domains that its stream did not have are marked as not evaluated."""
        theirs = state_dict.get("domains") or list(self._columns)
        self.rows = {
            name: [self._in_columns(row, theirs) for row in _rows(tensors)]
            for name, tensors in state_dict["rows"].items()
        }
        untrained = [] if state_dict["untrained"] is None else _rows(state_dict["untrained"])
        self.untrained = [unpadded(scores) for scores in self._in_columns(untrained[0], theirs)] if untrained else None
        self.seconds = state_dict["seconds"]

    def _in_columns(self, row: Scores, names: Sequence[str]) -> Scores:
        """Rearrange a row of the domains ``names`` to the stream's domains, NaN for domains without scores."""
        if not self._columns or list(self._columns) == list(names):
            return row
        known = dict(zip(names, row, strict=True))
        new = {name: np.full(n_units, np.nan) for name, n_units in self._columns.items() if name not in known}
        return ragged([new[name] if name in new else unpadded(known[name]) for name in self._columns])


def all_units(local: Tensor, domain: int, trainer: L.Trainer) -> Scores:
    """Return the values ``(n, …)`` of all evaluation units of a domain, in order, from this rank's share ``(B, …)``."""
    n_units = n_eval_units(trainer, domain)  # the sampler repeats units to fill the last batch: cut them off
    values = stream_module(trainer).runner.gather(local)[:n_units]
    scores: Scores = values.cpu().double().numpy()
    return scores


def n_eval_units(trainer: L.Trainer, domain: int) -> int:
    """Return the number of evaluation units of a domain in the part that is evaluated now."""
    return stream_data(trainer).n_eval_units(evaluation_part(trainer), domain)


def _scores(collected: list[Tensor] | None, domain: int, trainer: L.Trainer) -> Scores:
    if collected is None:
        return np.full(n_eval_units(trainer, domain), np.nan)
    return all_units(torch.cat(collected), domain, trainer)


def _sanity_check_is_whole(trainer: L.Trainer) -> bool:
    return trainer.num_sanity_val_steps in (-1, float("inf"))


def _tensors(rows: Sequence[Scores]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in pack(rows).items()}


def _rows(tensors: dict[str, Tensor]) -> list[Scores]:
    return unpack({name: tensor.numpy() for name, tensor in tensors.items()})
