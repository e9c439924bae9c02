"""The stability gap: how deep old domains fall while a new one is learnt, which no evaluation at its end shows.

Shapes: ``K`` moments while an experience is learnt, ``D`` old domains.
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
    """Score the old domains again and again while each new one is learnt, and report how deep they fall.

    ``gap_t = 1/(t−1) Σ_{j<t} (A_j(0) − min_k A_j(k))`` over the moments ``k`` of experience ``t``: the end of the one
    before, after every ``every_n_steps``, and its own end; and the worst-case accuracy ``A_t / t + (1 − 1/t) min-ACC``,
    with the lowest scores since each domain was learnt. It logs ``<part>/stability_gap`` and
    ``<part>/worst_case_accuracy`` after every experience but the first, and writes ``stability_gap_<part>.json`` and a
    picture of all moments. An evaluation of ``n_units`` of each old domain costs time: choose both after the stream.
    From the command line, in ``fit``: ``--trainer.callbacks+=lifelong.evaluation.StabilityGap``.

    Args:
        every_n_steps: between two moments.
        n_units: at most so many held-out tasks or examples of a domain.

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
        """By experience: steps of the stream ``K``, and the scores of its old domains ``(K, D)``."""
        self.lowest: list[float] = []
        """Of each domain learnt so far its lowest score since then."""
        self.gaps: dict[str, float] = {}
        self.worst_case: dict[str, float] = {}
        self._last: list[float] = []

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuse a stream without boundaries; forget another run."""
        if not stream_data(trainer).has_boundaries:
            raise ValueError("StabilityGap needs experiences that begin and end: leave it out, or --data.fade")
        if stage == "fit" and trainer.global_step == 0:
            self.load_state_dict({"moments": {}, "lowest": [], "gaps": {}, "worst_case": {}, "last": []})

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin with the scores at the end of the experience before, when nobody asked for the new classes yet."""
        data = stream_data(trainer)
        if trainer.current_epoch and data.begins(trainer.current_epoch) and not data.joint:
            self.moments[data.stream.experiences[trainer.current_epoch].name] = ([trainer.global_step], [self._last])

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Score them after every so many optimizer steps."""
        if trainer.global_step % self.every_n_steps == 0 and not trainer.is_last_batch:
            self._look(trainer)

    def measure(self, trainer: L.Trainer, module: StreamModule, part: Part) -> None:
        """Score them at the end of the experience, with the new one, and sum up."""
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
        """Print each gap, and draw all moments."""
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
        """Return what was measured so far."""
        moments = {name: [list(steps), [list(row) for row in rows]] for name, (steps, rows) in self.moments.items()}
        copies = {"gaps": dict(self.gaps), "worst_case": dict(self.worst_case)}
        return {"moments": moments, "lowest": list(self.lowest), "last": list(self._last), **copies}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with what a checkpoint has."""
        self.moments = {name: (list(steps), list(rows)) for name, (steps, rows) in state_dict["moments"].items()}
        self.lowest, self.gaps = list(state_dict["lowest"]), dict(state_dict["gaps"])
        self.worst_case, self._last = dict(state_dict["worst_case"]), list(state_dict["last"])

    def _look(self, trainer: L.Trainer) -> list[float]:
        """Score all old domains now."""
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
