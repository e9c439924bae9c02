"""Hyperparameter search on the first experiences of a stream; the best setting is evaluated on the whole stream.

In continual learning, later experiences are not available when hyperparameters are chosen. A trial therefore learns
only the first ``k`` experiences, and trials are compared on their validation data. The best setting then learns the
whole stream with every seed, and the experiences from ``k + 1`` on, which the search did not use, are reported
separately.

Reference:
    Chaudhry et al., "Efficient Lifelong Learning with A-GEM", ICLR 2019, where hyperparameters are chosen on the first
    tasks.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lifelong.run.configs import find_config
from lifelong.sweep.checks import check_trainings
from lifelong.sweep.executors import DEFAULT_JOBS, Executor
from lifelong.sweep.journal import Journal
from lifelong.sweep.names import check_keys, check_names
from lifelong.sweep.pool import Pool
from lifelong.sweep.running import make_bar, run_missing
from lifelong.sweep.search_tables import best_table, trials_table
from lifelong.sweep.searcher import Searcher
from lifelong.sweep.space import as_options, check_space, settings_to_check
from lifelong.sweep.study import STUDY, Study, make_pruner, make_sampler
from lifelong.sweep.table import Ended, PlannedRun, check_seeds, ended, make_training, split_flags
from lifelong.sweep.tables import failed_list
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
"""Options that the search sets itself or that make a search impossible, with what to do instead."""
TABLES = "tables.md"


class Search:
    """Store the content of a search's file.

    Args:
        sweep: the whole file, checked.
        root: root of the run folders.
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
        """Return the name of the study, which depends on all that makes trials comparable."""
        what = [self.space, self.experiences, self.metric, self.training({}).identity]
        return hashlib.sha256(repr(what).encode()).hexdigest()[:12]

    def study(self) -> Study:
        """Return the study of its trials."""
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
        """Return the training of a trial: the first experiences, evaluated on validation data."""
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

    def searcher(self, study: Study, pool: Pool, journal: Journal | None) -> Searcher:
        """Return the searcher that runs its trials."""
        return Searcher(study, pool, journal, training=self.training, metric=self.metric, experiences=self.experiences)

    def trainings_to_check(self) -> Iterator[Training]:
        """Yield trainings that cover each choice of every option, and both ends of each range."""
        for number, chosen in enumerate(settings_to_check(self.space)):
            about = ", ".join(f"{name} {value}" for name, value in chosen.items())
            yield replace(self.training(chosen), name=f"a trial with {about}")
            if number == 0:
                yield replace(self.best_runs(chosen, None)[0].training, name=f"the whole stream with {about}")


def check(sweep: Mapping[str, Any]) -> None:
    """Raise an error if the file of a search has unknown names or invalid values.

    Args:
        sweep: content of the file.

    Raises:
        ValueError: when it does; the message says what to do.
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
    sweep: Mapping[str, Any],
    root: Path,
    journal: Journal | None,
    jobs: int | None,
    make: Callable[[], Executor] | None,
    check_options: Callable[[Sequence[str]], None] | None = None,
) -> list[str]:
    """Run the trials, run the best setting on the whole stream with every seed, print and write both tables.

    Args:
        sweep: content of the file, as accepted by :func:`check`.
        root: root of the run folders; searchers with the same root share the trials.
        journal: results of finished runs, which are not repeated.
        jobs: number of parallel runs.
        make: function that makes an executor. If None, nothing is run.
        check_options: raises a ``ValueError`` for options that ``fit`` does not accept; called before the first trial.

    Returns:
        The failures, one sentence each.
    """
    search = Search(sweep, root)
    if make is None and not (root / STUDY).is_file():
        print(f"no finished run under {root}")
        return []
    study = search.study()
    failures: list[str] = []
    try:
        if make is not None:
            study.retry_failed()
            if not study.is_over:
                if check_options is not None:
                    check_trainings(list(search.trainings_to_check()), check_options)
                failures = _try_settings(search, study, journal, jobs or DEFAULT_JOBS, make)
        best, so_far = study.best, Ended({}, {})
        if best is not None and study.is_over:
            runs = search.best_runs(best.params, journal)
            so_far = ended(runs)
            if make is not None and len(so_far.finished) < len(runs):
                failures += run_missing(runs, so_far, make(), jobs, lambda: None)
            for run in runs:
                run.keep()
        text = _text(search, study, so_far)
    finally:
        study.close()
    print(text)
    if make is not None:
        _write(search, text)
    return failures


def _write(search: Search, text: str) -> None:
    write_whole(search.root / TABLES, lambda part: part.write_text(text, encoding="utf-8"))


def _text(search: Search, study: Study, best: Ended) -> str:
    parts = [trials_table(study.trials, study.best, search.space, search.metric, search.experiences)]
    if best.finished:
        parts.append(best_table(list(best.finished.values()), search.experiences, len(search.seeds)))
    if best.failed:
        parts.append(failed_list(best.failed).rstrip())
    return "\n\n".join(parts) + "\n"


def _try_settings(
    search: Search, study: Study, journal: Journal | None, jobs: int, make: Callable[[], Executor]
) -> list[str]:
    failures: list[str] = []
    with make_bar() as progress, Pool(make()) as pool:
        n_ended = _n_ended(study)
        bar = progress.add_task("trials", total=search.n_trials, completed=n_ended, left="")
        searcher = search.searcher(study, pool, journal)
        while searcher.active or not study.is_over:
            failures += searcher.start(jobs)
            searcher.watch()
            failures += searcher.end()
            n_before, n_ended = n_ended, _n_ended(study)
            if n_ended != n_before:
                _write(search, _text(search, study, Ended({}, {})))
            best = study.best
            progress.update(bar, completed=n_ended, left="" if best is None else f"best so far {best.value:.4f}")
            time.sleep(POLL)
    return failures


def _n_ended(study: Study) -> int:
    return sum(trial.state.name != "RUNNING" for trial in study.trials)
