"""The forecast of a run: its stream, its sizes and its estimated time, from a few measured steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lifelong.run.kept_bytes import KeptBytes
from lifelong.utilities.amounts import bytes_text, clock


@dataclass(frozen=True)
class Costs:
    """Hold measured times, in seconds.

    Args:
        first_step: time of a step in the first experience.
        later_step: time of a step in later experiences, where strategies may do more.
        end: time that the learner and the strategies take before the first and after the last step of an experience.
        unit: time per evaluation unit, such as a task.
    """

    first_step: float
    later_step: float
    end: float
    unit: float


@dataclass(frozen=True)
class Forecast:
    """Hold what a run would learn, be evaluated on and store, and how long it would take.

    Args:
        learner: names of the learner and the network.
        strategies: names of the strategies.
        experiences: names of the experiences, in order.
        examples: number of classes and training examples of each experience, as text.
        steps: optimizer steps per experience.
        units: what a step is computed from, such as ``4 tasks``.
        domains: names of the evaluated domains.
        eval_units: number of evaluation units of each domain.
        rows: for each row of the accuracy matrix the evaluated domains. The first row is that of the untrained learner.
        parameters: number of the learner's parameters.
        trained: number of trained parameters.
        n_bytes: size of the parameters and of the optimizer's state.
        kept: memory of each strategy when it was measured.
        budgets: largest memory of each strategy that has a budget, by name.
        device: device on which the run would train.
        plan: how the tasks of a batch would be run.
        folder: the run folder.
        costs: the measured times.
        notes: what the estimate leaves out.

    Example:
        >>> Forecast.__name__
        'Forecast'
    """

    learner: str
    strategies: Sequence[str]
    experiences: Sequence[str]
    examples: Sequence[str]
    steps: int
    units: str
    domains: Sequence[str]
    eval_units: Sequence[int]
    rows: Sequence[Sequence[int]]
    parameters: int
    trained: int
    n_bytes: Mapping[str, int]
    kept: Sequence[KeptBytes]
    budgets: Mapping[str, str]
    device: str
    plan: str
    folder: str
    costs: Costs
    notes: Sequence[str] = field(default=())

    @property
    def training_seconds(self) -> float:
        """Return the estimated seconds of all steps and of the boundaries between experiences."""
        n = len(self.experiences)
        steps = self.steps * (self.costs.first_step + (n - 1) * self.costs.later_step)
        return steps + n * self.costs.end

    @property
    def evaluation_seconds(self) -> float:
        """Return the estimated seconds of all rows of the accuracy matrix."""
        return self.costs.unit * sum(self.eval_units[domain] for row in self.rows for domain in row)

    @property
    def seconds(self) -> float:
        """Return the estimated seconds of the whole run, measured by a few steps at the machine's current load."""
        return self.training_seconds + self.evaluation_seconds

    def __str__(self) -> str:
        """Return the forecast as text for a terminal."""
        return "\n".join(
            [
                "dry run: nothing is trained and nothing is written; this is what would run",
                f"  learner     {self.learner}: {self.parameters:,} parameters, {self.trained:,} of them trained",
                f"  strategies  {', '.join(self.strategies) or 'none, plain fine-tuning'}",
                f"  device      {self.device}; the tasks of a batch run {self.plan}",
                f"  run folder  {self.folder}",
                f"  bytes       {', '.join(f'{name} {bytes_text(n)}' for name, n in self.n_bytes.items())}",
                *(f"              {kept.text(len(self.experiences), self.steps)}" for kept in self.kept),
                *(f"              {name} may keep {budget}" for name, budget in self.budgets.items()),
                "",
                *self._stream(),
                "",
                *self._estimate(),
            ]
        )

    def _stream(self) -> list[str]:
        width = max(map(len, (*self.experiences, *self.domains)))
        lines = [f"{len(self.experiences)} experiences of {self.steps:,} steps, each of {self.units}"]
        lines += [
            f"  {number:>3}  {name:<{width}}  {about}"
            for number, (name, about) in enumerate(zip(self.experiences, self.examples, strict=True), start=1)
        ]
        untrained = " and one of the untrained learner" if len(self.rows) > len(self.experiences) else ""
        rows = f"{len(self.experiences)} rows of the accuracy matrix{untrained}"
        lines.append(f"{len(self.domains)} domains, {rows}, evaluated on")
        return lines + [
            f"  {number:>3}  {name:<{width}}  {n:,} units"
            for number, (name, n) in enumerate(zip(self.domains, self.eval_units, strict=True), start=1)
        ]

    def _estimate(self) -> list[str]:
        costs = self.costs
        return [
            f"estimated time: {clock(self.seconds)}, of which {clock(self.training_seconds)} training and "
            f"{clock(self.evaluation_seconds)} evaluation",
            f"  an estimate: {1e3 * costs.first_step:.1f} ms a step, {1e3 * costs.later_step:.1f} ms in later "
            f"experiences, {1e3 * costs.unit:.1f} ms a unit of evaluation, {costs.end:.1f} s between experiences",
            *(f"  {note}" for note in self.notes),
        ]
