"""Streaming ridge regression equals the regression on all examples at once; RanPAC is the same on projections."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from datamodules.examples import ExampleDataModule
from lifelong.compute.runner import TaskRunner
from lifelong.learners import Classifier, NearestClassMean, RanPAC, StreamingLDA, StreamingRidge
from lifelong.learners.streaming_ridge import STRENGTHS, held_out
from lifelong.networks import MLP
from strategies import EWC
from tests.command_line import QUIET, run_apart
from tests.interrupted import fit_twice
from tests.toys import FewClasses, fit, make_classifier, module_of, same, toy_examples, weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*configure_optimizers. returned .None.*"),  # there is nothing to optimize
    pytest.mark.filterwarnings("ignore:.*in eval mode at the start of training.*"),  # the embedding stands still
]
LEARNERS: list[Any] = [
    StreamingRidge,
    partial(RanPAC, n_projections=20),
    partial(RanPAC, n_projections=60, activation="cosine", kernel_width=0.5),
]
NAMES = ["StreamingRidge", "RanPAC", "RanPAC-cosine"]


def learner_of(make: Any = StreamingRidge, network: nn.Module | None = None, **settings: Any) -> StreamingRidge:
    torch.manual_seed(1)
    return make(network or MLP(n_inputs=4, hidden=[8], n_outputs=12), **settings)  # type: ignore[no-any-return]


def bare(make: Any = StreamingRidge, **settings: Any) -> StreamingRidge:
    """A learner whose embedding is its input, in double precision, with room for five classes."""
    learner = learner_of(make, nn.Sequential(nn.Flatten(), nn.Linear(6, 6)).double(), **settings)
    learner.make_room(5, 6)
    return learner


def some_examples(n: int = 90) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    numbers = torch.arange(n) % 4
    x = torch.randn(n, 6, generator=generator, dtype=torch.float64) + numbers[:, None].eq(torch.arange(6)) * 2
    return x, numbers


def take(learner: StreamingRidge, x: Tensor, numbers: Tensor) -> None:
    learner.absorb(learner.represent(x), numbers, TaskRunner(), x)


def all_at_once(phi: Tensor, numbers: Tensor, strength: float) -> Tensor:
    """The normal equations, written down anew."""
    labels = torch.eye(5, dtype=phi.dtype)[numbers]
    return torch.linalg.inv(phi.T @ phi + strength * torch.eye(phi.shape[1], dtype=phi.dtype)) @ phi.T @ labels


@pytest.mark.parametrize("make", LEARNERS, ids=NAMES)
@pytest.mark.parametrize("strength", [None, 0.5])
@pytest.mark.parametrize("batch_size", [1, 7, 90])
@pytest.mark.parametrize("order", ["as it is", "by class", "random"])
def test_streamed_equals_all_at_once(make: Any, strength: float | None, batch_size: int, order: str) -> None:
    x, numbers = some_examples()
    by = {"as it is": torch.arange(90), "by class": numbers.argsort(descending=True), "random": torch.randperm(90)}
    learner = bare(make, strength=strength)
    for piece in by[order].split(batch_size):  # type: ignore[no-untyped-call]
        take(learner, x[piece], numbers[piece])
    phi = learner.represent(x)
    expected = phi @ all_at_once(phi, numbers, learner.chosen_strength())
    torch.testing.assert_close(learner.compare(phi)[:, :4], expected[:, :4], rtol=0, atol=1e-9)
    assert (learner.compare(phi)[:, 4] == torch.finfo(torch.float64).min).all()


@pytest.mark.parametrize("make", LEARNERS, ids=NAMES)
def test_the_strength_is_the_best_on_held_out_examples(make: Any) -> None:
    honest, all_seen = [], []
    for seed in range(6):
        x, numbers = some_examples(60)
        x = x + 2 * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed), dtype=x.dtype)
        learner = bare(make)
        take(learner, x, numbers)
        phi, out = learner.represent(x), held_out(x)
        scale, labels = float(phi.square().sum(0).mean()), torch.eye(5, dtype=x.dtype)[numbers]

        def best(learnt: Tensor) -> float:
            weights = [all_at_once(phi[learnt], numbers[learnt], k * scale) for k in STRENGTHS]  # noqa: B023
            errors = [float((phi[out] @ weight - labels[out]).square().sum()) for weight in weights]  # noqa: B023
            return STRENGTHS[errors.index(min(errors))]

        honest.append(best(~out))
        all_seen.append(best(torch.ones_like(out)))
        assert learner.chosen_strength() == pytest.approx(honest[-1] * scale)
    assert honest != all_seen  # otherwise nobody could tell whether they were held out
    assert any(STRENGTHS[0] < k < STRENGTHS[-1] for k in honest)


def test_what_is_held_out_depends_on_the_example_alone() -> None:
    x = torch.rand(500, 3, 4, generator=torch.Generator().manual_seed(0))
    chosen = held_out(x)
    assert 60 < chosen.sum() < 140
    places = torch.randperm(500)
    assert torch.equal(held_out(x[places]), chosen[places])
    assert torch.equal(torch.cat([held_out(one[None]) for one in x]), chosen)
    assert not torch.equal(held_out(x + 0.01), chosen)
    tokens = torch.arange(60).view(20, 3)
    assert torch.equal(held_out(tokens[5:]), held_out(tokens)[5:])


def test_two_classes_by_hand() -> None:
    learner = learner_of(network=nn.Sequential(nn.Flatten(), nn.Linear(2, 2)), strength=1.0)
    learner.make_room(n_classes=2, n_features=2)
    learner.absorb(torch.tensor([[1.0, 0.0], [1.0, 2.0]]), torch.tensor([0, 1]), TaskRunner())
    # Moments (2 2; 2 4) plus 1 on the diagonal are (3 2; 2 5), with the inverse (5 −2; −2 3) / 11; sums (1 0), (1 2).
    expected = torch.tensor([[5 / 11, 1 / 11], [-2 / 11, 4 / 11]])
    torch.testing.assert_close(learner.compare(torch.eye(2)), expected)


def test_projections_are_drawn_once_and_kept_in_the_state() -> None:
    learner, other = bare(partial(RanPAC, n_projections=20)), bare(partial(RanPAC, n_projections=20))
    x, numbers = some_examples()
    assert torch.equal(learner.projection, other.projection)  # the same seed
    torch.manual_seed(2)
    third = RanPAC(learner.network, n_projections=20)
    third.make_room(5, 6)
    assert not torch.equal(third.projection, learner.projection)
    take(learner, x, numbers)
    third.load_state_dict(learner.state_dict())
    torch.testing.assert_close(third.compare(third.represent(x)), learner.compare(learner.represent(x)))
    torch.testing.assert_close(learner.represent(x), (x @ learner.projection).clamp_min(0))


def test_its_memory_is_that_of_sums_and_projections() -> None:
    data = toy_examples("class", 1)
    learner = RanPAC(nn.Identity(), n_projections=7)
    results = fit(module_of(learner), data).results
    n_classes, n_features, size = data.n_classes, 4, 4
    sums = 7 * 7 + n_classes * 7
    numbers = 2 * sums + n_features * 7  # of all examples and of those held out, and the projection
    counted = learner.memory_bytes() - numbers * size
    assert 0 <= counted <= (n_classes + 2) * 8 + 7 * size
    assert results.setting.learner_bytes == learner.memory_bytes()
    assert NearestClassMean(nn.BatchNorm1d(3)).memory_bytes() == 0  # what belongs to the network is no memory


def test_cosines_of_projections_are_a_gaussian_kernel() -> None:
    learner = bare(partial(RanPAC, n_projections=40_000, activation="cosine", kernel_width=0.7, strength=1.0))
    x = torch.randn(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    phi, unit = learner.represent(x), x / x.norm(dim=1, keepdim=True)
    kernel = torch.exp(-torch.cdist(unit, unit).square() / (2 * 0.7**2))
    torch.testing.assert_close(2 * phi @ phi.T / 40_000, kernel, rtol=0, atol=0.02)
    torch.testing.assert_close(learner.represent(3 * x), phi)


def test_projections_separate_what_is_not_linear() -> None:
    x = torch.tensor([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]])
    numbers = torch.tensor([0, 0, 1, 1])

    def answers(make: Any) -> list[int]:
        learner = learner_of(make, nn.Sequential(nn.Flatten(), nn.Linear(2, 2)), strength=0.01)
        learner.make_room(2, 2)
        take(learner, x, numbers)
        return learner.compare(learner.represent(x)).argmax(1).tolist()  # type: ignore[no-any-return]

    assert answers(partial(RanPAC, n_projections=100)) == numbers.tolist()
    assert answers(StreamingRidge) != numbers.tolist()


@pytest.mark.parametrize("make", LEARNERS, ids=NAMES)
@pytest.mark.parametrize("scenario", ["class", "domain", "task"])
def test_it_learns_every_scenario_and_forgets_nothing(make: Any, scenario: str) -> None:
    data = ExampleDataModule([FewClasses(3)], scenario=scenario, batch_size=8, split=(0.2, 0.2))  # type: ignore[arg-type]
    least = 0.4 if scenario == "domain" else 0.8  # of four classes; a class of three domains is not linear
    assert fit(learner_of(make), data).matrix()[-1].mean() > least
    with pytest.raises(ValueError, match="trains nothing here, so EWC has nothing to protect"):
        fit(learner_of(make), data, [EWC()])


@pytest.mark.parametrize("strength", [0.0, -1.0])
def test_a_strength_out_of_range_is_refused(strength: float) -> None:
    with pytest.raises(ValueError, match=f"--model.strength is {strength}: it must be above 0"):
        learner_of(strength=strength)


def test_a_strength_lost_in_rounding_is_refused() -> None:
    learner = learner_of(network=nn.Sequential(nn.Flatten(), nn.Linear(2, 2)), strength=1e-30)
    learner.make_room(2, 2)
    learner.absorb(torch.ones(1, 2), torch.tensor([0]), TaskRunner())
    with pytest.raises(ValueError, match=r"strength 1e-30 is too small .* set a larger --model.strength, or null"):
        learner.compare(torch.ones(1, 2))


# -- an embedding trained in the first experience --------------------------------------------------------------------


@pytest.mark.parametrize("make", [*LEARNERS, NearestClassMean, StreamingLDA])
def test_the_first_session_trains_as_a_classifier_does(make: Any) -> None:
    learner, classifier = learner_of(make, train_embedding="first"), make_classifier()
    fit(learner, toy_examples("class", 3))
    fit(classifier, toy_examples("class", 3), max_epochs=1)
    assert isinstance(classifier, Classifier)
    # The network of the first experience, which no later one moved; statistics of every experience by it.
    assert same(weights(learner), weights(classifier))
    assert (learner.counts > 0).all()
    assert not learner.network.training


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", LEARNERS, ids=NAMES)
@pytest.mark.parametrize("train_embedding", [False, "first"])
@pytest.mark.parametrize("step", [3, 6, 10])
def test_a_run_that_stops_goes_on_as_if_it_had_not(tmp_path: Path, make: Any, train_embedding: Any, step: int) -> None:
    data = partial(toy_examples, "class", 3)
    learner = partial(learner_of, make, train_embedding=train_embedding)
    (one, first), (other, second) = fit_twice(learner, data, lambda: [], tmp_path, step=step)
    assert same(one.state_dict(), other.state_dict())
    assert (first.matrix()[-1] == second.matrix()[-1]).all()


@pytest.mark.slow
@pytest.mark.parametrize("model", [["StreamingRidge"], ["RanPAC", "--model.n_projections=20"]])
@pytest.mark.parametrize("train_embedding", ["false", "first"])
def test_two_processes_keep_what_one_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: list[str], train_embedding: str
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    options = [f"--model={model[0]}", *model[1:], f"--model.train_embedding={train_embedding}"]
    options += ["--model.network=MLP", "--model.network.n_inputs=4", "--model.network.n_outputs=8"]
    options += ["--optimizer=torch.optim.SGD", "--optimizer.lr=0.1", "--optimizer.momentum=0.9"]
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
    assert one["learner.n_held"] > 0
    for name, tensor in one.items():
        if isinstance(tensor, Tensor):
            torch.testing.assert_close(tensor, two[name], rtol=1e-4, atol=1e-4)
