"""A search for settings that looks at the first experiences of a stream alone, and is judged on the whole of it.

In a life of learning what comes later is not known when settings are chosen, so a trial learns the first ``k``
experiences and is compared by validation data of these. The best setting then learns the whole stream with every seed,
and what the search never saw, the experiences from ``k + 1`` on, is reported apart.

Reference:
    Chaudhry et al., "Efficient Lifelong Learning with A-GEM", ICLR 2019, where settings are chosen on the first tasks.
"""

from __future__ import annotations

import csv
import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lifelong.run.configs import find_config
from lifelong.sweep.executors import DEFAULT_JOBS, Executor
from lifelong.sweep.journal import Journal
from lifelong.sweep.names import check_keys, check_names
from lifelong.sweep.pool import Pool
from lifelong.sweep.result_tables import mean
from lifelong.sweep.running import make_bar, run_missing
from lifelong.sweep.search_tables import best_table, trials_table
from lifelong.sweep.space import as_options, check_space
from lifelong.sweep.study import STUDY, Study, make_pruner, make_sampler
from lifelong.sweep.table import PlannedRun, check_seeds, make_training, split_flags
from lifelong.sweep.training import POLL, Training
from lifelong.utilities.files import write_whole
from lifelong.utilities.ranges import check_number

KEYS = ("config", "flags", "seeds", "search", "executor")
SEARCH_KEYS = ("space", "trials", "sampler", "pruner", "experiences", "metric", "seed", "report_flags")
METRICS = ("average_score", "learning_score", "forgetting", "backward_transfer", "forward_transfer", "unseen_score")
EXPERIENCES = 2
RESERVED = {
    "data.evaluate_on": "trials are compared by validation data alone: leave it out, or say it in report_flags",
    "trainer.max_epochs": "the search's experiences say how many are learnt: leave it out",
    "seed": "the search's seed and the sweep's seeds say it: leave it out",
    "data.joint": "joint learning has no first experiences to search by: leave it out",
}
"""Options that the search sets itself, or that leave nothing to search by, and the way out."""
TABLES = "tables.md"


class Search:
    """Hold what the file of a search says.

    Args:
        sweep: the whole file, checked.
        root: where the runs lie.
    """

    def __init__(self, sweep: Mapping[str, Any], root: Path) -> None:
        self._sweep, self.root = sweep, root
        self.settings: Mapping[str, Any] = sweep["search"]
        self.config, self.seeds = sweep["config"], sweep.get("seeds", [0])
        self.space, self.n_trials = self.settings["space"], self.settings["trials"]
        self.experiences = self.settings.get("experiences", EXPERIENCES)
        self.metric = self.settings.get("metric", "average_score")
        self.seed = self.settings.get("seed", self.seeds[0])

    @property
    def name(self) -> str:
        """Return what tells its trials from those of a search for other things."""
        what = [self.space, self.experiences, self.metric, self.training({}).identity]
        return hashlib.sha256(repr(what).encode()).hexdigest()[:12]

    def study(self) -> Study:
        """Return its trials."""
        return Study(
            self.root,
            self.name,
            self.space,
            n_trials=self.n_trials,
            minimize=self.metric == "forgetting",
            sampler=self.settings.get("sampler", "TPESampler"),
            pruner=self.settings.get("pruner"),
            seed=self.seed,
        )

    def training(self, chosen: Mapping[str, Any], number: int = 0) -> Training:
        """Return the run of a trial: the first experiences, on validation data."""
        fixed = ["--data.evaluate_on", "val", "--seed", str(self.seed)]
        if self.experiences is not None:
            fixed += ["--trainer.max_epochs", str(self.experiences)]
        options = [*split_flags(self._sweep.get("flags", ""), seed=self.seed), *as_options(chosen), *fixed]
        about = ", ".join(f"{name} {value}" for name, value in chosen.items())
        made = make_training(f"trial {number} ({about})", self.config, options, self.root / "trials")
        folder = made.folder / hashlib.sha256(made.identity.encode()).hexdigest()[:12]
        return Training(made.name, made.options, folder, made.identity, made.cwd)

    def best_runs(self, chosen: Mapping[str, Any], journal: Journal | None) -> list[PlannedRun]:
        """Return the runs of a setting on the whole stream, one for each seed."""
        runs = []
        for seed in self.seeds:
            flags = [self._sweep.get("flags", ""), "--data.evaluate_on val --seed {seed}"]
            options = [*split_flags(flags[0], seed=seed), *as_options(chosen), *split_flags(flags[1], seed=seed)]
            options += split_flags(self.settings.get("report_flags", ""), seed=seed)
            made = make_training(f"best setting, seed {seed}", self.config, options, self.root / "best")
            folder = made.folder / f"{hashlib.sha256(made.identity.encode()).hexdigest()[:12]}-{seed}"
            training = Training(made.name, made.options, folder, made.identity, made.cwd)
            runs.append(PlannedRun("best", "best setting", "", seed, training, journal))
        return runs


