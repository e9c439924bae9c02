"""The trials of a search, stored by Optuna in a file that several searchers share.

Each trial belongs to the searcher that requested it, which holds a lock while it is alive. If a searcher dies, another
one takes over: the lost trials do not count, and their settings are tried again.
"""

from __future__ import annotations

import inspect
import os
import socket
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from filelock import FileLock

from lifelong.sweep.executors import Description, read_description
from lifelong.sweep.names import check_named
from lifelong.sweep.space import choices, suggest
from lifelong.utilities.extras import imported
from lifelong.utilities.locks import acquire, is_held, waiting_for

STUDY, SEARCHERS = "study.log", "searchers"
"""Optuna's journal, and the folder with a lock for each running searcher."""
SEARCHER, LOST = "searcher", "lost"
"""Attributes: the searcher of a trial; the numbers of lost trials, which do not count."""
MINUTES, REASON = "minutes", "reason"
"""Attributes: the duration of a trial; the reason of its failure."""
FAILURES = 3
"""Number of failed trials after which a search ends if no other trial has ended."""


class Trial(Protocol):
    """A running trial, as returned by Optuna."""

    @property
    def number(self) -> int:
        """Return its number in the study."""

    def report(self, value: float, step: int) -> None:
        """Report an intermediate value."""

    def should_prune(self) -> bool:
        """Return whether the pruner stops the trial."""

    def set_user_attr(self, key: str, value: Any) -> None:
        """Store an attribute of the trial."""


def optuna() -> Any:
    """Import Optuna, without its log line for each trial."""
    package = imported("optuna", "a search", "search")
    package.logging.set_verbosity(package.logging.WARNING)
    return package


def make_sampler(description: Description, space: Mapping[str, Any], seed: int, number: int = 0) -> Any:
    """Make a sampler of Optuna.

    Args:
        description: name or class path, or a mapping of ``class_path`` and ``init_args``.
        space: the search space.
        seed: seed of the search.
        number: number of the trial to sample.

    Raises:
        ValueError: when the sampler is unknown, or its arguments are invalid.
    """
    settings: dict[str, Any] = {"seed": seed + number}
    if read_description(description)[0].rpartition(".")[2] == "GridSampler":
        if ranges := [name for name, values in space.items() if not isinstance(values, list)]:
            raise ValueError(f"GridSampler takes choices alone, and {ranges[0]} has a range: give it a list")
        # The seed determines the order of the grid, which must be the same for all trials.
        settings = {"seed": seed, "search_space": {name: choices(values) for name, values in space.items()}}
    return _made("sampler", optuna().samplers, "Sampler", description, settings)


def make_pruner(description: Description | None) -> Any:
    """Make a pruner of Optuna.

    Args:
        description: name or class path, or a mapping of ``class_path`` and ``init_args``. If None, trials are not
            pruned.

    Raises:
        ValueError: when the pruner is unknown, or its arguments are invalid.
    """
    return _made("pruner", optuna().pruners, "Pruner", description or "NopPruner", {})


def _made(kind: str, module: ModuleType, ending: str, description: Description, settings: dict[str, Any]) -> Any:
    path, arguments = read_description(description)
    name = path.rpartition(".")[2]
    known = [each for each in module.__all__ if each.endswith(ending) and not each.startswith("Base")]
    check_named(f"Optuna has no {kind}", name, known)
    of_class: Callable[..., Any] = getattr(module, name)
    taken = inspect.signature(of_class).parameters
    given = {key: value for key, value in settings.items() if key in taken} | arguments
    try:
        return of_class(**given)
    except (TypeError, ValueError, ImportError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"the {kind} {name} cannot be made with {arguments} ({reason}): correct its init_args"
        ) from error


