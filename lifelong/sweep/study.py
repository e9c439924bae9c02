"""The trials of a search, kept by Optuna in a file that several searchers share.

A trial belongs to the searcher that asked for it, which holds a lock for as long as it lives. When it has died, another
one takes its trials over: they do not count, and their settings wait to be tried again.
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
from lifelong.utilities.locks import is_held

STUDY, SEARCHERS = "study.log", "searchers"
"""Optuna's journal, and the folder with a lock for each living searcher."""
SEARCHER, LOST = "searcher", "lost"
"""Whose a trial is; the numbers of trials that do not count."""
MINUTES, REASON = "minutes", "reason"
"""How long a trial took; why it failed."""
FAILURES = 3
"""So many failed trials end a search in which nothing else has come of any."""


class Trial(Protocol):
    """A trial that is under way, as Optuna hands it out."""

    @property
    def number(self) -> int:
        """Return its number in the study."""

    def report(self, value: float, step: int) -> None:
        """Say how it stands."""

    def should_prune(self) -> bool:
        """Return whether the pruner gives it up."""

    def set_user_attr(self, key: str, value: Any) -> None:
        """Keep something beside it."""


def optuna() -> Any:
    """Import Optuna, without its line for every trial."""
    package = imported("optuna", "a search", "search")
    package.logging.set_verbosity(package.logging.WARNING)
    return package


def make_sampler(description: Description, space: Mapping[str, Any], seed: int, number: int = 0) -> Any:
    """Make a sampler of Optuna's.

    Args:
        description: its name or class path, alone or as ``class_path`` with its ``init_args``.
        space: that it samples from.
        seed: of the search.
        number: of the trial that it is to choose for.

    Raises:
        ValueError: when there is none, or it does not take its arguments.
    """
    settings: dict[str, Any] = {"seed": seed + number}
    if read_description(description)[0].rpartition(".")[2] == "GridSampler":
        if ranges := [name for name, values in space.items() if not isinstance(values, list)]:
            raise ValueError(f"GridSampler takes choices alone, and {ranges[0]} has a range: give it a list")
        # Its seed decides the order of the grid, which is one for all trials.
        settings = {"seed": seed, "search_space": {name: choices(values) for name, values in space.items()}}
    return _made("sampler", optuna().samplers, "Sampler", description, settings)


def make_pruner(description: Description | None) -> Any:
    """Make a pruner of Optuna's.

    Args:
        description: its name or class path, alone or as ``class_path`` with its ``init_args``; None never prunes.

    Raises:
        ValueError: when there is none, or it does not take its arguments.
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
    """Hand out the trials of a search, exactly so many over all searchers.

    Args:
        root: folder that the searchers share.
        name: of the search: another one is a study of its own.
        space: that settings are chosen from.
        n_trials: that count, over all searchers.
        minimize: the smallest value is the best.
        sampler: as for :func:`make_sampler`.
        pruner: as for :func:`make_pruner`.
        seed: of the sampler.
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
        self._alive.acquire()
        self._lock = FileLock(root / f"{STUDY}.turn")
        with self._lock:
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
        """Leave the trials that are under way to other searchers."""
        self._alive.release()
        (self._searchers / f"{self._id}.lock").unlink(missing_ok=True)

    @property
    def trials(self) -> list[Any]:
        """Return the trials that count, those under way among them."""
        lost, waiting = set(self._lost), self._optuna.trial.TrialState.WAITING
        return [t for t in self._study.get_trials(deepcopy=False) if t.number not in lost and t.state != waiting]

    @property
    def best(self) -> Any:
        """Return the trial with the best value; None where no trial has one."""
        complete = [t for t in self.trials if t.state.name == "COMPLETE"]
        sign = -1 if self._study.direction.name == "MINIMIZE" else 1
        return max(complete, key=lambda t: (sign * t.value, -t.number), default=None)

    @property
    def is_over(self) -> bool:
        """Return whether nothing is left to try or under way, or trials only fail."""
        trials = self.trials
        n_running = sum(t.state.name == "RUNNING" for t in trials)
        return self._only_fails(trials) or (len(trials) >= self._n_trials and n_running == 0)

    def ask(self) -> tuple[Trial, dict[str, Any]] | None:
        """Return a trial of this searcher's and its settings; None where there are enough.

        The sampler starts from a seed of its own for each trial, so that searchers do not try the same, and a search
        that is stopped and started again chooses as if it had not been.
        """
        with self._lock:
            self._take_over()
            trials = self.trials
            if len(trials) >= self._n_trials or self._only_fails(trials):
                return None
            self._study.sampler = self._make_sampler(len(trials))
            trial = self._study.ask()
            trial.set_user_attr(SEARCHER, self._id)
            return trial, suggest(trial, self._space)

    def tell(self, trial: Trial, value: float | None, state: str) -> None:
        """Say how a trial ended.

        Args:
            trial: of :meth:`ask`.
            value: where it is complete.
            state: ``COMPLETE``, ``PRUNED`` or ``FAIL``.
        """
        with self._lock:
            self._tell(trial, value, state)

    def retry_failed(self) -> None:
        """Let settings whose trials failed be tried again, as when a search is started anew."""
        with self._lock:
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
        # Some samplers would stop the loop of Optuna's own, which there is not.
        self._study.sampler = self._optuna.samplers.RandomSampler(0)
        self._study.tell(trial, value, state=self._optuna.trial.TrialState[state])

    @property
    def _lost(self) -> list[int]:
        return list(self._study.user_attrs.get(LOST, []))

    @staticmethod
    def _only_fails(trials: list[Any]) -> bool:
        states = [t.state.name for t in trials if t.state.name != "RUNNING"]
        return len(states) >= FAILURES and set(states) == {"FAIL"}
