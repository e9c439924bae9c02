from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from lifelong import learners
from lifelong.compute.runner import PlanName, TaskRunner
from lifelong.data.episode import Episode
from lifelong.learners.pretrained import Pretrained
from strategies import EWC, AdapterBank
from strategies.adapters.entry import add_entry as with_entry
from tests.learners.exactness import check_finite_differences
from tests.strategies.test_contract import CASES as STRATEGIES
from tests.strategies.test_contract import MAKERS
from tests.toys import LEARNERS, AtEnd, fit, make_learner, module_of, random_episode, same, toy_data, weights

CASES = [("vector", "none"), ("image", "batch"), ("image", "group")]
HEADED = {"ANIL", "BOIL", "CAVIA", "IMAML", "MAML", "MetaSGD", "NoAdaptation", "Reptile"}
"""Learners whose network ends in one output per label."""


@pytest.mark.parametrize(("kind", "norm"), CASES)
@pytest.mark.parametrize("name", LEARNERS)
def test_vmap_equals_the_loop(name: str, kind: str, norm: str) -> None:
    learner = make_learner(name, kind, norm).double()
    batch = random_episode(kind, n_tasks=4 if kind == "vector" else 2).to(torch.float64)
    found = {}
    for plan, chunk in (("loop", None), ("vmap", None), ("vmap", 1)):
        runner = TaskRunner(plan=plan, chunk=chunk)
        losses = runner.losses(learner, learner.meta_parameters(), batch)
        trained = [p for p in learner.parameters() if p.requires_grad]
        found[plan, chunk] = (losses, torch.autograd.grad(losses.sum(), trained))
    reference = found["loop", None]
    assert any(g.abs().max() > 1e-6 for g in reference[1])
    for losses, gradients in found.values():
        torch.testing.assert_close(losses, reference[0], rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(gradients, reference[1], rtol=1e-7, atol=1e-9)


BY_EMBEDDINGS = {"LinearProbe", "Mahalanobis", "MatchingNet", "R2D2", "SimpleShot"}
"""Learners whose answers are made of embeddings alone; ProtoNet's are where its network has no head."""


@pytest.mark.parametrize("kind", ["vector", "image"])
@pytest.mark.parametrize("name", LEARNERS)
def test_answers_of_embeddings_are_those_of_inputs(name: str, kind: str) -> None:
    learner = make_learner(name, kind).double().eval()
    task = random_episode(kind, n_tasks=1).to(torch.float64)
    params, y = learner.meta_parameters(), learner.objective.encode(task.support_y, task.n_way)[0].double()
    with torch.no_grad():
        state = learner.adapt(params, task.support_x[0], y)
        found = learner.predict_embedded(params, state, learner.embed(params, task.query_x[0]))
        assert (found is not None) == (name in BY_EMBEDDINGS)
        if found is not None:
            torch.testing.assert_close(found, learner.predict(params, state, task.query_x[0]))


@pytest.mark.parametrize("kind", ["vector", "image"])
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("ProtoNet", {}),
        ("ProtoNet", {"distance": "cosine"}),
        ("MatchingNet", {}),
        ("RelationNet", {"aggregate": "sum"}),
        ("Mahalanobis", {}),
    ],
)
def test_meta_gradients_of_comparisons_equal_finite_differences(name: str, settings: dict[str, Any], kind: str) -> None:
    learner = make_learner(name, kind, **settings)
    # Distances between embeddings do not see what all of them are moved by.
    flat = ["network.head.bias"] if (name == "ProtoNet" and not settings) or name == "Mahalanobis" else []
    check_finite_differences(learner, random_episode(kind), flat)


@pytest.mark.parametrize("plan", ["vmap", "loop"])
@pytest.mark.parametrize("name", LEARNERS)
def test_evaluation_in_inference_mode_leaves_no_trace(name: str, plan: PlanName) -> None:
    learner = make_learner(name).eval()
    module = module_of(learner, plan=plan)
    before = weights(learner)
    with torch.inference_mode():
        batch = random_episode()
        measures = module.validation_step(batch, 0) | {"test": module.test_step(batch, 0)["score"]}
        predicted = module.predict_step(batch, 0)
    assert measures["score"].shape == (3,)
    assert torch.equal(measures["score"], measures["test"])
    assert not any(t.requires_grad or t.grad_fn is not None for t in (*measures.values(), predicted))
    torch.testing.assert_close(predicted.sum(-1), torch.ones(3, 6))
    assert same(before, weights(learner))
    assert all(p.grad is None for p in learner.parameters())


@pytest.mark.parametrize("name", LEARNERS)
def test_scores_are_the_share_of_right_queries(name: str) -> None:
    learner, batch = make_learner(name).eval(), random_episode()
    params = learner.meta_parameters()
    outputs = TaskRunner().outputs(learner, params, batch)
    expected = (outputs.argmax(-1) == batch.query_y).float().mean(-1)
    torch.testing.assert_close(TaskRunner().scores(learner, params, batch), expected)


