"""Labelled examples without boundaries: the stream fades from domain to domain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules import SplitClasses
from datamodules.examples import ExampleDataModule
from lifelong.data.episode import Episode
from lifelong.data.position import Position, Visit
from lifelong.data.source import Source
from lifelong.learners import Classifier
from lifelong.strategy import Strategy
from strategies import EWC, Replay
from strategies.memory.budget import Budget
from tests.datamodules.numbered import CPU, Numbered, examples, numbers_classifier, steps, true_class
from tests.interrupted import fit_twice
from tests.strategies.test_contract import LOSSES, MAKERS
from tests.toys import fit, make_classifier, module_of, same, toy_examples, weights


def fading(fade: float | None = 1.0, **settings: Any) -> ExampleDataModule:
    defaults: dict[str, Any] = {"classes": "all", "fade": fade, "steps_per_experience": 10}
    return examples(**(defaults | settings))


def drawn_inputs(data: ExampleDataModule, **place: int) -> torch.Tensor:
    """The examples of the whole stream, or of one rank, in their order."""
    return torch.cat([b.query_x.flatten() for e in range(3) for b in steps(data, e, **place)])


def test_a_stream_fades_from_domain_to_domain() -> None:
    data = fading(batch_size=100)
    domains = torch.stack([drawn_inputs(data).chunk(3)[e] % 6 // 2 for e in range(3)])
    share = torch.stack([(domains == d).float().mean(1) for d in range(3)], 1)
    # Half of a stretch is mixed on either side of a boundary, a quarter of that of the other domain: 1/8.
    expected = torch.tensor([[7 / 8, 1 / 8, 0], [1 / 8, 3 / 4, 1 / 8], [0, 1 / 8, 7 / 8]])
    assert ((share - expected).abs() <= 4 * (expected * (1 - expected) / 1000).sqrt()).all()
    assert (domains[0, :500] == 0).all()
    assert (domains[2, 500:] == 2).all()


@pytest.mark.parametrize("settings", [{"steps_per_experience": 10}, {"steps_per_experience": None, "passes": 3}])
def test_every_example_of_a_domain_comes_before_any_again(settings: dict[str, Any]) -> None:
    x = drawn_inputs(fading(**settings))
    for domain in range(3):
        own = x[x % 6 // 2 == domain]
        assert len(own) > 28
        for some in own.split(14):
            assert len(some.unique()) == len(some)
        assert not torch.equal(own[:14], own[14:28])


def test_a_sudden_change_is_the_stream_with_boundaries_untold() -> None:
    sudden, plain = fading(0.0), fading(None)
    assert (sudden.has_boundaries, plain.has_boundaries) == (False, True)
    assert torch.equal(drawn_inputs(sudden), drawn_inputs(plain))
    assert not torch.equal(drawn_inputs(fading(0.5)), drawn_inputs(plain))


def test_a_fading_batch_tells_its_labels_and_nothing_else() -> None:
    for scenario in ("class", "domain"):
        data = fading(scenario=scenario)
        for batch in (b for e in range(3) for b in steps(data, e)):
            assert batch.classes is not None
            named = batch.classes.gather(1, batch.query_y)[:, 0]
            assert torch.equal(named, true_class(batch) if scenario == "class" else true_class(batch) % 2)
            assert batch.classes.tolist() == [list(range(6 if scenario == "class" else 2))] * len(batch)


def test_two_ranks_together_see_the_fading_stream_of_one() -> None:
    whole, *shared = (drawn_inputs(fading(), rank=r, world=w) for r, w in ((0, 1), (0, 2), (1, 2)))
    assert torch.equal(torch.stack(shared, 1).flatten(), whole)


def test_a_fading_stream_goes_on_at_the_very_next_example() -> None:
    whole, data = steps(fading(), 1), fading()
    loader = data.train_dataloader()
    loader._place = lambda: (1, 0, 1)
    loader.load_state_dict({"experience": 1, "step": 6})
    rest = [drawn.gather(CPU).query_x for drawn in loader]
    assert len(rest) == 4
    assert torch.equal(torch.cat(rest), torch.cat([batch.query_x for batch in whole[6:]]))


class Witness(Strategy):
    """Writes down whatever it is told of the stream."""

    needs_boundaries = False

    def __init__(self) -> None:
        super().__init__()
        self.visits: list[tuple[Any, ...]] = []
        self.positions: list[Position] = []

    def begin(self, learner: Any, visit: Visit, *, runner: Any) -> None:
        self._note("begin", visit)

    def end(self, learner: Any, visit: Visit, *, runner: Any) -> None:
        self._note("end", visit)

    def _note(self, hook: str, visit: Visit) -> None:
        assert visit.ways is not None
        ((_, batch),) = visit.batches("memory", 4)
        told = (visit.experience.index, visit.experience.name, visit.n_experiences, visit.n_steps, visit.has_boundaries)
        self.visits.append((hook, *told, visit.ways.tolist(), set((batch.query_x.flatten() % 6 // 2).tolist())))

    def rehearse(self, learner: Any, batch: Episode, position: Position, *, runner: Any) -> Episode:
        self.positions.append(position)
        return batch

    def observe(self, learner: Any, gradients: Any, position: Position, *, runner: Any) -> None:
        assert position == self.positions[-1]


def test_strategies_begin_once_and_end_once() -> None:
    witness = Witness()
    evaluator = fit(numbers_classifier(), fading(), [witness])
    assert evaluator.matrix().shape[:2] == (3, 3)
    told, ways = (0, "stream", 1, 30, False), list(range(6))
    assert witness.visits == [("begin", *told, ways, {0.0}), ("end", *told, ways, {2.0})]
    assert witness.positions == [Position(0, step, 0, 4, 0, 1) for step in range(30)]
    with_boundaries = Witness()
    fit(numbers_classifier(), fading(None), [with_boundaries])
    assert [visit[:2] for visit in with_boundaries.visits] == [(h, e) for e in range(3) for h in ("begin", "end")]
    assert [(p.experience, p.step) for p in with_boundaries.positions] == [(e, s) for e in range(3) for s in range(10)]


def test_the_last_domain_is_seen_whole() -> None:
    def data() -> ExampleDataModule:
        sources: list[Source] = [SplitClasses(Numbered(), n_domains=3), SplitClasses(Numbered(), n_domains=2)]
        return ExampleDataModule(sources, classes="all", fade=0.5, split=(0.1, 0.2))

    def last(made: ExampleDataModule) -> torch.Tensor:
        told = replace(made.stream.experiences[-1], index=0)
        return made.draw(told, "memory", range(21)).gather(CPU).query_x.flatten()

    used = data()
    used.draw(used.stream.experiences[0], "memory", range(4))
    assert torch.equal(last(used), last(data()))
    assert len(last(used).unique()) == 21


def test_a_stream_that_never_changes_tells_nothing_of_its_epochs() -> None:
    # Poison: with one and the same data in every domain, cutting the stream at other places changes nothing at all.
    def learnt(n_domains: int, steps: int) -> dict[str, torch.Tensor]:
        source = [SplitClasses(Numbered(), n_domains=1) for _ in range(n_domains)]
        data = ExampleDataModule(source, scenario="domain", batch_size=4, steps_per_experience=steps, fade=0.0)
        data.draw_for_training = lambda e, i: data.draw(  # type: ignore[method-assign]
            data.stream.experiences[0], "train", [e * steps * 4 + j for j in i]
        )
        learner = numbers_classifier()
        fit(learner, data, [Replay(budget=Budget(examples=9), policy="reservoir", weighting="equal")])
        return weights(learner)

    assert same(learnt(2, 9), learnt(3, 6))


@pytest.mark.parametrize("step", [7, 10, 14, 25])
def test_a_fading_run_resumed_anywhere_is_the_whole_run(step: int, tmp_path: Path) -> None:
    made: list[Witness] = []

    def strategies() -> list[Strategy]:
        made.append(Witness())
        return [made[-1], Replay(budget=Budget(examples=9), policy="reservoir", weighting="equal")]

    (whole, _), (resumed, _) = fit_twice(numbers_classifier, fading, strategies, tmp_path, step)
    assert same(weights(whole), weights(resumed))
    assert [visit[0] for visit in made[1].visits] == ["end"]
    assert [position.step for position in made[1].positions] == list(range(step, 30))


def test_a_reservoir_is_rehearsed_from_the_second_step_on() -> None:
    sizes = []

    class Sizes(Strategy):
        needs_boundaries = False

        def rehearse(self, learner: Any, batch: Episode, position: Position, *, runner: Any) -> Episode:
            sizes.append(len(batch))
            return batch

    fit(
        numbers_classifier(),
        fading(),
        [Replay(budget=Budget(examples=9), policy="reservoir", weighting="equal"), Sizes()],
    )
    assert sizes == [4] + [8] * 29


@pytest.mark.parametrize("name", MAKERS)
def test_every_strategy_learns_a_fading_stream_or_is_refused(name: str) -> None:
    strategy, learner = MAKERS[name](), make_classifier(loss=LOSSES.get(name, "softmax"))
    data = toy_examples("class" if "class" in strategy.streams else "domain", classes="all", fade=0.5)
    if not strategy.needs_boundaries:
        assert np.isfinite(fit(learner, data, [strategy]).matrix()).all()
        return
    with pytest.raises(ValueError, match=rf"^{type(strategy).__name__} (needs the boundaries|is made for)"):
        fit(learner, data, [strategy])


def test_what_needs_boundaries_is_refused_without_them() -> None:
    for strategy in (Replay(), Replay(policy="reservoir"), Replay(weighting="equal"), EWC()):
        name = type(strategy).__name__
        way_out = r"leave it out of --strategies \(.*policy reservoir .*weighting equal\), or leave --data.fade out"
        with pytest.raises(ValueError, match=rf"^{name} needs the boundaries of experiences, .*: {way_out}$"):
            fit(numbers_classifier(), fading(), [strategy])
    with pytest.raises(ValueError, match=r"^--reset_optimizer needs the boundaries .*: set it to false, or leave"):
        fit(module_of(numbers_classifier(), reset_optimizer=True), fading())
    with pytest.raises(ValueError, match=r"^Finishing needs the boundaries .*: choose another --model"):
        fit(Finishing(torch.nn.Linear(1, 6)), fading())


class Finishing(Classifier):
    def finish(self, visit: Visit, runner: Any) -> None:
        """Something at the end of an experience."""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fade": 1.5}, "fade is 1.5: it must be at least 0 and at most 1, a share of an experience"),
        ({"fade": -0.1}, "fade is -0.1"),
        ({"classes": "seen"}, "--data.classes seen selects .*--data.classes all"),
        ({"classes": "current"}, "--data.classes current selects .*--data.classes all"),
        ({"scenario": "task"}, "--data.scenario task selects .*set --data.scenario domain"),
        ({"joint": True}, "--data.joint mixes whole domains"),
        ({"cumulative": True}, "--data.cumulative mixes whole domains"),
    ],
)
def test_what_does_not_suit_a_fading_stream_is_one_sentence(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fading(**settings)
