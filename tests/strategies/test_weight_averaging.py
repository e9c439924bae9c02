from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lifelong.compute.runner import TaskRunner
from lifelong.learners import Classifier
from lifelong.learners.base import Learner
from lifelong.strategy import Strategy
from strategies import WeightAveraging
from tests.interrupted import fit_twice
from tests.toys import fit, make_classifier, make_learner, random_episode, same, toy_data, toy_examples, weights

RUNNER = TaskRunner()


class Way(Strategy):
    """Notes the weights that every step led to."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[dict[str, Tensor]] = []

    def observe(self, learner: Learner, gradients: Any, position: Any, *, runner: Any) -> None:
        if position.step:
            self.weights.append(weights(learner))

    def end(self, learner: Learner, visit: Any, *, runner: Any) -> None:
        self.weights.append(weights(learner))


@pytest.mark.parametrize("first", [True, False])
def test_without_decay_every_step_counts_alike(first: bool) -> None:
    average, way = WeightAveraging(decay=None), Way()
    fit(make_classifier(), toy_examples("class", 3), [average, way] if first else [way, average])
    assert len(way.weights) == average.n_steps == 12
    for name, mean in average.average.items():
        torch.testing.assert_close(mean, torch.stack([w[name] for w in way.weights]).mean(0))


def test_a_decay_is_a_mean_first_and_then_forgets_exponentially() -> None:
    average, way = WeightAveraging(decay=0.75), Way()
    fit(make_learner("ProtoNet"), toy_data(2), [average, way])
    assert len(way.weights) == 8
    # The first four alike, then each new one a quarter: the newest 1/4, the one before 3/16, …
    shares = [0.75**4 / 4] * 4 + [0.25 * 0.75**k for k in (3, 2, 1, 0)]
    assert sum(shares) == pytest.approx(1)
    for name, mean in average.average.items():
        expected = sum(share * w[name] for share, w in zip(shares, way.weights, strict=True))
        torch.testing.assert_close(mean, expected)


@pytest.mark.parametrize("kind", ["few-shot", "class", "domain", "task"])
def test_it_is_answered_with_the_average_and_trained_without(kind: str) -> None:
    def run(*strategies: Strategy) -> tuple[Learner, np.ndarray]:
        learner = make_learner() if kind == "few-shot" else make_classifier()
        data = toy_data(2) if kind == "few-shot" else toy_examples(kind, 2)
        return learner, fit(learner, data, strategies).matrix()

    plain, matrix = run()
    newest, of_newest = run(WeightAveraging(decay=0))
    averaged, of_average = run(average := WeightAveraging(decay=0.9))
    assert same(weights(plain), weights(newest))
    assert same(weights(plain), weights(averaged))
    assert np.array_equal(matrix, of_newest)
    assert not same(average.average, weights(plain))
    plain.load_state_dict(average.average, strict=False)
    data = toy_data(2) if kind == "few-shot" else toy_examples(kind, 2)
    last = [data.draw_for_evaluation("val", d, range(8)).gather(torch.device("cpu")) for d in range(2)]
    if kind != "class":  # whose ways are those of the experience that a Trainer is in
        scores = [RUNNER.scores(plain.eval(), plain.meta_parameters(), batch)[:8] for batch in last]
        assert np.array_equal(torch.stack(scores).detach().numpy(), of_average[-1][:, :8])


def test_before_the_first_step_the_learner_answers_for_itself() -> None:
    learner, average = make_learner(), WeightAveraging()
    assert average.respond(learner, learner.meta_parameters(), random_episode(), runner=RUNNER) is None
    assert average.memory_bytes() == 0


def test_running_statistics_are_averaged_and_counters_are_not() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 12))
    seen: list[Tensor] = []

    class Look(Strategy):
        def observe(self, learner: Any, gradients: Any, position: Any, *, runner: Any) -> None:
            # The forward pass of a step has moved the statistics when the weights before it are counted.
            seen.append(network[2].running_mean.clone())  # type: ignore[union-attr, operator]

    average = WeightAveraging(decay=None)
    learner = Classifier(network)
    fit(learner, toy_examples("class", 1), [average, Look()])
    torch.testing.assert_close(average.average["network.2.running_mean"], torch.stack([*seen[1:], seen[-1]]).mean(0))
    assert average.average["network.2.num_batches_tracked"] == 4
    assert average.memory_bytes() == sum(t.nbytes for t in learner.network.state_dict().values())


@pytest.mark.parametrize("step", [2, 5, 7])
def test_resumed_in_the_middle_of_an_experience_it_is_the_same(tmp_path: Path, step: int) -> None:
    made: list[WeightAveraging] = []

    def make() -> list[Strategy]:
        made.append(WeightAveraging(decay=0.6))
        return [made[-1]]

    (_, whole), (_, parts) = fit_twice(make_classifier, partial(toy_examples, "class", 2), make, tmp_path, step)
    assert same(made[0].average, made[1].average)
    assert made[0].n_steps == made[1].n_steps == 8
    assert np.array_equal(whole.matrix(), parts.matrix())


@pytest.mark.parametrize("decay", [-0.1, 1.1])
def test_a_decay_out_of_range_is_refused(decay: float) -> None:
    with pytest.raises(ValueError, match=rf"decay is {decay}"):
        WeightAveraging(decay=decay)