@pytest.mark.parametrize("name", LEARNERS)
def test_predictions_do_not_depend_on_the_names_of_the_labels(name: str) -> None:
    learner, batch = make_learner(name).eval(), random_episode()
    params, renamed = learner.meta_parameters(), torch.tensor([2, 0, 1])
    if "network.head.weight" in params and name in HEADED:
        # A head has an output per label: labels and outputs change their names together.
        for part in ("weight", "bias"):
            params[f"network.head.{part}"] = params[f"network.head.{part}"][renamed.argsort()]
    support = (batch.support_x, renamed[batch.support_y])
    other = Episode(*support, batch.query_x, renamed[batch.query_y], batch.weight, batch.n_way)
    outputs = TaskRunner().outputs(learner, learner.meta_parameters(), batch)
    torch.testing.assert_close(
        TaskRunner().outputs(learner, params, other)[..., renamed], outputs, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("name", LEARNERS)
def test_the_numbers_of_the_classes_are_no_input(name: str) -> None:
    learner, batch = make_learner(name).eval(), random_episode()
    assert batch.classes is not None
    poisoned, params = replace(batch, classes=torch.full_like(batch.classes, -(10**9))), learner.meta_parameters()
    functions = [TaskRunner().outputs, TaskRunner().scores]
    if not isinstance(learner, Pretrained):  # it trains by them, and is judged without
        functions.append(TaskRunner().losses)
    for function in functions:
        assert torch.equal(function(learner, params, poisoned), function(learner, params, batch))


@pytest.mark.parametrize("name", [name for name in LEARNERS if not getattr(learners, name).sees_other_queries])
def test_inductive_predictions_do_not_depend_on_other_queries(name: str) -> None:
    learner, batch = make_learner(name, "image", "group").eval(), random_episode("image", n_tasks=1)
    first = Episode(*batch.tasks()[:2], batch.query_x[:, :2], batch.query_y[:, :2], batch.weight, batch.n_way)
    params = learner.meta_parameters()
    whole, part = TaskRunner().outputs(learner, params, batch), TaskRunner().outputs(learner, params, first)
    torch.testing.assert_close(whole[:, :2], part, rtol=1e-4, atol=1e-5)
    assert not learner.transductive


@pytest.mark.parametrize(("kind", "norm"), CASES)
@pytest.mark.parametrize("name", LEARNERS)
def test_embeddings_are_vectors_made_from_the_given_parameters(name: str, kind: str, norm: str) -> None:
    learner, x = make_learner(name, kind, norm).eval(), random_episode(kind).support_x[0]
    params = learner.meta_parameters()
    embedded = learner.embed(params, x)
    assert embedded.dim() == 2
    assert len(embedded) == len(x)
    other = learner.embed({n: p + 0.1 for n, p in params.items()}, x)
    assert not torch.allclose(other, embedded)


@pytest.mark.parametrize("strategy", [name for name, kind in STRATEGIES if kind == "few-shot"])
@pytest.mark.parametrize("name", LEARNERS)
def test_works_with_every_strategy(name: str, strategy: str) -> None:
    learner, plugin = make_learner(name), MAKERS[strategy]()
    data = toy_data(2, steps_per_experience=2, tasks_per_batch=2, n_eval_tasks=2)
    evaluator = fit(learner, data, [plugin])  # a loss that is not finite stops it
    assert plugin.memory_bytes() > 0
    assert np.isfinite(evaluator.matrix()).all()
    assert all(p.isfinite().all() for p in weights(learner).values())
    if isinstance(plugin, EWC):
        assert sum(float(f.sum()) for f in plugin.fisher.values()) > 0


@pytest.mark.parametrize("name", LEARNERS)
def test_with_a_bank_an_old_experience_is_answered_as_ever(name: str) -> None:
    # The centre of SimpleShot's cl2n is no parameter and goes on moving with every experience: without it.
    learner, bank = make_learner(name, **({"transform": "l2"} if name == "SimpleShot" else {})), AdapterBank()
    batch, found = random_episode(), []

    def look() -> None:
        entry, params = bank.entries[0], learner.meta_parameters()
        learner.eval()
        with torch.no_grad():
            found.append(TaskRunner().rerouted(lambda p, sx, sy: with_entry(p, entry)).outputs(learner, params, batch))
        learner.train()

    evaluator = fit(learner, toy_data(2), [bank, AtEnd(look)])
    assert torch.equal(found[0], found[1])
    scores = evaluator.matrix("AdapterBank/score_with_right_entry")
    assert (scores[0, 0] == scores[1, 0]).all()
    assert np.isfinite(evaluator.matrix()).all()
    moved = [v.abs().max() for k, v in bank.entries[1].items() if not k.endswith("down")]
    assert max(moved) > 0


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
@pytest.mark.parametrize("name", LEARNERS)
def test_trains_in_other_precisions(name: str, precision: str) -> None:
    learner = make_learner(name)
    before = weights(learner)
    fit(learner, toy_data(1), precision=precision)
    after = weights(learner)
    assert all(p.isfinite().all() for p in after.values())
    assert not same(before, {n: p.float() for n, p in after.items()})


@pytest.mark.parametrize("name", LEARNERS)
def test_training_learns_and_fills_the_matrix(name: str) -> None:
    learner = make_learner(name)
    before = weights(learner)
    evaluator = fit(learner, toy_data(2))
    assert not same(before, weights(learner))
    assert evaluator.matrix().shape == (2, 2, 8)
