"""Streams of labelled examples: what an example is told apart from, and the order in which examples come."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules import SplitClasses
from datamodules.episodic import EpisodicDataModule
from datamodules.examples import ExampleDataModule
from lifelong.data.domain import Domain
from lifelong.data.episode import Episode
from lifelong.data.position import Position, Visit
from lifelong.data.source import Source
from lifelong.learners import Classifier, ProtoNet
from lifelong.networks import WithHead
from lifelong.strategy import Strategy
from lifelong.training.optimizer import OuterLoop
from strategies import EWC, Replay
from tests.interrupted import fit_twice
from tests.strategies.test_contract import LOSSES, MAKERS
from tests.toys import Toy, fit, make_classifier, same, toy_examples, weights

CPU = torch.device("cpu")


class Numbered(Source):
    """60 examples of 6 classes; each input is its own number, so that one sees which example came."""

    def __init__(self, holdout: str = "examples") -> None:
        self.holdout: Any = holdout

    def domains(self) -> list[Domain]:
        x = torch.arange(60.0)[:, None]
        return [Domain("numbers", x, np.arange(60) % 6, list("abcdef"), holdout=self.holdout)]


def examples(**settings: Any) -> ExampleDataModule:
    defaults: dict[str, Any] = {"batch_size": 4, "split": (0.1, 0.2)}
    return ExampleDataModule([SplitClasses(Numbered(), n_domains=3)], **(defaults | settings))


def steps(data: ExampleDataModule, experience: int, rank: int = 0, world: int = 1) -> list[Episode]:
    loader = data.train_dataloader()
    loader._place = lambda: (experience, rank, world)
    return [drawn.gather(CPU) for drawn in loader]


def true_class(batch: Episode) -> torch.Tensor:
    return batch.query_x[:, 0, 0].long() % 6


@pytest.mark.parametrize(
    ("scenario", "classes", "ways"),
    [
        ("class", "all", [0, 1, 2, 3, 4, 5]),
        ("class", "seen", [0, 1, 2, 3]),
        ("class", "current", [2, 3]),
        ("task", "seen", [2, 3]),
        ("domain", "seen", [0, 1]),
    ],
)
def test_the_scenario_is_what_an_example_is_told_apart_from(scenario: Any, classes: Any, ways: list[int]) -> None:
    (batch, *_) = steps(examples(scenario=scenario, classes=classes, steps_per_experience=3), experience=1)
    assert batch.support_x.shape == (4, 0, 1)
    assert batch.query_x.shape == (4, 1, 1)
    assert batch.classes is not None
    assert batch.classes.tolist() == [ways] * 4
    named = batch.classes.gather(1, batch.query_y)[:, 0]
    expected = true_class(batch) - 2 if scenario == "domain" else true_class(batch)
    assert torch.equal(named, expected)


def test_class_incremental_batches_do_not_tell_the_experience() -> None:
    # Poison: whatever a task-agnostic learner is given is the same for examples of different experiences.
    data = examples(scenario="class", classes="all")
    first, last = steps(data, 0)[0], steps(data, 2)[0]
    assert torch.equal(first.classes, last.classes)  # type: ignore[arg-type]
    assert first.n_way == last.n_way == 6
    told = examples(scenario="task")
    assert not torch.equal(steps(told, 0)[0].classes, steps(told, 2)[0].classes)  # type: ignore[arg-type]


def test_a_pass_deals_out_every_example_once_and_passes_differ() -> None:
    data = examples(passes=2, batch_size=4)
    seen = torch.cat([batch.query_x.flatten() for batch in steps(data, 0)])
    first, second = seen.chunk(2)
    assert len(seen) == 2 * 14  # of 20 examples 2 are for val and 4 for test
    assert torch.equal(first.sort().values, second.sort().values)
    assert len(first.unique()) == 14
    assert not torch.equal(first, second)


def test_two_ranks_together_see_the_examples_of_one() -> None:
    data = examples(steps_per_experience=5)
    whole, *shared = (steps(data, 1, rank, world) for rank, world in ((0, 1), (0, 2), (1, 2)))
    for batch, a, b in zip(whole, *shared, strict=True):
        assert torch.equal(torch.stack([a.query_x, b.query_x], 1).flatten(0, 1), batch.query_x)


def test_evaluation_takes_all_examples_of_the_part_in_the_same_order() -> None:
    one, two = examples(seed=0), examples(seed=1)
    for part in ("val", "test"):
        found = []
        for data in (one, two):
            drawn = data.draw_for_evaluation(part, 2, range(data.n_eval_units(part, 2))).gather(CPU)  # type: ignore[arg-type]
            found.append(drawn.query_x.flatten())
        assert torch.equal(*found)
        assert len(found[0].unique()) == {"val": 2, "test": 4}[part]
        assert set((found[0] % 6).long().tolist()) == {4, 5}


def test_a_class_that_is_not_seen_yet_is_none_of_the_ways() -> None:
    data = examples(scenario="class", classes="seen")
    drawn = data.draw_for_evaluation("test", 2, range(4)).gather(CPU)
    assert drawn.n_way == 2
    assert drawn.query_y.flatten().tolist() == [2] * 4


def test_who_trains_on_the_current_classes_is_judged_among_those_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    data = examples(scenario="class", classes="current")
    monkeypatch.setattr(ExampleDataModule, "current_experience", 1)
    drawn = data.draw_for_evaluation("test", 0, range(4)).gather(CPU)
    assert drawn.classes is not None
    assert drawn.classes.tolist() == [[0, 1, 2, 3]] * 4
    assert torch.equal(drawn.query_y[:, 0], true_class(drawn))


def test_joint_examples_come_from_all_domains_each_with_its_own_ways() -> None:
    data = examples(scenario="task", joint=True, batch_size=42)
    (batch,) = steps(data, 0)
    assert len(batch.query_x.unique()) == 42
    assert batch.classes is not None
    assert torch.equal(batch.classes.gather(1, batch.query_y)[:, 0], true_class(batch))
    assert len(batch.classes.unique(dim=0)) == 3


def test_what_does_not_suit_a_scenario_is_one_sentence() -> None:
    uneven = [SplitClasses(Numbered(), n_domains=3), Numbered()]
    with pytest.raises(ValueError, match="the task scenario needs as many classes in every domain"):
        ExampleDataModule(uneven, scenario="task").stream  # noqa: B018
    with pytest.raises(ValueError, match="fewer than two classes"):
        ExampleDataModule([SplitClasses(Numbered(), n_domains=6)]).stream  # noqa: B018
    for name in ("batch_size", "n_eval_examples", "passes", "steps_per_experience"):
        with pytest.raises(ValueError, match=f"{name} is 0"):
            examples(**{name: 0})
    with pytest.raises(ValueError, match=r"the val part of numbers a, b is empty.*--data.evaluate_on"):
        examples(split=(0, 0.2)).val_dataloader()


def test_the_cumulative_bound_has_all_domains_so_far_in_as_many_steps() -> None:
    plain, data = (examples(scenario="class", classes="all", cumulative=c, passes=3) for c in (False, True))
    assert data.steps_per_experience == plain.steps_per_experience
    for experience in range(3):
        ours, theirs = steps(data, experience), steps(plain, experience)
        assert [len(batch) for batch in ours] == [len(batch) for batch in theirs]
        x = torch.cat([batch.query_x.flatten() for batch in ours])
        assert set((x % 6 // 2).long().tolist()) == set(range(experience + 1))
        assert len(x.unique()) == 14 * (experience + 1)  # none comes again before all have come
    assert data.stream.domains == plain.stream.domains
    told = examples(scenario="task", cumulative=True, steps_per_experience=9)
    batch = steps(told, 2)[0]
    assert batch.classes is not None
    assert torch.equal(batch.classes.gather(1, batch.query_y)[:, 0], true_class(batch))
    assert told.ways(told.stream.experiences[2]).tolist() == [4, 5]


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
def test_examples_of_a_domain_come_once_each_before_any_comes_again(settings: dict[str, Any]) -> None:
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


def test_a_fading_batch_has_labels_of_its_own_domains_and_tells_nothing_else() -> None:
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

    def begin(self, learner: Any, visit: Visit) -> None:
        self._note("begin", visit)

    def end(self, learner: Any, visit: Visit) -> None:
        self._note("end", visit)

    def _note(self, hook: str, visit: Visit) -> None:
        assert visit.ways is not None
        ((_, batch),) = visit.batches("memory", 4)
        told = (visit.experience.index, visit.experience.name, visit.n_experiences, visit.n_steps, visit.has_boundaries)
        self.visits.append((hook, *told, visit.ways.tolist(), set((batch.query_x.flatten() % 6 // 2).tolist())))

    def rehearse(self, learner: Any, batch: Episode, position: Position) -> Episode:
        self.positions.append(position)
        return batch

    def observe(self, learner: Any, gradients: Any, position: Position) -> None:
        assert position == self.positions[-1]


def numbers_classifier() -> Classifier:
    torch.manual_seed(1)
    return Classifier(torch.nn.Sequential(torch.nn.Linear(1, 8), torch.nn.ReLU(), torch.nn.Linear(8, 6)))


def test_strategies_begin_once_and_end_once_and_are_not_told_where_they_are() -> None:
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


def test_the_last_domain_is_looked_at_whole_whatever_the_size_of_the_first() -> None:
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
        fit(learner, data, [Replay(budget_examples=9, policy="reservoir", weighting="equal")])
        return weights(learner)

    assert same(learnt(2, 9), learnt(3, 6))


@pytest.mark.parametrize("step", [7, 10, 14, 25])
def test_a_fading_run_resumed_anywhere_is_the_whole_run(step: int, tmp_path: Path) -> None:
    made: list[Witness] = []

    def strategies() -> list[Strategy]:
        made.append(Witness())
        return [made[-1], Replay(budget_examples=9, policy="reservoir", weighting="equal")]

    (whole, _), (resumed, _) = fit_twice(numbers_classifier, fading, strategies, tmp_path, step)
    assert same(weights(whole), weights(resumed))
    assert [visit[0] for visit in made[1].visits] == ["end"]
    assert [position.step for position in made[1].positions] == list(range(step, 30))


def test_a_reservoir_is_rehearsed_from_the_second_step_on() -> None:
    sizes = []

    class Sizes(Strategy):
        needs_boundaries = False

        def rehearse(self, learner: Any, batch: Episode, position: Position) -> Episode:
            sizes.append(len(batch))
            return batch

    fit(numbers_classifier(), fading(), [Replay(budget_examples=9, policy="reservoir", weighting="equal"), Sizes()])
    assert sizes == [4] + [8] * 29


@pytest.mark.parametrize("name", MAKERS)
def test_every_strategy_learns_a_fading_stream_or_is_refused(name: str) -> None:
    strategy, learner = MAKERS[name](), make_classifier(loss=LOSSES.get(name, "softmax"))
    data = toy_examples("class" if "class" in strategy.streams else "domain", classes="all", fade=0.5)
    if not strategy.needs_boundaries:
        assert np.isfinite(fit(learner, data, [strategy]).matrix()).all()
        return
    with pytest.raises(ValueError, match=rf"^{type(strategy).__name__} (works where|is made for)"):
        fit(learner, data, [strategy])


def test_what_needs_boundaries_is_refused_without_them() -> None:
    for strategy in (Replay(), Replay(policy="reservoir"), Replay(weighting="equal"), EWC()):
        name = type(strategy).__name__
        way_out = r"leave it out of --strategies \(.*policy reservoir .*weighting equal\), or leave --data.fade out"
        with pytest.raises(ValueError, match=rf"^{name} works where experiences begin or end, and .*: {way_out}$"):
            fit(numbers_classifier(), fading(), [strategy])
    learner = numbers_classifier()
    learner.outer = OuterLoop(reset_optimizer=True)
    with pytest.raises(ValueError, match=r"^--model.outer.reset_optimizer works where .*: set it to false, or leave"):
        fit(learner, fading())
    with pytest.raises(ValueError, match=r"^Finishing works where .*: choose another --model"):
        fit(Finishing(torch.nn.Linear(1, 6)), fading())


class Finishing(Classifier):
    def finish(self, visit: Visit) -> None:
        """Something at the end of an experience."""


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fade": 1.5}, "fade is 1.5: it must be a share of an experience, from 0 to 1"),
        ({"fade": -0.1}, "fade is -0.1"),
        ({"classes": "seen"}, "--data.classes seen tells .*--data.classes all"),
        ({"classes": "current"}, "--data.classes current tells .*--data.classes all"),
        ({"scenario": "task"}, "--data.scenario task tells .*set --data.scenario domain"),
        ({"joint": True}, "--data.joint mixes whole domains"),
        ({"cumulative": True}, "--data.cumulative mixes whole domains"),
    ],
)
def test_what_does_not_suit_a_fading_stream_is_one_sentence(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fading(**settings)


def test_two_upper_bounds_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match=r"--data.joint .*--data.cumulative .*set one"):
        examples(joint=True, cumulative=True).stream  # noqa: B018


class Texts(Source):
    """Ten tokens each; the class is the token that comes most often."""

    def domains(self) -> list[Domain]:
        y = np.arange(40) % 2
        x = torch.randint(2, 9, (40, 10), generator=torch.Generator().manual_seed(0))
        x[:, :6] = torch.from_numpy(y)[:, None]
        return [Domain("texts", x, y, ["a", "b"], holdout="examples")]


def test_tokens_stay_whole_numbers_all_the_way_to_the_network() -> None:
    torch.manual_seed(0)
    network = WithHead(torch.nn.EmbeddingBag(9, 8), n_features=8, n_outputs=2)
    learner = Classifier(network, outer=OuterLoop(optimizer=partial(torch.optim.Adam, lr=0.05)))
    data = ExampleDataModule([Texts()], scenario="domain", batch_size=8, steps_per_experience=40, split=(0.25, 0.25))
    replay = Replay(budget_examples=4, policy="herding")
    assert fit(learner, data, [replay]).matrix()[-1].mean() == 1
    batch = steps(data, 0)[0]
    assert batch.to(torch.float64).query_x.dtype == torch.int64
    params = learner.meta_parameters()
    assert learner.apply_network(params, batch.query_x[:, 0]).dtype == torch.float32
    assert learner.embed(params, batch.query_x[:, 0]).shape == (8, 8)
    tasks = EpisodicDataModule([Texts()], n_way=2, n_shot=1, n_query=1, steps_per_experience=2, n_eval_tasks=4)
    assert np.isfinite(fit(ProtoNet(network), tasks).matrix()).all()


def test_classes_that_are_evaluated_are_those_that_were_taught() -> None:
    source = Toy(2)
    assert {domain.holdout for domain in source.domains()} == {"classes"}
    stream = ExampleDataModule([source], split=(0.25, 0.25)).stream
    for experience, val, test in zip(stream.experiences, stream.val, stream.test, strict=True):
        (train,) = experience.pools
        assert train.numbers.tolist() == val.numbers.tolist() == test.numbers.tolist()
        assert [len(pool) for pool in (train, val, test)] == [72, 36, 36]
        parts = [set(np.concatenate(pool.members).tolist()) for pool in (train, val, test)]
        assert len(set.union(*parts)) == 144
    assert stream.n_classes == 24


class ByTask(Strategy):
    """Routes every task to the parameters as they are, so that examples are run one by one."""

    def route(self, learner: Any, params: Any, support_x: Any, support_y: Any) -> Any:
        return params


@pytest.mark.parametrize("loss", ["softmax", "sigmoid"])
def test_absent_ways_do_not_count_where_examples_are_routed_one_by_one(loss: Any) -> None:
    learner, data = make_classifier(loss=loss), toy_examples("task", 2)
    learner.prepare(n_classes=12)
    batch = data.draw(data.stream.experiences[0], "train", range(4)).gather(CPU)
    plain = learner.losses(learner.meta_parameters(), batch)
    learner.use([ByTask()])
    routed = learner.losses(learner.meta_parameters(), batch.padded(6))
    torch.testing.assert_close(routed, plain)
    gradients = torch.autograd.grad(routed.sum(), list(learner.network.parameters()))
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
