import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.compute.runner import TaskRunner
from lifelong.learners import CAVIA
from tests.learners.exactness import check_finite_differences, only_task
from tests.toys import make_learner, network, random_episode

RATE = 0.5


def test_equals_concatenating_the_context_to_the_input() -> None:
    settings = {"n_context": 4, "inner_rate": RATE, "n_inner_steps": 2, "conditioned": ["body.0.bias"]}
    learner = make_learner("CAVIA", **settings).double()
    task, params = only_task(learner, random_episode(n_tasks=1).to(torch.float64)), learner.meta_parameters()
    net, context_weights = learner.network, params["offsets.body-0-bias"]

    def concatenating(x: Tensor, context: Tensor) -> Tensor:
        wide = torch.cat([x, context.expand(len(x), 4)], 1)
        first = torch.cat([net.body[0].weight, context_weights], 1)  # type: ignore[index, union-attr]
        return net.head(F.linear(wide, first, net.body[0].bias).relu())  # type: ignore[index, union-attr, operator]

    context = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    for _ in range(2):
        loss = F.cross_entropy(concatenating(task.support_x, context), task.support_y)
        (gradient,) = torch.autograd.grad(loss, [context], create_graph=True)
        context = context - RATE * gradient
    expected = concatenating(task.query_x, context)
    assert context.abs().max() > 1e-3
    loss, output = learner.task_loss(params, task)
    torch.testing.assert_close(output, expected, rtol=1e-12, atol=1e-12)
    everything = list(params.values())
    meta_gradients = torch.autograd.grad(F.cross_entropy(expected, task.query_y), everything)
    torch.testing.assert_close(torch.autograd.grad(loss, everything), meta_gradients, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", ["vector", "regression"])
def test_meta_gradient_equals_finite_differences(kind: str) -> None:
    check_finite_differences(make_learner("CAVIA", kind, n_inner_steps=3, inner_rate=0.1), random_episode(kind))


def test_only_the_conditioned_parameters_move() -> None:
    learner = make_learner("CAVIA", "image", "group", n_context=2).double()
    task = only_task(learner, random_episode("image", n_tasks=1).to(torch.float64))
    params = learner.meta_parameters()
    state = learner.adapt(params, task.support_x, task.support_y)
    moved = {name for name, p in state.items() if not torch.equal(p, params[name])}
    assert moved == {f"network.{name}" for name in learner.conditioned}  # type: ignore[union-attr]
    difference = torch.cat([state[f"network.{n}"] - params[f"network.{n}"] for n in learner.conditioned])  # type: ignore[union-attr]
    offsets = torch.cat([params[f"offsets.{n.replace('.', '-')}"] for n in learner.conditioned])  # type: ignore[union-attr]
    context = torch.linalg.lstsq(offsets, difference[:, None]).solution
    torch.testing.assert_close(offsets @ context, difference[:, None])


def test_by_default_biases_and_norm_scales_are_conditioned() -> None:
    blocks = [f"blocks.{b}.{layer}" for b in range(4) for layer in ("0.bias", "1.weight", "1.bias")]
    assert make_learner("CAVIA", "image", "group").conditioned == blocks
    headless = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    assert CAVIA(headless).conditioned == ["0.bias", "2.bias"]


def test_no_steps_leave_the_context_at_zero() -> None:
    learner, batch = make_learner("CAVIA", n_eval_steps=0).eval(), random_episode()
    outputs = TaskRunner().outputs(learner, learner.meta_parameters(), batch)
    torch.testing.assert_close(outputs[1], learner.network(batch.query_x[1]))


def test_what_cannot_be_conditioned_is_refused() -> None:
    with pytest.raises(ValueError, match=r"condition 'body.0.weight', but .* which are body.0.bias, head.bias"):
        CAVIA(network(), conditioned=["body.0.weight"])
    with pytest.raises(ValueError, match=r"condition nothing, but .* none \(it has no biases"):
        CAVIA(nn.Linear(2, 2, bias=False))
