"""Learners that pre-train a classifier over all classes of the stream."""

import copy
import io
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.position import Visit
from lifelong.learners import FineTuning, LinearProbe, ProtoNet, SimpleShot
from lifelong.networks import MLP, Conv4
from lifelong.strategy import Strategy
from tests.command_line import TINY, run_apart, run_here
from tests.toys import fit, make_learner, module_of, random_episode, same, toy_data, weights

PRETRAINED = ["FineTuning", "LinearProbe", "SimpleShot"]


def by_hand() -> SimpleShot:
    """Features are the inputs; three classes with the rows (1, 0), (0, 1) and (0, 0) and no bias."""
    learner = SimpleShot(nn.Identity(), transform="none")
    learner.network.n_features = 2  # type: ignore[assignment]
    learner = SimpleShot(learner.network, transform="none")
    learner.prepare(3)
    with torch.no_grad():
        learner.classifier.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]))
        learner.classifier.bias.zero_()
    return learner


def episode(classes: list[int]) -> Episode:
    x, y = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]]), torch.tensor([[0, 1]])
    return Episode(x, y, x[:, :1], y[:, :1], torch.ones(1), 2, torch.tensor([classes]))


def test_the_loss_is_that_of_all_classes_on_support_and_query() -> None:
    learner = by_hand()
    losses, outputs = TaskRunner().losses_and_outputs(learner, learner.meta_parameters(), episode([2, 1]))
    # Logits (1, 0, 0) twice with class 2, and (0, 2, 0) with class 1.
    of_two, of_one = np.log(np.e + 2), np.log(np.e**2 + 2) - 2
    assert float(losses.detach()) == pytest.approx((2 * of_two + of_one) / 3)
    assert outputs.tolist() == [[[0.0, 0.0]]]  # of the query (1, 0): the logits of classes 2 and 1
    _, other = TaskRunner().losses_and_outputs(learner, learner.meta_parameters(), episode([0, 1]))
    assert other.tolist() == [[[1.0, 0.0]]]


class Rows(Strategy):
    """Notes after each experience the rows of the classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []
        self.numbers: list[set[int]] = []

    def end(self, learner: Any, visit: Visit, *, runner: TaskRunner) -> None:
        self.seen.append(learner.classifier.bias.detach().clone())
        self.numbers.append({int(n) for pool in visit.experience.pools for n in pool.numbers})


@pytest.mark.parametrize("name", PRETRAINED)
def test_experiences_pull_at_different_rows_of_the_classifier(name: str) -> None:
    # Plain SGD: a gradient of Adam's past would move the rows of classes that are gone.
    learner, rows = make_learner(name), Rows()
    before = learner.classifier.bias.detach().clone()  # type: ignore[union-attr]
    data = toy_data(2, steps_per_experience=30)
    fit(module_of(learner, [rows], partial(torch.optim.SGD, lr=0.1)), data)
    assert data.stream.n_classes == 12
    assert rows.numbers[0].isdisjoint(rows.numbers[1])
    assert len(rows.numbers[0] | rows.numbers[1]) == 12
    # Among softmax biases those of the classes at hand rise, all others fall.
    for number, (old, new) in enumerate(zip([before, *rows.seen], rows.seen, strict=False)):
        mine = torch.tensor(sorted(rows.numbers[number]))
        others = torch.tensor([n for n in range(12) if n not in rows.numbers[number]])
        assert (new - old)[mine].mean() > 0 > (new - old)[others].max()


def test_the_head_is_dropped_and_features_are_counted() -> None:
    for network, n_features in ((MLP(n_inputs=4, hidden=[8], n_outputs=3), 8), (Conv4(image_size=16, n_outputs=3), 64)):
        learner = SimpleShot(network)
        learner.prepare(12)
        assert learner.classifier.weight.shape == (12, n_features)
        assert isinstance(learner.network.head, nn.Identity)
    nothing = SimpleShot(nn.Sequential(nn.Linear(4, 5), nn.ReLU()))
    with pytest.raises(ValueError, match="attribute n_features"):
        nothing.prepare(12)
    fit(nothing, toy_data(2))  # a stream has examples to try
    assert nothing.classifier.weight.shape == (12, 5)


def test_the_classifiers_first_weights_depend_on_the_seed_alone() -> None:
    found = []
    for seed, later in ((0, 1), (0, 2), (1, 1)):
        torch.manual_seed(seed)
        learner = SimpleShot(MLP(n_inputs=4, hidden=[8]))
        torch.manual_seed(later)  # as a launch on several devices does
        state = torch.get_rng_state()
        learner.prepare(5)
        assert torch.equal(state, torch.get_rng_state())
        found.append(learner.classifier.weight)
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_first_weights_leave_the_accelerators_generator_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seeded: list[int] = []
    learner = SimpleShot(MLP(n_inputs=4, hidden=[8]))
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    torch.manual_seed(5)
    assert seeded == [5]  # as every call of it does
    learner.prepare(5)
    assert seeded == [5]


def test_the_classifier_is_made_once_and_refuses_more_classes() -> None:
    learner = make_learner("SimpleShot")
    before = weights(learner)
    learner.prepare(6)
    assert same(before, weights(learner))
    with pytest.raises(ValueError, match=r"has 12 classes, but the stream has 13"):
        learner.prepare(13)


@pytest.mark.parametrize("make", [LinearProbe, FineTuning])
def test_negative_steps_are_refused(make: type[LinearProbe] | type[FineTuning]) -> None:
    with pytest.raises(ValueError, match=r"--model.n_steps is -1: it must be (a whole number, )?at least 0"):
        make(nn.Identity(), n_steps=-1)


# -- SimpleShot ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transform", "expected"),
    [("none", [[2.0, 1.0], [0.0, 3.0]]), ("l2", [[0.8, 0.4], [0.0, 1.0]]), ("cl2n", [[0.5, 0.5], [-1.0, 0.0]])],
)
def test_transforms_by_hand(transform: str, expected: list[list[float]]) -> None:
    network = nn.Identity()
    network.n_features = 2  # type: ignore[assignment]
    learner = SimpleShot(network, transform=transform)  # type: ignore[arg-type]
    learner.prepare(2)
    learner.centre.copy_(torch.tensor([1.0, 2.0]) if transform == "cl2n" else torch.tensor([9.0, 9.0]))
    x = {
        "none": [[4.0, 0.0], [0.0, 2.0], [0.0, 3.0]],
        "l2": [[3.0, 4.0], [5.0, 0.0], [0.0, 3.0]],
        "cl2n": [[5.0, 2.0], [1.0, 9.0], [0.0, 2.0]],
    }[transform]
    means = learner.adapt({}, torch.tensor(x), torch.eye(2)[[0, 0, 1]])
    torch.testing.assert_close(means, torch.tensor(expected))
    query = torch.tensor([[5.0, 2.0]])
    z = {"none": query, "l2": F.normalize(query), "cl2n": torch.tensor([[1.0, 0.0]])}[transform]
    torch.testing.assert_close(learner.predict({}, means, query), -(z - means).square().sum(-1)[None])


class Centres(Strategy):
    """The mean feature of the same fresh tasks, one example at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.means: list[Tensor] = []

    def end(self, learner: Any, visit: Visit, *, runner: TaskRunner) -> None:
        found = []
        for _, batch in visit.batches("centre", learner.n_centre_tasks):
            for x in torch.cat([batch.support_x, batch.query_x], 1).flatten(0, 1):
                found.append(learner.network(x[None])[0].detach())
        assert len(found) == learner.n_centre_tasks * 12
        self.means.append(torch.stack(found).mean(0))


