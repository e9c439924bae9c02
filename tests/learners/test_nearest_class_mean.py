"""Nearest class mean: exact means in one pass over the stream, of an embedding that stands still or is trained."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datamodules.examples import ExampleDataModule
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.learners import Classifier, NearestClassMean
from lifelong.networks import MLP, Conv4, WithHead
from strategies import EWC, LwF, Replay, WeightAveraging
from strategies.memory.budget import Budget
from tests.command_line import QUIET, run_apart
from tests.interrupted import fit_twice
from tests.toys import AtEnd, FewClasses, fit, make_classifier, module_of, same, toy_examples, weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*configure_optimizers. returned .None.*"),  # there is nothing to optimize
    pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training.*"),  # the embedding stands still
]
SCENARIOS = ["class", "domain", "task"]


def learner_of(network: nn.Module | None = None, **settings: Any) -> NearestClassMean:
    torch.manual_seed(1)
    network = network or MLP(n_inputs=4, hidden=[8], n_outputs=12)
    return NearestClassMean(network, **settings)


def one_pass(scenario: Any = "class", n: int = 3, **settings: Any) -> ExampleDataModule:
    return ExampleDataModule([FewClasses(n)], scenario=scenario, **({"batch_size": 8, "split": (0.2, 0.2)} | settings))


def training_examples(data: ExampleDataModule, n: int | None = None) -> dict[int, Tensor]:
    """All inputs of each class in the first experiences."""
    found: dict[int, list[Tensor]] = {}
    for experience in data.stream.experiences[:n]:
        for pool in experience.pools:
            for number, members in zip(pool.numbers.tolist(), pool.members, strict=True):
                found.setdefault(number, []).append(pool.x[torch.from_numpy(members)])
    return {number: torch.cat(parts) for number, parts in found.items()}


def batch_of(data: ExampleDataModule, experience: int, n: int = 6) -> Episode:
    return data.draw(data.stream.experiences[experience], "train", range(n)).gather(torch.device("cpu"))


@pytest.mark.parametrize("batch_size", [1, 3, 40])
@pytest.mark.parametrize("order", [0, 1])
def test_means_do_not_depend_on_batches_and_their_order(batch_size: int, order: int) -> None:
    torch.manual_seed(0)
    features, numbers = 100 + torch.randn(40, 5, dtype=torch.float64), torch.randint(4, (40,))
    learner = learner_of(nn.Sequential(nn.Flatten(), nn.Linear(5, 5)).double())
    learner.make_room(n_classes=5, n_features=5)
    places = torch.randperm(40, generator=torch.Generator().manual_seed(order))
    for piece in places.split(batch_size):  # type: ignore[no-untyped-call]
        learner.absorb(features[piece], numbers[piece], TaskRunner())
    assert learner.counts.tolist() == [*torch.bincount(numbers).tolist(), 0]
    for number in range(4):
        expected = features[numbers == number].mean(0)
        torch.testing.assert_close(learner.means[number], expected, rtol=0, atol=1e-11)
    assert (learner.means[4] == 0).all()


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("batch_size", [1, 8])
def test_one_pass_gives_the_means_and_moves_nothing(scenario: str, batch_size: int) -> None:
    learner, data = learner_of().double(), one_pass(scenario, batch_size=batch_size)
    before = weights(learner)
    fit(learner, data)
    assert same(before, weights(learner))
    examples = training_examples(data)
    assert len(examples) == (4 if scenario == "domain" else 12)  # a class of all domains, or of one
    for number, x in examples.items():
        assert learner.counts[number] == len(x)
        expected = learner.network.features(x.double()).mean(0)  # type: ignore[operator]
        torch.testing.assert_close(learner.means[number], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("transform", ["none", "l2"])
def test_the_answer_is_the_nearest_mean_among_the_ways(scenario: str, transform: Any) -> None:
    learner, data = learner_of(transform=transform), one_pass(scenario)
    fit(learner, data)
    learner.eval()
    batch = batch_of(data, 1)
    found = TaskRunner().outputs(learner, learner.meta_parameters(), batch)
    z = learner.network.features(batch.query_x[:, 0])  # type: ignore[operator]
    z = F.normalize(z, dim=-1) if transform == "l2" else z
    assert batch.classes is not None
    for b, ways in enumerate(batch.classes.tolist()):
        expected = torch.stack([-(z[b] - learner.means[c]).square().sum() for c in ways])
        torch.testing.assert_close(found[b, 0], expected, rtol=1e-4, atol=1e-5)
    assert (learner.means.norm(dim=1) <= 1.0001).all() == (transform == "l2")


def test_nothing_is_forgotten_but_for_having_more_to_choose_from() -> None:
    matrix = fit(learner_of(), one_pass("task")).matrix()
    for row in range(1, 3):
        assert (matrix[row, :row] == matrix[row - 1, :row]).all()
    assert fit(learner_of(), one_pass("class")).matrix()[-1].mean() > 0.8


def test_unseen_classes_are_least_likely_and_no_answer_is_nan() -> None:
    learner, data = learner_of(), one_pass("class", n=2, classes="all")
    learner.prepare(8)
    batch, params = batch_of(data, 0), learner.meta_parameters()
    untrained = learner.objective.prediction(TaskRunner().outputs(learner, params, batch))
    torch.testing.assert_close(untrained, torch.full_like(untrained, 1 / 8))
    learner.absorb(torch.zeros(1, 8), torch.tensor([5]), TaskRunner())
    assert (TaskRunner().outputs(learner, params, batch).argmax(-1) == 5).all()


def test_the_score_in_training_is_that_of_the_means_before() -> None:
    learner, data, told = learner_of(), one_pass("class", n=1, batch_size=4), []
    module = module_of(learner)
    module._log_step = lambda step, penalty=None: told.append((step.losses, step.outputs))  # type: ignore[method-assign]
    fit(module, data, log_every_n_steps=2)
    assert len(told) == 1 + data.steps_per_experience // 2
    assert (told[0][1] == torch.finfo(torch.float32).min).all()
    assert (told[-1][1] > -1e6).all()
    assert all((losses == 0).all() for losses, _ in told)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_fixed_embedding_keeps_units_and_statistics(frozen: bool) -> None:
    body = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5))
    body.requires_grad_(not frozen)
    learner, data = learner_of(WithHead(body, n_features=8, n_outputs=2)), one_pass("class")
    before = {name: b.clone() for name, b in learner.network.named_buffers()}
    fit(learner, data)
    assert same(before, dict(learner.network.named_buffers()))
    assert learner.train().training
    assert not learner.network.training
    for number, x in training_examples(data).items():
        torch.testing.assert_close(learner.means[number], body(x).mean(0), rtol=1e-4, atol=1e-5)


def test_strategies_with_nothing_to_protect_are_refused() -> None:
    for strategy in (EWC(), Replay(), LwF(), WeightAveraging()):
        name = type(strategy).__name__
        with pytest.raises(ValueError, match=f"NearestClassMean trains nothing here, so {name} has nothing to protect"):
            fit(learner_of(), one_pass(), [strategy])
    fit(learner_of(), one_pass(), [AtEnd(lambda: None)])


def test_a_norm_that_sees_the_batch_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    for norm, is_told in (("batch", True), ("running", False), ("group", False)):
        caplog.clear()
        learner = learner_of(Conv4(n_filters=8, image_size=16, norm=norm, n_outputs=2))  # type: ignore[arg-type]
        with caplog.at_level(logging.WARNING, logger="lifelong.learners.running_means"):
            learner.prepare(4)
        assert ("statistics of the batch at hand" in caplog.text) == is_told


def test_a_learner_has_room_for_one_stream() -> None:
    learner = learner_of()
    learner.prepare(4)
    learner.prepare(4)
    with pytest.raises(ValueError, match="has room for 4 class means, but the stream has 12 classes"):
        learner.prepare(12)


def test_features_are_counted_on_an_example_of_the_stream() -> None:
    learner = learner_of(nn.Sequential(nn.Flatten(), nn.Linear(4, 7), nn.Tanh()))
    assert fit(learner, one_pass()).matrix().shape[:2] == (3, 3)
    assert learner.means.shape == (12, 7)


# -- a trained embedding ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategies", [[], [partial(Replay, budget=Budget(examples=48))], [LwF]])
def test_a_trained_embedding_learns_as_a_classifier_does(strategies: list[Any]) -> None:
    learner, classifier = learner_of(train_embedding=True), make_classifier()
    fit(learner, toy_examples("class"), [make() for make in strategies])
    fit(classifier, toy_examples("class"), [make() for make in strategies])
    assert same(weights(learner), weights(classifier))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_means_of_a_trained_embedding_are_taken_at_the_end(scenario: str) -> None:
    learner, data, found = learner_of(train_embedding=True), toy_examples(scenario, 2), []

    def look() -> None:
        means, counts = learner.means.clone(), learner.counts.clone()
        embedded = {
            number: learner.network.features(x).detach()  # type: ignore[operator]
            for number, x in training_examples(data, len(found) + 1).items()
        }
        found.append((means, counts, embedded))

    fit(learner, data, [AtEnd(look)])
    (first, _, before), (second, counts, after) = found
    for number in range(4):
        torch.testing.assert_close(first[number], before[number].mean(0), rtol=1e-4, atol=1e-5)
    if scenario == "domain":  # the first domain as it was embedded then, the second as now
        for number in range(4):
            merged = torch.cat([before[number], after[number][len(before[number]) :]]).mean(0)
            torch.testing.assert_close(second[number], merged, rtol=1e-4, atol=1e-5)
            assert counts[number] == len(after[number])
        return
    assert torch.equal(first[:4], second[:4])
    for number in range(4, 8):
        torch.testing.assert_close(second[number], after[number].mean(0), rtol=1e-4, atol=1e-5)


def test_a_trained_embedding_is_judged_by_its_means() -> None:
    learner, data = learner_of(train_embedding=True), toy_examples("class", 2, steps_per_experience=30)
    matrix = fit(learner, data).matrix()
    assert (
        matrix[-1].mean()
        > fit(make_classifier(), toy_examples("class", 2, steps_per_experience=30)).matrix()[-1].mean()
    )
    batch, params = batch_of(data, 1), learner.meta_parameters()
    learner.train()
    plain = Classifier(learner.network)
    torch.testing.assert_close(TaskRunner().outputs(learner, params, batch), TaskRunner().outputs(plain, params, batch))
    learner.eval()
    assert (TaskRunner().outputs(learner, params, batch) <= 0).all()


def test_a_trained_embedding_needs_an_output_for_each_class() -> None:
    short = learner_of(MLP(n_inputs=4, hidden=[8], n_outputs=3), train_embedding=True)
    with pytest.raises(ValueError, match="has 3 outputs, but the stream has 12 classes"):
        fit(short, toy_examples("class"))


# -- runs ---------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("train_embedding", [False, True])
def test_a_run_that_stops_in_the_middle_goes_on_as_if_it_had_not(tmp_path: Path, train_embedding: bool) -> None:
    make = partial(learner_of, train_embedding=train_embedding)
    data = partial(toy_examples, "class", 3)
    (one, first), (other, second) = fit_twice(make, data, lambda: [], tmp_path, step=6)
    assert same(one.state_dict(), other.state_dict())
    assert (first.matrix()[-1] == second.matrix()[-1]).all()


@pytest.mark.slow
@pytest.mark.parametrize("model", ["StreamingLDA", "NearestClassMean"])
def test_two_processes_keep_what_one_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    options = [f"--model={model}", *(["--model.train_embedding=true"] if model == "NearestClassMean" else [])]
    options += ["--model.network=MLP", "--model.network.n_inputs=4", "--model.network.n_outputs=8"]
    options += ["--optimizer=torch.optim.SGD", "--optimizer.lr=0.1"]
    options += ["--optimizer.weight_decay=0.1"]  # which would move weights that have a gradient of zero
    options += ["--data=datamodules.examples.ExampleDataModule", "--data.sources=[tests.toys.FewClasses]"]
    options += ["--data.batch_size=7", *QUIET, "--strategies=[]"]
    run_apart("fit", *options, "--run.name=one", cwd=tmp_path)
    run_apart("fit", *options, "--run.name=two", "--trainer.devices=2", "--trainer.strategy=ddp", cwd=tmp_path)
    one, two = (
        torch.load(tmp_path / f"runs/{name}/checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for name in ("one", "two")
    )
    assert one["learner.counts"].sum() > 0
    for name, tensor in one.items():
        if isinstance(tensor, Tensor):
            torch.testing.assert_close(tensor, two[name], rtol=1e-4, atol=1e-5)
