import importlib.util
import inspect

import pytest
import torch
from torch import Tensor, nn

from lifelong.compute.params import Params
from lifelong.learners import MetaOptNet
from tests.learners import test_contract as laws
from tests.toys import LEARNERS

INSTALLED = importlib.util.find_spec("cvxpylayers") is not None
needs_solver = pytest.mark.skipif(not INSTALLED, reason="cvxpylayers is not installed: pip install -e '.[convex]'")

# cvxpylayers 1.2.0 converts tensors in a way that numpy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")


def examples() -> tuple[Tensor, Tensor, Tensor]:
    """Unbalanced: classes of 4, 2 and 1 examples."""
    rng = torch.Generator().manual_seed(3)
    x = torch.randn(7, 4, generator=rng).double()
    return x, torch.eye(3).double()[[0, 0, 1, 0, 2, 1, 0]], torch.randn(5, 4, generator=rng).double()


@pytest.mark.skipif(INSTALLED, reason="cvxpylayers is installed")
def test_without_the_solver_the_extra_is_named() -> None:
    with pytest.raises(ValueError, match=r"cvxpylayers, which is not installed: pip install .*\[convex\]"):
        MetaOptNet(nn.Identity())


@needs_solver
def test_two_examples_by_hand() -> None:
    # Two orthonormal examples of two classes: a = t [[1, -1], [-1, 1]] with objective 2 (1 + e) t^2 - 2 t.
    for penalty, t in ((10.0, 0.25), (0.1, 0.1)):
        learner = MetaOptNet(nn.Identity(), penalty=penalty, regulariser=1.0, scale=3.0).double()
        params, x = learner.meta_parameters(), torch.eye(2).double()
        output = learner.predict(params, learner.adapt(params, x, x), x)
        torch.testing.assert_close(
            output, 3 * t * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).double(), rtol=1e-5, atol=1e-6
        )


@needs_solver
def test_the_margins_are_optimal_on_unbalanced_support() -> None:
    """The primal that belongs to the dual: ``½‖w‖² + ½ε‖a‖² + C Σ max_n (1 − y_sn + w_n·x_s − w_y·x_s)`` by descent."""
    x, y, _ = examples()
    learner = MetaOptNet(nn.Identity(), penalty=0.2, regulariser=0.5).double()
    # With a regulariser the examples have coordinates of their own, of length √ε.
    design = torch.cat([x, 0.5**0.5 * torch.eye(7).double()], 1)

    def primal(w: Tensor) -> Tensor:
        scores = design @ w
        slack = (1 - y + scores - (scores * y).sum(1, keepdim=True)).max(1).values
        return 0.5 * w.square().sum() + 0.2 * slack.sum()

    weights = learner.adapt(learner.meta_parameters(), x, y).detach()
    w = torch.zeros(11, 3).double().requires_grad_()
    for step in range(3000):
        (gradient,) = torch.autograd.grad(primal(w), w)
        with torch.no_grad():
            w -= gradient * 2 / (step + 2)
    torch.testing.assert_close(weights, w.detach()[:4], rtol=0, atol=5e-3)


@needs_solver
def test_gradients_equal_finite_differences() -> None:
    torch.manual_seed(0)
    x, y, query = examples()
    learner = MetaOptNet(nn.Linear(4, 3), penalty=0.2).double()
    targets = torch.eye(3).double()[[0, 1, 2, 0, 1]]

    def loss(params: Params) -> Tensor:
        return learner.objective.loss(learner.predict(params, learner.adapt(params, x, y), query), targets)

    params = {name: p.detach() for name, p in learner.meta_parameters().items()}
    for name, gradient in torch.func.grad(loss)(params).items():
        assert gradient.abs().max() > 1e-3
        for place in range(params[name].numel()):
            step = torch.zeros(params[name].numel()).double()
            step[place] = 1e-3
            up, down = ({**params, name: params[name] + sign * step.view_as(params[name])} for sign in (1, -1))
            expected = (loss(up) - loss(down)) / 2e-3
            torch.testing.assert_close(gradient.flatten()[place], expected, rtol=1e-3, atol=1e-4)


@needs_solver
def test_a_second_derivative_is_refused() -> None:
    x, y, _ = examples()
    learner = MetaOptNet(nn.Identity()).double()
    state = learner.adapt(learner.meta_parameters(), x.requires_grad_(), y)
    (gradient,) = torch.autograd.grad(state.square().sum(), x, create_graph=True)
    with pytest.raises(ValueError, match="differentiated once only"):
        torch.autograd.grad(gradient.sum(), x)


@needs_solver
@pytest.mark.parametrize("name", ["penalty", "regulariser"])
def test_a_program_without_one_solution_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} 0.0"):
        MetaOptNet(nn.Identity(), **{name: 0.0})


@needs_solver
@pytest.mark.parametrize(
    ("law", "settings"),
    [
        (laws.test_vmap_equals_the_loop, {"kind": "vector", "norm": "none"}),
        (laws.test_evaluation_in_inference_mode_leaves_no_trace, {"plan": "vmap"}),
        (laws.test_evaluation_in_inference_mode_leaves_no_trace, {"plan": "loop"}),
        (laws.test_scores_are_the_share_of_right_queries, {}),
        (laws.test_predictions_do_not_depend_on_the_names_of_the_labels, {}),
        (laws.test_inductive_predictions_do_not_depend_on_other_queries, {}),
        *((laws.test_works_with_every_strategy, {"strategy": s}) for s in ("Replay", "EWC", "AdapterBank")),
        (laws.test_trains_in_other_precisions, {"precision": "bf16-mixed"}),
        (laws.test_trains_in_other_precisions, {"precision": "64-true"}),
        (laws.test_training_learns_and_fills_the_matrix, {}),
    ],
    ids=lambda value: value.__name__ if inspect.isfunction(value) else "-".join(map(str, value.values())),
)
def test_obeys_the_laws_of_the_contract(law, settings, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setitem(LEARNERS, "MetaOptNet", {})
    law("MetaOptNet", **settings)