def test_the_centre_is_the_mean_feature_so_far() -> None:
    learner, centres = make_learner("SimpleShot", n_centre_tasks=7), Centres()
    fit(learner, toy_data(2), [centres])
    assert int(learner.n_centres) == 2  # type: ignore[arg-type]
    assert not torch.allclose(centres.means[0], centres.means[1], atol=0.1)
    torch.testing.assert_close(learner.centre, torch.stack(centres.means).mean(0))
    plain = make_learner("SimpleShot", transform="l2")
    fit(plain, toy_data(1))
    assert plain.centre.tolist() == [0.0] * 8  # type: ignore[operator, union-attr]


def test_the_centre_travels_in_the_state_and_decides() -> None:
    learner, batch = make_learner("SimpleShot"), random_episode()
    fit(learner, toy_data(2))
    file = io.BytesIO()
    torch.save(learner.state_dict(), file)
    file.seek(0)
    other = make_learner("SimpleShot")
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other.centre, learner.centre)  # type: ignore[arg-type]
    outputs = TaskRunner().outputs(learner, learner.meta_parameters(), batch)
    assert torch.equal(TaskRunner().outputs(other, other.meta_parameters(), batch), outputs)
    other.centre.zero_()  # type: ignore[operator, union-attr]
    assert not torch.allclose(TaskRunner().outputs(other, other.meta_parameters(), batch), outputs)