class Study:
    """Provide the trials of a search; their total number is shared by all searchers.

    Args:
        root: folder shared by all searchers.
        name: name of the search; searches with different names have separate studies.
        space: the search space.
        n_trials: number of trials of all searchers together.
        minimize: whether the smallest value is the best.
        sampler: see :func:`make_sampler`.
        pruner: see :func:`make_pruner`.
        seed: seed of the sampler.
    """

    def __init__(
        self,
        root: Path,
        name: str,
        space: Mapping[str, Any],
        *,
        n_trials: int,
        minimize: bool = False,
        sampler: Description = "TPESampler",
        pruner: Description | None = None,
        seed: int = 0,
    ) -> None:
        self._optuna: Any = optuna()
        self._space, self._n_trials = space, n_trials
        self._sampler, self._seed = sampler, seed
        self._searchers = root / SEARCHERS
        self._searchers.mkdir(parents=True, exist_ok=True)
        self._id = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._alive = FileLock(self._searchers / f"{self._id}.lock")
        acquire(self._alive)
        self._lock = FileLock(root / f"{STUDY}.turn")
        with waiting_for(self._lock):
            journal = self._optuna.storages.journal
            self._study = self._optuna.create_study(
                storage=self._optuna.storages.JournalStorage(journal.JournalFileBackend(str(root / STUDY))),
                study_name=name,
                direction="minimize" if minimize else "maximize",
                pruner=make_pruner(pruner),
                sampler=self._make_sampler(0),
                load_if_exists=True,
            )

    def _make_sampler(self, number: int) -> Any:
        return make_sampler(self._sampler, self._space, self._seed, number)

    def close(self) -> None:
        """Leave the running trials to other searchers."""
        self._alive.release()
        (self._searchers / f"{self._id}.lock").unlink(missing_ok=True)

    @property
    def trials(self) -> list[Any]:
        """Return the trials that count, including running ones."""
        lost, waiting = set(self._lost), self._optuna.trial.TrialState.WAITING
        return [t for t in self._study.get_trials(deepcopy=False) if t.number not in lost and t.state != waiting]

    @property
    def best(self) -> Any:
        """Return the trial with the best value, or None if no trial has one."""
        complete = [t for t in self.trials if t.state.name == "COMPLETE"]
        sign = -1 if self._study.direction.name == "MINIMIZE" else 1
        return max(complete, key=lambda t: (sign * t.value, -t.number), default=None)

    @property
    def is_over(self) -> bool:
        """Return whether all trials have ended, or trials only fail."""
        trials = self.trials
        n_running = sum(t.state.name == "RUNNING" for t in trials)
        return self._only_fails(trials) or (len(trials) >= self._n_trials and n_running == 0)

    def ask(self) -> tuple[Trial, dict[str, Any]] | None:
        """Return a new trial of this searcher and its settings; None if there are enough trials.

        Each trial has its own sampler seed. Thus parallel searchers try different settings, and a search that is
        interrupted and restarted chooses the same settings as an uninterrupted one.
        """
        with waiting_for(self._lock):
            self._take_over()
            trials = self.trials
            if len(trials) >= self._n_trials or self._only_fails(trials):
                return None
            self._study.sampler = self._make_sampler(len(trials))
            trial = self._study.ask()
            trial.set_user_attr(SEARCHER, self._id)
            return trial, suggest(trial, self._space)

    def tell(self, trial: Trial, value: float | None, state: str) -> None:
        """Report how a trial ended.

        Args:
            trial: trial returned by :meth:`ask`.
            value: value of the metric if the trial is complete.
            state: ``COMPLETE``, ``PRUNED`` or ``FAIL``.
        """
        with waiting_for(self._lock):
            self._tell(trial, value, state)

    def retry_failed(self) -> None:
        """Try the settings of failed trials again, when a search is restarted."""
        with waiting_for(self._lock):
            for trial in self.trials:
                if trial.state.name == "FAIL":
                    self._lose(trial)

    def _take_over(self) -> None:
        for trial in self.trials:
            if trial.state.name == "RUNNING" and self._has_died(trial.user_attrs.get(SEARCHER)):
                self._lose(trial)

    def _has_died(self, searcher: str | None) -> bool:
        path = self._searchers / f"{searcher}.lock"
        if searcher == self._id:
            return False
        if searcher is None or not path.is_file():
            return True
        return not is_held(path)

    def _lose(self, trial: Any) -> None:
        self._study.set_user_attr(LOST, [*self._lost, trial.number])
        if trial.state.name == "RUNNING":
            self._tell(trial.number, None, "FAIL")
        if set(trial.params) == set(self._space):
            self._study.enqueue_trial(trial.params)

    def _tell(self, trial: Any, value: float | None, state: str) -> None:
        # Some samplers stop Optuna's own optimisation loop, which is not used here.
        self._study.sampler = self._optuna.samplers.RandomSampler(0)
        self._study.tell(trial, value, state=self._optuna.trial.TrialState[state])

    @property
    def _lost(self) -> list[int]:
        return list(self._study.user_attrs.get(LOST, []))

    @staticmethod
    def _only_fails(trials: list[Any]) -> bool:
        states = [t.state.name for t in trials if t.state.name != "RUNNING"]
        return len(states) >= FAILURES and set(states) == {"FAIL"}