def check(sweep: Mapping[str, Any]) -> None:
    """Refuse what stands for nothing, before anything is run.

    Args:
        sweep: what the file says.

    Raises:
        ValueError: naming it, with the way out.
    """
    check_keys("the sweep", sweep, KEYS, needed=("config", "search"))
    settings = sweep["search"]
    check_keys("the search", settings, SEARCH_KEYS, needed=("space", "trials"))
    check_seeds(sweep.get("seeds", [0]))
    check_seeds([settings.get("seed", 0)])
    check_space(settings["space"])
    if settings["trials"] is None:
        raise ValueError("the search's trials are null: give a number")
    check_number("the search's trials", settings["trials"], least=1, whole=True)
    check_number("the search's experiences", settings.get("experiences"), least=1, whole=True, hint=", or null for all")
    check_names("metric", {settings.get("metric", METRICS[0])}, METRICS)
    _check_flags(sweep.get("flags", ""))
    make_sampler(settings.get("sampler", "TPESampler"), settings["space"], 0)
    make_pruner(settings.get("pruner"))
    find_config(sweep["config"])


def _check_flags(flags: str) -> None:
    for word in split_flags(flags, seed=0):
        name = word.removeprefix("--").partition("=")[0].replace(".init_args", "")
        if word.startswith("--") and name in RESERVED:
            raise ValueError(f"the search's flags have --{name}, and {RESERVED[name]}")


def run_search(
    sweep: Mapping[str, Any], root: Path, journal: Journal | None, jobs: int | None, make: Callable[[], Executor] | None
) -> list[str]:
    """Try settings, run the best one on the whole stream with every seed, print and write both tables.

    Args:
        sweep: that :func:`check` has let pass.
        root: where the runs lie; searchers that share it share the trials.
        journal: keeps results of finished runs, which are not run again.
        jobs: how many runs at a time.
        make: makes an executor; None runs nothing.

    Returns:
        What failed, one sentence each.
    """
    search = Search(sweep, root)
    if make is None and not (root / STUDY).is_file():
        print(f"no finished run under {root}")
        return []
    study = search.study()
    try:
        failures = [] if make is None else _try_settings(search, study, journal, jobs or DEFAULT_JOBS, make)
        best, runs = study.best, []
        if best is not None and study.is_over:
            runs = search.best_runs(best.params, journal)
            if make is not None and any(run.results is None for run in runs):
                failures += run_missing(runs, make(), jobs, lambda: None)
            for run in runs:
                run.keep()
        text = _text(search, study, runs)
    finally:
        study.close()
    print(text)
    if make is not None:
        _write(search, text)
    return failures


def _write(search: Search, text: str) -> None:
    write_whole(search.root / TABLES, lambda part: part.write_text(text, encoding="utf-8"))


def _text(search: Search, study: Study, runs: Sequence[PlannedRun]) -> str:
    parts = [trials_table(study.trials, study.best, search.space, search.metric, search.experiences)]
    if finished := [results for run in runs if (results := run.results)]:
        parts.append(best_table(finished, search.experiences, len(runs)))
    return "\n\n".join(parts) + "\n"