@pytest.mark.filterwarnings("ignore")
def test_a_resumed_run_has_the_same_centre(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    monkeypatch.setattr("sys.argv", ["lifelong"])
    options = ["--model=SimpleShot", "--model.n_centre_tasks=5", *TINY[1:]]
    run_here("fit", *options, "--run.name=whole")
    run_here("fit", *options, "--run.name=parts", "--trainer.max_epochs=2")
    run_here("fit", "--ckpt_path=runs/parts/checkpoints/last.ckpt", "--trainer.max_epochs=3")
    whole, parts = (
        torch.load(f"runs/{name}/checkpoints/last.ckpt", weights_only=True)["state_dict"] for name in ("whole", "parts")
    )
    assert int(whole["learner.n_centres"]) == 3
    assert all(torch.equal(w, parts[name]) for name, w in whole.items() if isinstance(w, torch.Tensor))


# -- LinearProbe -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("normalise", "weight_decay"), [(True, 0.01), (False, 0.1)])
def test_the_probe_converges_to_the_logistic_regression(normalise: bool, weight_decay: float) -> None:
    learner = LinearProbe(
        nn.Identity(), n_steps=6000, rate=0.5, normalise=normalise, weight_decay=weight_decay
    ).double()
    rng = torch.Generator().manual_seed(3)
    y = torch.eye(3, dtype=torch.float64).repeat(4, 1)
    x = torch.randn(12, 5, generator=rng, dtype=torch.float64) + 2 * F.pad(y, (0, 2))
    found = learner.adapt({}, x, y)

    weight, bias = (torch.zeros(s, dtype=torch.float64, requires_grad=True) for s in ((3, 5), (3,)))
    solver = torch.optim.LBFGS(
        [weight, bias], max_iter=2000, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )
    z = F.normalize(x, dim=-1) if normalise else x

    def closure() -> Tensor:
        solver.zero_grad()
        loss = F.cross_entropy(z @ weight.T + bias, y) + weight_decay / 2 * weight.square().sum()
        loss.backward()
        return loss

    solver.step(closure)  # type: ignore[arg-type, no-untyped-call, unused-ignore]
    torch.testing.assert_close(found["weight"], weight.detach(), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(found["bias"], bias.detach(), rtol=1e-4, atol=1e-6)


def test_one_step_of_the_probe_by_hand_and_frozen_features() -> None:
    learner = LinearProbe(nn.Identity(), n_steps=1, rate=2.0, normalise=False)
    state = learner.adapt({}, torch.tensor([[3.0], [1.0]]), torch.eye(2))
    # dL/dlogits = (p − y) / 2 = ∓1/4, so W = 2 · (3 − 1) / 4 and its negative.
    assert state["weight"].tolist() == [[1.0], [-1.0]]
    assert state["bias"].tolist() == [0.0, 0.0]
    assert learner.predict({}, state, torch.tensor([[5.0]])).tolist() == [[5.0, -5.0]]


# -- FineTuning ------------------------------------------------------------------------------------------------------


def test_class_mean_head_without_steps_is_a_prototypical_network() -> None:
    network, batch = MLP(n_inputs=4, hidden=[8, 6], n_outputs=6), random_episode()
    network.head = nn.Identity()  # type: ignore[assignment]
    network.n_features = 6  # type: ignore[assignment]
    tuned, prototypes = FineTuning(copy.deepcopy(network), n_steps=0, head="class_mean"), ProtoNet(network)
    zero = FineTuning(copy.deepcopy(network), n_steps=0, head="zero")
    expected = TaskRunner().outputs(prototypes, prototypes.meta_parameters(), batch).softmax(-1)
    torch.testing.assert_close(TaskRunner().outputs(tuned, tuned.meta_parameters(), batch).softmax(-1), expected)
    assert (TaskRunner().outputs(zero, zero.meta_parameters(), batch) == 0).all()


def test_steps_move_network_and_head_at_their_own_rates() -> None:
    network = nn.Linear(1, 1, bias=False)
    learner = FineTuning(network, n_steps=1, rate=0.1, head_rate=0.2, head="class_mean").double()
    with torch.no_grad():
        network.weight.fill_(1.0)
    x, y = torch.tensor([[1.0], [-1.0]]).double(), torch.eye(2).double()
    start, state = learner.trajectory(learner.meta_parameters(), x, y, 1)
    assert start["head.weight"].tolist() == [[2.0], [-2.0]]
    assert start["head.bias"].tolist() == [-1.0, -1.0]
    # Logits ±2 with a gap of 4: dL/dlogits of a right label is −q/2 with q = σ(−4), the other's q/2.
    q = float(torch.sigmoid(torch.tensor(-4.0, dtype=torch.float64)))
    torch.testing.assert_close(state["head.weight"], torch.tensor([[2 + 0.2 * q], [-2 - 0.2 * q]]).double())
    torch.testing.assert_close(state["network.weight"], torch.tensor([[1 + 0.1 * 4 * q]]).double())


def test_fine_tuning_leaves_the_meta_parameters() -> None:
    learner, batch = make_learner("FineTuning", n_steps=200, rate=0.1, head="zero").eval(), random_episode()
    before = weights(learner)
    task = Episode(batch.support_x, batch.support_y, batch.support_x, batch.support_y, batch.weight, 3)
    assert (TaskRunner().scores(learner, learner.meta_parameters(), task) == 1).all()
    assert same(before, weights(learner))


@pytest.mark.slow
def test_two_processes_pre_train_and_centre_as_one(tmp_path: Path) -> None:
    # Plain SGD: Adam would blow the rounding noise of gradients that are zero in theory up to whole steps.
    sgd = ["--optimizer=torch.optim.SGD", "--optimizer.lr=0.1"]
    options = ["--model=SimpleShot", "--model.n_centre_tasks=7", *TINY[1:], *sgd]
    run_apart("fit", *options, "--run.name=one", cwd=tmp_path)
    run_apart("fit", *options, "--run.name=two", "--trainer.devices=2", "--trainer.strategy=ddp", cwd=tmp_path)
    one, two = (
        torch.load(tmp_path / f"runs/{name}/checkpoints/last.ckpt", weights_only=True)["state_dict"]
        for name in ("one", "two")
    )
    for name in ("learner.centre", "learner.classifier.weight", "learner.network.body.0.weight"):
        torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=1e-6)
