"""The evaluator: fills the accuracy matrix row by row while a stream is learnt, and reports it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import lightning as L
import numpy as np
import torch
from torch import Tensor

from lifelong.data.episode import Episode
from lifelong.data.kinds import DISJOINT_STREAMS
from lifelong.data.stream_datamodule import stream_data
from lifelong.evaluation import metrics
from lifelong.evaluation.batch_collector import BatchCollector
from lifelong.evaluation.metrics import Row, Scores
from lifelong.evaluation.report import Report
from lifelong.training.stream_module import StreamModule, evaluation_part, stream_module


class Evaluator(BatchCollector):
    """Scores every domain after every experience, on the same tasks each time; the rows are the accuracy matrix.

    The row of the untrained learner comes from the Trainer's sanity check, which the command line makes a whole
    evaluation (``num_sanity_val_steps=-1``). What was measured travels in the checkpoint.

    Args:
        report: where rows go as they come; None keeps them in memory only.
    """

    def __init__(self, report: Report | None = None) -> None:
        self.report = report
        self.rows: dict[str, list[Scores]] = {}
        """By measure: ``(domains, units)`` after each experience."""
        self.untrained: Row | None = None
        self.seconds = 0.0
        self._collected: dict[str, dict[int, list[Tensor]]] = {}
        self._started = time.monotonic()

    # -- collecting --------------------------------------------------------------------------------------------------

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the clock; a resumed run goes on from the seconds in its checkpoint."""
        self._started = time.monotonic()

    def forget(self) -> None:
        """Drop the scores of an interrupted evaluation."""
        self._collected = {}

    def collect(self, trainer: L.Trainer, module: StreamModule, outputs: Any, batch: Episode, domain: int) -> None:
        """Keep the measures of a batch of tasks."""
        for name, values in outputs.items():
            self._collected.setdefault(name, {}).setdefault(domain, []).append(values)

    def _row(self, trainer: L.Trainer, pl_module: L.LightningModule) -> dict[str, Row]:
        domains = stream_data(trainer).stream.domains
        return {
            name: [self._scores(found.get(d), d, trainer, pl_module) for d in range(len(domains))]
            for name, found in self._collected.items()
        }

    @staticmethod
    def _scores(found: list[Tensor] | None, domain: int, trainer: L.Trainer, pl_module: L.LightningModule) -> Scores:
        if found is None:
            return np.full(n_eval_units(trainer, domain), np.nan)
        return all_units(torch.cat(found), domain, trainer)

    # -- what a row is used for --------------------------------------------------------------------------------------

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """A whole row is there: of the untrained learner, of an experience, or of a checkpoint."""
        row = self._row(trainer, pl_module)
        if trainer.sanity_checking:
            if not self.rows and self.untrained is None:  # a resumed run has it from its checkpoint
                self.untrained = row["score"]
        elif trainer.state.fn == "fit":
            self._add(row, trainer.current_epoch)
            pl_module.log_dict(self.scalars(trainer), rank_zero_only=False, sync_dist=False)
            if self.report is not None:
                self.report.row(self, trainer)
        elif self.report is not None:
            self.report.evaluation(row, trainer, stream_data(trainer).evaluate_on)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The row of a checkpoint on the test tasks."""
        if self.report is not None:
            self.report.evaluation(self._row(trainer, pl_module), trainer, "test")

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The whole matrix is there."""
        if self.report is not None:
            self.report.finish(self, trainer)

    def _add(self, row: dict[str, Row], experience: int) -> None:
        for name, scores in row.items():
            kept = self.rows.setdefault(name, [])
            # A measure may begin late (a router needs an entry first): earlier rows were not evaluated.
            kept += [metrics.ragged([np.full_like(domain, np.nan) for domain in scores])] * (experience - len(kept))
            self.rows[name] = [*kept[:experience], metrics.ragged(scores)]

    def matrix(self, measure: str = "score") -> Scores:
        """Scores ``(rows, domains, units)`` of a measure."""
        rows = self.rows[measure]
        stack = metrics.ma.stack if any(metrics.ma.isMaskedArray(row) for row in rows) else np.stack
        return stack(rows)

    def summary(self, trainer: L.Trainer) -> dict[str, metrics.Estimate | None]:
        """The continual metrics so far."""
        return metrics.summary(self.matrix(), self.untrained_scores(), **_about(trainer))

    def reasons(self, trainer: L.Trainer) -> dict[str, str]:
        """Why the metrics that are not available are not."""
        return metrics.reasons(self.matrix(), self.untrained_scores(), **_about(trainer))

    def untrained_scores(self) -> Scores | None:
        """Scores ``(domains, units)`` of the learner before its first step."""
        return None if self.untrained is None else metrics.ragged(self.untrained)

    def scalars(self, trainer: L.Trainer) -> dict[str, float]:
        """What goes to the loggers after an experience whose row is whole; others have no average to tell of."""
        data = stream_data(trainer)
        if not data.row_is_whole:
            return {}
        means = metrics.plain(self.rows["score"][-1].mean(-1))
        per_domain = {
            f"{data.evaluate_on}/score/{n}": float(m) for n, m in zip(data.stream.domains, means, strict=True)
        }
        summary = {f"{data.evaluate_on}/{k}": v.value for k, v in self.summary(trainer).items() if v is not None}
        return per_domain | summary

    def elapsed(self) -> float:
        """Wall seconds of the run, its earlier parts included."""
        return self.seconds + time.monotonic() - self._started

    # -- checkpoint --------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Rows as a few tensors, so that a checkpoint loads without trusting pickles."""
        return {
            "rows": {name: _packed(rows) for name, rows in self.rows.items()},
            "untrained": None if self.untrained is None else _packed([metrics.ragged(self.untrained)]),
            "seconds": self.elapsed(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the rows of the checkpoint."""
        self.rows = {name: _unpacked(rows) for name, rows in state_dict["rows"].items()}
        untrained = state_dict["untrained"]
        if isinstance(untrained, list):  # written before rows were packed
            untrained = [untrained]
        self.untrained = None if untrained is None else [metrics.own(scores) for scores in _unpacked(untrained)[0]]
        self.seconds = state_dict["seconds"]


def all_units(local: Tensor, domain: int, trainer: L.Trainer) -> Scores:
    """Return the values ``(n, …)`` of all evaluation units of a domain, in order, from this rank's share ``(B, …)``."""
    n_units = n_eval_units(trainer, domain)  # what is beyond wrapped round
    values = stream_module(trainer).runner.gather(local)[:n_units]
    scores: Scores = values.cpu().double().numpy()
    return scores


def n_eval_units(trainer: L.Trainer, domain: int) -> int:
    """Evaluation units of a domain in the part that is evaluated now."""
    return stream_data(trainer).n_eval_units(evaluation_part(trainer), domain)


def _about(trainer: L.Trainer) -> dict[str, Any]:
    data = stream_data(trainer)
    return {"joint": data.joint, "disjoint": data.kind in DISJOINT_STREAMS, "n_unseen": data.stream.n_unseen}


def _packed(rows: Sequence[Scores]) -> dict[str, Tensor]:
    """Rows ``(D, n)`` as a few tensors, for a checkpoint: what was not evaluated takes no room in it."""
    values = np.stack([metrics.plain(row) for row in rows])
    cells = np.argwhere(~np.isnan(values).all(-1))
    found = {"shape": np.array(values.shape[:2]), "n_units": metrics.ma.count(rows[0], axis=-1), "cells": cells}
    return {name: torch.from_numpy(array) for name, array in (found | {"scores": values[tuple(cells.T)]}).items()}


def _unpacked(packed: Any) -> list[Scores]:
    if isinstance(packed, list):  # written before rows were packed: a tensor for each domain of each row
        return [metrics.ragged([scores.numpy() for scores in row]) for row in packed]
    shape, n_units, cells, scores = (packed[name].numpy() for name in ("shape", "n_units", "cells", "scores"))
    values = np.full((*shape, n_units.max()), np.nan)
    values[tuple(cells.T)] = scores
    return [metrics.ragged([units[:n] for units, n in zip(row, n_units, strict=True)]) for row in values]
