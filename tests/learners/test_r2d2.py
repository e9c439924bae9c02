import pytest
import torch
from torch import Tensor, nn

from lifelong.compute.params import Params
from lifelong.compute.runner import TaskRunner
from lifelong.learners import R2D2
from tests.toys import fit, make_learner, random_episode, toy_data


def examples(n_features: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Unbalanced: classes of 4, 2 and 1 examples."""
    rng = torch.Generator().manual_seed(3)
    x = torch.randn(7, n_features, generator=rng).double()
    return x, torch.eye(3).double()[[0, 0, 1, 0, 2, 1, 0]], torch.randn(5, n_features, generator=rng).double()


@pytest.mark.parametrize("n_features", [4, 12])
def test_equals_the_normal_equations(n_features: int) -> None:
    x, y, query = examples(n_features)
    learner = R2D2(nn.Identity(), regulariser=0.3, scale=2.5).double()
    with torch.no_grad():
        learner.bias.fill_(0.7)
    params = learner.meta_parameters()
    design = torch.cat([x, torch.ones(7, 1).double()], 1)
    gram = design.T @ design + 0.3 * torch.eye(n_features + 1).double()
    weights = torch.linalg.solve(gram, design.T @ y)
    state = learner.adapt(params, x, y)
    torch.testing.assert_close(state, weights, rtol=1e-6, atol=1e-8)
    expected = 2.5 * (query @ weights[:-1] + weights[-1]) + 0.7
    torch.testing.assert_close(learner.predict(params, state, query), expected, rtol=1e-6, atol=1e-8)


def test_gradients_equal_finite_differences() -> None:
    torch.manual_seed(0)
    x, y, query = examples()
    learner = R2D2(nn.Linear(4, 3), regulariser=0.3).double()
    targets = torch.eye(3).double()[[0, 1, 2, 0, 1]]

    def loss(params: Params) -> Tensor:
        return learner.objective.loss(learner.predict(params, learner.adapt(params, x, y), query), targets)

    params = {name: p.detach() for name, p in learner.meta_parameters().items()}
    for name, gradient in torch.func.grad(loss)(params).items():
        for place in range(params[name].numel()):
            step = torch.zeros(params[name].numel()).double()
            step[place] = 1e-5
            up, down = ({**params, name: params[name] + sign * step.view_as(params[name])} for sign in (1, -1))
            expected = (loss(up) - loss(down)) / 2e-5
            torch.testing.assert_close(gradient.flatten()[place], expected, rtol=1e-5, atol=1e-8)
        if name != "bias":  # one number added to all logits does not move a softmax
            assert gradient.abs().max() > 1e-3


def test_the_regulariser_shrinks_and_is_learnt() -> None:
    x, y, _ = examples()
    norms = [R2D2(nn.Identity(), regulariser=r).double() for r in (0.01, 1.0, 100.0)]
    sizes = [learner.adapt(learner.meta_parameters(), x, y).norm().item() for learner in norms]
    assert sizes[0] > sizes[1] > sizes[2]
    assert R2D2(nn.Identity(), regulariser=0.3).log_regulariser.exp().item() == pytest.approx(0.3)


def test_regression_learns_under_vmap_and_in_the_loop() -> None:
    found = []
    for plan in ("vmap", "loop"):
        learner = make_learner("R2D2", "regression")
        assert learner.scale.item() == 1
        found.append(TaskRunner(plan=plan).outputs(learner, learner.meta_parameters(), random_episode("regression")))
    assert found[0].shape == (3, 6, 1)
    torch.testing.assert_close(*found)
    assert (fit(make_learner("R2D2", "regression"), toy_data(1, "regression")).matrix() < 0).all()


def test_half_precision_is_solved_in_single() -> None:
    x, y, query = (t.bfloat16() for t in examples())
    learner = R2D2(nn.Identity()).bfloat16()
    params = learner.meta_parameters()
    output = learner.predict(params, learner.adapt(params, x, y), query)
    assert output.dtype == torch.float32
    exact = R2D2(nn.Identity())
    params = exact.meta_parameters()
    expected = exact.predict(params, exact.adapt(params, x.float(), y.float()), query.float())
    torch.testing.assert_close(output, expected)


def test_a_regulariser_that_is_not_positive_is_refused() -> None:
    with pytest.raises(ValueError, match=r"--model.regulariser is 0.0"):
        R2D2(nn.Identity(), regulariser=0.0)
