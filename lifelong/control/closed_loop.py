"""Closed-loop evaluation: what a learner is worth as a driver of robots that it has never met.

Shapes: ``T`` rows (experiences), ``D`` domains, ``R`` robots of each.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from typing import Any

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lifelong.control.drive import Drive
from lifelong.control.plots import support_curve_figure, trajectories_figure
from lifelong.control.source import ControlSource
from lifelong.control.support_curve import default_sizes, errors_by_size, windows
from lifelong.control.video import film_suffix, side_by_side, write_film
from lifelong.data.sampling import generator
from lifelong.evaluation import metrics, plots, tables
from lifelong.evaluation.after_evaluation import AfterEvaluation
from lifelong.evaluation.metrics import Estimate, Row
from lifelong.learners.base import Learner
from lifelong.strategy import overrides
from lifelong.utilities.progress_bar import show_progress

MAX_WINDOWS = 64
"""Tasks of a domain on which the model's error is measured."""
MAX_FAILURES = 3
"""Failures that are told one by one."""


class ClosedLoop(AfterEvaluation):
    """Lets the learner drive unseen robots of every domain of the stream and measures how well they fare.

    Success (or return) and the robots' other measures are means over robots with 95 % intervals, printed and written
    to ``closed_loop.json`` with a heat map ``closed_loop.png``. In ``fit`` the rows after each experience make the
    closed-loop accuracy matrix, whose average and forgetting are told as those of the score are. Beside them:
    ``trajectories.png``, the robots' ways before and after adaptation; ``support_curve.png``, the model's error on
    held-out windows against the size of the support set; films ``drive_<domain>.mp4`` where asked for (``.gif`` without
    the extra ``robot``). ``validate`` and ``test`` add the part to these names, so that what ``fit`` wrote stays.

    From the command line, in ``fit``, ``validate`` and ``test``:
    ``--trainer.callbacks+=lifelong.control.ClosedLoop --trainer.callbacks.n_robots=20``.

    The robots, where they begin and what they are after are the same for every method, seed and row.

    Args:
        n_robots: robots of each domain; others for ``val`` than for ``test``.
        domains: names of those to drive in; None is all that have robots.
        every_experience: in ``fit``, after every experience; False waits for the last one.
        compare: after the last one, drive the same robots without adaptation as well.
        support_sizes: sizes of support sets in the curve; None takes 0, powers of two, and that of the evaluation
            tasks; an empty list leaves the curve out.
        video: film the first robot of each domain, before adaptation and after.

    Raises:
        ValueError: when no source of the stream can be acted in, a strategy answers in the learner's place, a support
            set is larger than the data allow, a domain has no robots, or a setting is out of range.

    Example:
        >>> ClosedLoop(n_robots=10).n_robots
        10
    """

    def __init__(
        self,
        *,
        n_robots: int = 20,
        domains: Sequence[str] | None = None,
        every_experience: bool = False,
        compare: bool = True,
        support_sizes: Sequence[int] | None = None,
        video: bool = False,
    ) -> None:
        if n_robots < 1:
            raise ValueError(f"ClosedLoop has n_robots {n_robots}: it must be at least 1")
        if support_sizes is not None and any(size < 0 for size in support_sizes):
            raise ValueError(f"ClosedLoop has support_sizes {list(support_sizes)}: none may be below 0")
        self.n_robots, self.domains, self.every_experience = n_robots, domains, every_experience
        self.compare, self.support_sizes, self.video = compare, support_sizes, video
        self.rows: list[Row] = []
        """The scores ``(R,)`` of each domain's robots after each experience; NaN where nobody drove."""
        self.result: dict[str, Any] | None = None
        """What was measured last, as in the file."""
        self._places: dict[int, tuple[ControlSource, int]] = {}

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuse what cannot work before any time is spent."""
        if stage == "predict":
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(pl_module, Learner)
        origins = enumerate(data.origins)
        self._places = {n: (source, i) for n, (source, i) in origins if isinstance(source, ControlSource)}
        if not self._places or data.unit != "tasks":
            raise ValueError(
                "ClosedLoop drives robots, but the stream has no few-shot tasks of any (a ControlSource): leave it out "
                "of --trainer.callbacks, or give --data.sources one, such as datamodules.Dynamics"
            )
        if self.domains is not None:
            self._keep_only(self.domains, data.stream.domains)
        for strategy in pl_module.strategies:
            if overrides(strategy, "respond"):
                raise ValueError(
                    f"{type(strategy).__name__} answers whole tasks in the learner's place, which a controller cannot "
                    "ask for at every step: leave ClosedLoop out, or the strategy"
                )
        sizes = self._sizes(data)
        for domain in self._places if sizes else ():
            for part in ("val", "test"):
                windows(data, part, domain, max(*sizes, 1), 1, torch.device("cpu"))

    def measure(self, trainer: L.Trainer, learner: Learner, part: str) -> None:
        """Drive in every domain; all processes do the same."""
        in_fit, is_last = trainer.state.fn == "fit", _is_last(trainer)
        if not (is_last or self.every_experience):
            return
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        began, draws = time.monotonic(), is_last and trainer.is_global_zero and self.folder is not None
        numbers, films = sorted(self._places), self.video and draws
        names = [data.stream.domains[number] for number in numbers]
        bar = show_progress(numbers, "closed loop: domains")
        after = [self._drive(learner, data, part, number, adapt=True, film=films) for number in bar]
        before: list[Drive] = []
        if is_last and (self.compare or films):
            bar = show_progress(numbers, "closed loop without adaptation: domains")
            before = [self._drive(learner, data, part, number, adapt=False, film=films) for number in bar]
        row = {number: drive.scores for number, drive in zip(numbers, after, strict=True)}
        self.result = {"part": part, "score": after[0].score_name, "n_robots": self.n_robots, "domains": names}
        if in_fit:
            self.result["after"] = data.stream.experiences[trainer.current_epoch].name
            self._add(row, len(data.stream.domains), trainer.current_epoch)
            self._log(learner, part, names, after)
            self.result |= self._matrix(data)
        self.result |= {"measures": _summary(after), "without_adaptation": _summary(before)}
        self.result["failures"] = {n: list(d.failures) for n, d in zip(names, after, strict=True) if d.failures}
        if is_last and (sizes := self._sizes(data)):
            self.result["support_curve"] = self._curve(learner, data, part, numbers, sizes)
        self.result["seconds"] = time.monotonic() - began
        if draws:
            pairs: list[Drive | None] = [*before] or [None for _ in after]
            self._draw(learner, data, list(zip(names, pairs, after, strict=True)))
        self.write(self._file("closed_loop", ".json"), self.result, trainer)

    def tell(self, trainer: L.Trainer, learner: Learner) -> None:
        """A row per domain, in ``fit`` the metrics of the stream, then what failed and where the files are."""
        if self.result is None:
            return
        console = Console()
        console.print()
        console.print(closed_loop_table(self.result))
        if found := self.result.get("metrics"):
            estimates = {name: None if e is None else Estimate(**e) for name, e in found.items()}
            percent, score = self.result["score"] == "success", self.result["score"]
            title = f"{score} in closed loop over the stream"
            table = tables.metrics_table(
                estimates, self.result["reasons"], percent=percent, score_name=score, title=title
            )
            console.print(table)
        failed = [f"{name}, {text}" for name, texts in self.result["failures"].items() for text in texts]
        for text in failed[:MAX_FAILURES]:
            console.print(f"failed: {text}", highlight=False, markup=False)
        if len(failed) > MAX_FAILURES:
            console.print(f"and {len(failed) - MAX_FAILURES} more failed: see the file", highlight=False)
        self.say_where(*self._files())

    def _keep_only(self, wanted: Sequence[str], names: Sequence[str]) -> None:
        known = [names[number] for number in self._places]
        missing = [name for name in wanted if name not in known]
        if missing or not wanted:
            found = f"found no robots in {', '.join(missing)}" if missing else "has an empty list of domains"
            raise ValueError(f"ClosedLoop {found}: choose domains from {', '.join(known)}")
        self._places = {number: place for number, place in self._places.items() if names[number] in wanted}

    # -- driving -----------------------------------------------------------------------------------------------------

    def _drive(self, learner: Learner, data: Any, part: str, number: int, *, adapt: bool, film: bool) -> Drive:
        source, domain = self._places[number]
        # Two generators for every part, so that test robots are none of those that settings were chosen on.
        robots, way = (generator(data.split_seed, "drive", number, 2 * (part == "test") + i) for i in (0, 1))
        n_tasks = data.n_eval_units(part, number)
        units = [i % n_tasks for i in range(self.n_robots)]
        support = data.draw_for_evaluation(part, number, units).gather(learner.device)
        simulations = source.simulations(domain, self.n_robots, robots)
        try:
            return source.controller.drive(learner, simulations, support, way, adapt=adapt, film=film)
        finally:
            for simulation in simulations:
                simulation.close()

    def _curve(
        self, learner: Learner, data: Any, part: str, numbers: Sequence[int], sizes: list[int]
    ) -> dict[str, Any]:
        errors = []
        for number in show_progress(numbers, "model error by support size: domains"):
            n_tasks = min(data.n_eval_units(part, number), MAX_WINDOWS)
            batch = windows(data, part, number, max(*sizes, 1), n_tasks, learner.device)
            errors.append(errors_by_size(learner, batch, sizes))
        mean, half_width = metrics.interval(metrics.ragged(errors))
        return {"sizes": sizes, "mean": mean, "half_width": half_width}

    def _sizes(self, data: Any) -> list[int]:
        if self.support_sizes is None:
            return default_sizes(data.eval_shape.n_shot)
        return sorted(set(self.support_sizes))

    # -- the matrix --------------------------------------------------------------------------------------------------

    def _add(self, scores: dict[int, NDArray[np.float64]], n_domains: int, experience: int) -> None:
        nothing = np.full(self.n_robots, np.nan)
        self.rows += [[nothing] * n_domains] * (experience - len(self.rows))
        self.rows = [*self.rows[:experience], [scores.get(d, nothing) for d in range(n_domains)]]

    def _matrix(self, data: Any) -> dict[str, Any]:
        scores = np.array(self.rows)
        mean, half_width = metrics.interval(scores)
        about = {"joint": data.joint, "n_unseen": data.stream.n_unseen}
        found = metrics.summary(scores, None, **about)
        reasons = metrics.reasons(scores, None, **about)
        found.pop("forward_transfer")  # nobody lets an untrained learner drive
        return {
            "matrix": mean,
            "matrix_half_width": half_width,
            "metrics": {
                n: None if e is None else {"value": e.value, "half_width": e.half_width} for n, e in found.items()
            },
            "reasons": {name: reason for name, reason in reasons.items() if name in found},
        }

    def _log(self, learner: Learner, part: str, names: Sequence[str], drives: Sequence[Drive]) -> None:
        values = {f"{part}/closed_loop/{n}": float(np.nanmean(d.scores)) for n, d in zip(names, drives, strict=True)}
        learner.log_dict(values, rank_zero_only=False, sync_dist=False)

    # -- files -------------------------------------------------------------------------------------------------------

    def _draw(self, learner: Learner, data: Any, drives: list[tuple[str, Drive | None, Drive]]) -> None:
        assert self.folder is not None
        assert self.result is not None
        part = self.result["part"]
        title = f"{type(learner).__name__}, {' + '.join(learner.strategies.names) or 'no strategy'}"
        figures = {self._file("closed_loop", ".png"): self._heat_map(data, title)}
        placed = [(name, before, after) for name, before, after in drives if after.positions is not None]
        if placed:
            figures[self._file("trajectories", ".png")] = trajectories_figure(placed, title=f"{title}: {part} robots")
        if curve := self.result.get("support_curve"):
            figures[self._file("support_curve", ".png")] = support_curve_figure(
                curve, self.result["domains"], title=f"{title}: model error on {part} windows"
            )
        for name, figure in figures.items():
            plots.save_figure(figure, self.folder.path / name)
        self.result["files"] = list(figures)
        for name, before, after in drives if self.video else ():
            self._film(name, before, after)

    def _heat_map(self, data: Any, title: str) -> Any:
        assert self.result is not None
        percent, score = self.result["score"] == "success", f"{self.result['score']} in closed loop"
        names = list(data.stream.domains)
        if "matrix" in self.result:
            mean, width = self.result["matrix"], self.result["matrix_half_width"]
            rows = [e.name for e in data.stream.experiences[: len(mean)]]
            joint = data.joint
        if "matrix" not in self.result or np.isnan(mean[:-1]).all():  # the rows before were not driven
            mean, width = (np.full((1, len(names)), np.nan) for _ in range(2))
            found = self.result["measures"][self.result["score"]]
            columns = [names.index(name) for name in self.result["domains"]]
            mean[0, columns], width[0, columns] = found["mean"], found["half_width"]
            rows, joint = ["learning"], True
        return plots.accuracy_matrix_figure(
            mean,
            width,
            rows,
            names,
            title=f"{title}: {self.n_robots} {self.result['part']} robots a domain",
            score_name=score,
            percent=percent,
            joint=joint,
            n_unseen=data.stream.n_unseen,
        )

    def _film(self, name: str, before: Drive | None, after: Drive) -> None:
        assert self.folder is not None
        assert self.result is not None
        assert before is not None
        captions = [f"{name}: {when} adaptation" for when in ("before", "after")]
        frames, suffix = side_by_side([before.frames, after.frames], captions), film_suffix()
        file = self._file(f"drive_{re.sub(r'[^A-Za-z0-9]+', '_', name).strip('_')}", suffix)
        self.folder.write(file, lambda path: write_film(path, frames, after.seconds_per_step, suffix))
        self.result["files"].append(file)

    def _file(self, name: str, suffix: str) -> str:
        """``fit``'s own name, or one with the part that a checkpoint was judged on: neither overwrites the other."""
        assert self.result is not None
        return f"{name}{suffix}" if "after" in self.result else f"{name}_{self.result['part']}{suffix}"

    def _files(self) -> list[str]:
        assert self.result is not None
        return [self._file("closed_loop", ".json"), *self.result.get("files", ())]

    # -- checkpoint --------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Rows as tensors, so that a checkpoint loads without trusting pickles."""
        return {"rows": [[torch.from_numpy(scores) for scores in row] for row in self.rows]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the rows of the checkpoint."""
        self.rows = [[scores.numpy() for scores in row] for row in state_dict["rows"]]


def closed_loop_table(result: dict[str, Any]) -> Table:
    """Every domain's measures with their 95 % intervals, and the score without adaptation where that was driven.

    Args:
        result: what :class:`ClosedLoop` measured.
    """
    score, measures = result["score"], result["measures"]
    when = f" after {result['after']}" if "after" in result else ""
    title = f"closed loop{when}: {result['n_robots']} {result['part']} robots a domain (95 % CI over robots)"
    columns = {f"{_head(score)} ↑": (measures[score], score)}
    if score in result["without_adaptation"]:
        columns["without adaptation"] = (result["without_adaptation"][score], score)
    columns |= {_head(name): (found, name) for name, found in measures.items() if name != score}
    about: dict[str, Any] = {"box": box.SIMPLE_HEAD, "padding": (0, 1, 0, 0), "show_edge": False}
    table = Table(title=Text(title), title_justify="left", **about)
    table.add_column("domain", no_wrap=True)
    for head in columns:
        table.add_column(head.replace(" ", "\n", 1), justify="right", no_wrap=True)
    texts = [_texts(found, name) for found, name in columns.values()]
    for name, *cells in zip(result["domains"], *texts, strict=True):
        table.add_row(Text(tables.shorten(name)), *cells)
    return table


def _head(name: str) -> str:
    return "success (%)" if name == "success" else name.replace("_", " ")


def _texts(found: dict[str, Any], name: str) -> list[str]:
    percent = name == "success"
    estimates = [
        Estimate(float(m), float(h)).scaled(tables.unit(percent))
        for m, h in zip(found["mean"], found["half_width"], strict=True)
    ]
    places = tables.places([e.value / tables.unit(percent) for e in estimates], percent)
    return [e.text(places) for e in estimates]


def _summary(drives: Sequence[Drive]) -> dict[str, Any]:
    """Mean and half width ``(D,)`` of every measure."""
    names = list(dict.fromkeys(name for drive in drives for name in drive.measures))
    summary = {}
    for name in names:
        pairs = [_interval(drive.measures.get(name)) for drive in drives]
        summary[name] = dict(zip(("mean", "half_width"), map(list, zip(*pairs, strict=True)), strict=True))
    return summary


def _interval(values: NDArray[np.float64] | None) -> tuple[float, float]:
    """Over the robots that have the measure: an unstable one may have none."""
    known = np.zeros(0) if values is None else values[np.isfinite(values)]
    if not known.size:
        return float("nan"), float("nan")
    mean, half_width = metrics.interval(known)
    return float(mean), float(half_width)


def _is_last(trainer: L.Trainer) -> bool:
    if trainer.state.fn != "fit":
        return True
    return trainer.max_epochs is not None and trainer.current_epoch + 1 >= trainer.max_epochs
