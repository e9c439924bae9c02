"""The stability gap: how far scores of old domains drop while a new one is learnt, before they recover.

Shapes: ``K`` evaluations during an experience, ``D`` old domains.
"""

from __future__ import annotations

from typing import Any

import lightning as L
import numpy as np

from lifelong.data.kinds import Part
from lifelong.data.stream_datamodule import stream_data
from lifelong.evaluation import plots
from lifelong.evaluation.after_evaluation import AfterEvaluation, title_of
from lifelong.evaluation.answers import on_held_out
from lifelong.evaluation.why import stability_gap, worst_case_accuracy
from lifelong.training.accessors import stream_module
from lifelong.training.stream_module import StreamModule
from lifelong.utilities.quiet import say
from lifelong.utilities.ranges import check_number


class StabilityGap(AfterEvaluation):
    """Score the old domains repeatedly while each new one is learnt, and report how far their scores drop.

    ``gap_t = 1/(t−1) Σ_{j<t} (A_j(0) − min_k A_j(k))``, where ``A_j(k)`` is the score of domain ``j`` at evaluation
    ``k`` of experience ``t``: at its start, after every ``every_n_steps`` steps, and at its end. The worst-case
    accuracy is ``A_t / t + (1 − 1/t) min-ACC``, with the mean ``min-ACC`` of the lowest scores since each domain was
    learnt. The callback logs ``<part>/stability_gap`` and ``<part>/worst_case_accuracy`` after each experience but the
    first, and writes ``stability_gap_<part>.json`` and a figure of all evaluations. Each evaluation takes time: choose
    ``every_n_steps`` and ``n_units`` by the length of the stream. On the command line of ``fit``, add
    ``--trainer.callbacks+=lifelong.evaluation.StabilityGap``.

    Args:
        every_n_steps: number of optimizer steps between two evaluations.
        n_units: maximum number of held-out tasks or examples of a domain.

    Raises:
        ValueError: when the stream has no boundaries.

    Reference:
        De Lange, van de Ven & Tuytelaars, "Continual evaluation for lifelong learning: Identifying the stability gap",
        ICLR 2023.

    Example:
        >>> StabilityGap(every_n_steps=5).n_units
        200
    """

    def __init__(self, *, every_n_steps: int = 10, n_units: int = 200) -> None:
        check_number("StabilityGap's every_n_steps", every_n_steps, least=1, whole=True)
        check_number("StabilityGap's n_units", n_units, least=1, whole=True)
        self.every_n_steps, self.n_units = every_n_steps, n_units
        self.moments: dict[str, tuple[list[int], list[list[float]]]] = {}
        """Steps of the stream ``(K,)`` and scores of the old domains ``(K, D)``, by experience."""
        self.lowest: list[float] = []
        """The lowest score of each domain since it was learnt."""
        self.gaps: dict[str, float] = {}
        self.worst_case: dict[str, float] = {}
        self._last: list[float] = []

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Raise an error if the stream has no boundaries; discard the values of an earlier run."""
        if not stream_data(trainer).has_boundaries:
            raise ValueError("StabilityGap needs experiences that begin and end: leave it out, or --data.fade")
        if stage == "fit" and trainer.global_step == 0:
            self.load_state_dict({"moments": {}, "lowest": [], "gaps": {}, "worst_case": {}, "last": []})

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Score the old domains at the start of an experience, before the new classes compete."""
        data = stream_data(trainer)
        if trainer.current_epoch and data.begins(trainer.current_epoch) and not data.joint:
            self.moments[data.stream.experiences[trainer.current_epoch].name] = ([trainer.global_step], [self._last])

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Score the old domains after every ``every_n_steps`` optimizer steps."""
        if trainer.global_step % self.every_n_steps == 0 and not trainer.is_last_batch:
            self._look(trainer)

    def measure(self, trainer: L.Trainer, module: StreamModule, part: Part) -> None:
        """Score the old domains and the new one at the end of an experience, and compute gap and worst case."""
        if trainer.state.fn != "fit" or stream_data(trainer).joint:
            return
        number = trainer.current_epoch
        name = stream_data(trainer).stream.experiences[number].name
        newest = self._score(trainer, number)
        self._last = [*self._look(trainer), newest]
        if number:
            self.gaps[name] = stability_gap(np.array(self.moments[name][1]))
            self.worst_case[name] = worst_case_accuracy(self.lowest, newest)
            values = {"stability_gap": self.gaps[name], "worst_case_accuracy": self.worst_case[name]}
            logged = {f"{part}/{key}": value for key, value in values.items()}
            module.log_dict(logged, rank_zero_only=False, sync_dist=False)
        self.lowest.append(newest)
        moments = {key: {"steps": steps, "scores": scores} for key, (steps, scores) in self.moments.items()}
        content = {"stability_gap": self.gaps, "worst_case_accuracy": self.worst_case, "moments": moments}
        self.write(f"stability_gap_{part}.json", content, trainer)

    def tell(self, trainer: L.Trainer, module: StreamModule) -> None:
        """Print each gap, and draw all evaluations."""
        if not self.gaps:
            return
        part, objective = stream_data(trainer).evaluate_on, module.learner.objective
        factor, places, unit = (100, 1, " %") if objective.percent else (1, 3, "")
        listed = ", ".join(f"{name} {factor * gap:.{places}f}{unit}" for name, gap in self.gaps.items())
        last = factor * list(self.worst_case.values())[-1]
        say(
            f"stability gap while each was learnt: {listed}; worst-case {objective.score_name} at the end "
            f"{last:.{places}f}{unit}"
        )
        figure = plots.moments_figure(
            self.moments,
            list(stream_data(trainer).stream.domains),
            title=title_of(trainer, f"at most {self.n_units} {part} units of each old domain"),
            score_name=objective.score_name,
            percent=objective.percent,
        )
        self.draw(figure, "stability gap", f"stability_gap_{part}.png", trainer)
        self.say_where(trainer, f"stability_gap_{part}.json", f"stability_gap_{part}.png")

    def state_dict(self) -> dict[str, Any]:
        """Return the values so far."""
        moments = {name: [list(steps), [list(row) for row in rows]] for name, (steps, rows) in self.moments.items()}
        copies = {"gaps": dict(self.gaps), "worst_case": dict(self.worst_case)}
        return {"moments": moments, "lowest": list(self.lowest), "last": list(self._last), **copies}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the values from a checkpoint."""
        self.moments = {name: (list(steps), list(rows)) for name, (steps, rows) in state_dict["moments"].items()}
        self.lowest, self.gaps = list(state_dict["lowest"]), dict(state_dict["gaps"])
        self.worst_case, self._last = dict(state_dict["worst_case"]), list(state_dict["last"])

    def _look(self, trainer: L.Trainer) -> list[float]:
        """Score all old domains."""
        number = trainer.current_epoch
        scores = [] if stream_data(trainer).joint else [self._score(trainer, domain) for domain in range(number)]
        if scores:
            steps, rows = self.moments[stream_data(trainer).stream.experiences[number].name]
            steps.append(trainer.global_step)
            rows.append(scores)
            self.lowest = [min(pair) for pair in zip(self.lowest, scores, strict=True)]
        return scores

    def _score(self, trainer: L.Trainer, domain: int) -> float:
        module = stream_module(trainer)
        scores = on_held_out(trainer, domain, self.n_units, lambda batch: module.measures(batch, domain)["score"])
        return float(scores.double().mean())