def _try_settings(
    search: Search, study: Study, journal: Journal | None, jobs: int, make: Callable[[], Executor]
) -> list[str]:
    study.retry_failed()
    failures: list[str] = []
    with make_bar() as progress, Pool(make()) as pool:
        bar = progress.add_task("trials", total=search.n_trials, left="")
        trying, n_ended = Trying(search, study, pool, journal), 0
        while not (study.is_over and not trying.active):
            trying.start(jobs)
            trying.watch()
            failures += trying.end()
            n_before, n_ended = n_ended, sum(t.state.name != "RUNNING" for t in study.trials)
            if n_ended != n_before:
                _write(search, _text(search, study, ()))
            best = study.best
            progress.update(bar, completed=n_ended, left="" if best is None else f"best so far {best.value:.4f}")
            time.sleep(POLL)
    return failures


class Trying:
    """Keep the trials of one searcher under way.

    Args:
        search: what is searched for.
        study: hands out trials.
        pool: runs them.
        journal: where results may stand already.
    """

    def __init__(self, search: Search, study: Study, pool: Pool, journal: Journal | None) -> None:
        self._search, self._study, self._pool, self._journal = search, study, pool, journal
        self.active: dict[Training, Any] = {}
        self._n_reported: dict[Training, int] = {}
        self._pruned: set[Training] = set()

    def start(self, jobs: int) -> None:
        """Begin trials until so many are under way; one whose run has finished before is told at once."""
        while len(self.active) < jobs and (asked := self._study.ask()):
            trial, chosen = asked
            training = self._search.training(chosen, trial.number)
            if (results := self._results(training)) is not None:
                self._complete(trial, training, results)
                continue
            self.active[training], self._n_reported[training] = trial, 0
            self._pool.start([training])

    def watch(self) -> None:
        """Report the row averages so far, and stop what the pruner gives up."""
        for training, trial in self.active.items():
            if training in self._pruned:
                continue
            for value in row_averages(training.folder)[self._n_reported[training] :]:
                self._n_reported[training] += 1
                trial.report(value, self._n_reported[training])
                is_last = self._n_reported[training] == self._search.experiences
                if not is_last and training not in self._pruned and trial.should_prune():
                    self._pool.stop(training)
                    self._pruned.add(training)

    def end(self) -> list[str]:
        """Tell the study of trials that have ended; return what failed."""
        failures = []
        for training, outcome in self._pool.ended():
            trial = self.active.pop(training)
            if outcome.state == "finished" and (results := self._results(training)) is not None:
                failures += self._complete(trial, training, results)
                if self._journal is not None:
                    self._journal.add(training.identity, results)
            elif outcome.state == "stopped":  # by this searcher's pruner
                self._study.tell(trial, None, "PRUNED")
            else:
                self._study.tell(trial, None, "FAIL")
                failures.append(outcome.about)
        return failures

    def _complete(self, trial: Any, training: Training, results: Mapping[str, Any]) -> list[str]:
        """Tell the study of a run that has finished; one whose metric is no number has failed."""
        metric = results["metrics"].get(self._search.metric)
        if metric is None:
            reason = results.get("reasons", {}).get(self._search.metric, "it was not measured")
            raise ValueError(f"the search's metric {self._search.metric} is not available ({reason}): choose another")
        trial.set_user_attr("minutes", results["wall_seconds"] / 60)
        if not math.isfinite(value := mean([metric["value"]])):
            self._study.tell(trial, None, "FAIL")
            return [f"{training.name}: {self._search.metric} is no number, the learner diverged ({training.folder})"]
        self._study.tell(trial, value, "COMPLETE")
        return []

    def _results(self, training: Training) -> dict[str, Any] | None:
        kept = None if self._journal is None else self._journal.find(training.identity)
        return kept or training.results


def row_averages(folder: Path) -> list[float]:
    """Return the average score after each experience so far, as ``metrics.csv`` of a run has them.

    Args:
        folder: of the run.
    """
    path = folder / "metrics.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        values = [row.get("val/average_score") for row in csv.DictReader(file)]
    return [float(value) for value in values if value]
