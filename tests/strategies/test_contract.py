import io
from collections.abc import Callable

import pytest
import torch

from lifelong.strategy import Chain, Position, Step, Strategy
from strategies import EWC, AdapterBank, Replay
from tests.toys import AtEnd, fit, make_learner, random_episode, same, toy_data, weights

MAKERS: list[Callable[[], Strategy]] = [
    lambda: Replay(budget_examples=60),
    lambda: EWC(strength=10.0, n_fisher_tasks=6),
    lambda: AdapterBank(n_signature_tasks=6, rank=1),
]
every = pytest.mark.parametrize("make", MAKERS, ids=["Replay", "EWC", "AdapterBank"])


def learnt(strategies: list[Strategy], n: int = 1, name: str = "MAML") -> dict[str, torch.Tensor]:
    learner = make_learner(name)
    fit(learner, toy_data(n), strategies)
    return weights(learner)


@pytest.mark.parametrize("name", ["MAML", "ProtoNet"])
@every
def test_first_experience_is_plain_fine_tuning(make: Callable[[], Strategy], name: str) -> None:
    assert same(learnt([make()], name=name), learnt([], name=name))


@every
def test_later_experiences_are_not(make: Callable[[], Strategy]) -> None:
    assert not same(learnt([make()], 2), learnt([], 2))


@pytest.mark.parametrize(
    "make", [lambda: EWC(strength=0), lambda: Replay(budget_examples=0), lambda: AtEnd(lambda: None)]
)
def test_a_strategy_turned_off_is_plain_fine_tuning(make: Callable[[], Strategy]) -> None:
    assert same(learnt([make()], 3), learnt([], 3))


def test_the_empty_chain_is_neutral() -> None:
    chain, batch = Chain(), random_episode()
    gradients, params = {"a": torch.ones(1)}, {"a": torch.zeros(1)}
    learner = make_learner()
    assert chain.rehearse(batch, Position(0)) is batch
    assert chain.project(gradients) is gradients
    assert chain.route(learner, params, batch.support_x[0], batch.support_y[0]) is params
    assert chain.penalty(Step(batch, params, None, torch.zeros(3), Position(0))) is None
    assert chain.diagnose(learner, params, batch, 0) == {}
    assert (chain.memory_bytes(), chain.names) == (0, [])


@every
def test_checkpoint_keeps_behaviour_and_memory(make: Callable[[], Strategy]) -> None:
    learner = make_learner()
    fit(learner, toy_data(2), [make()])
    file = io.BytesIO()
    torch.save(learner.state_dict(), file)
    file.seek(0)
    other = make_learner()
    other.use([make()])
    other.load_state_dict(torch.load(file, weights_only=True))
    assert other.strategies.memory_bytes() == learner.strategies.memory_bytes() > 0
    batch, position = random_episode(n_tasks=4), Position(2, step=3, seed=1, n_tasks=4)
    results = []
    for one in (learner, other):
        params = {n: p + 0.1 for n, p in one.meta_parameters().items()}
        rehearsed = one.strategies.rehearse(batch, position)
        step = Step(batch, params, None, torch.zeros(4), position)
        penalty = one.strategies.penalty(step)
        one.eval()
        with torch.no_grad():
            losses = one.losses(one.meta_parameters(), rehearsed)
        results.append((rehearsed.tasks(), rehearsed.weight, penalty, losses))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)


def test_order_of_compatible_strategies_does_not_matter() -> None:
    replay, ewc = MAKERS[:2]
    one, two = learnt([replay(), ewc()], 3), learnt([ewc(), replay()], 3)
    torch.testing.assert_close(one, two)
    for alone in (replay, ewc):
        assert not same(one, learnt([alone()], 3))


@pytest.mark.parametrize(("a", "b"), [(0, 2), (1, 2), (2, 0), (2, 1)])
def test_incompatible_strategies_are_named(a: int, b: int) -> None:
    pair = [MAKERS[a](), MAKERS[b]()]
    with pytest.raises(ValueError, match="cannot be combined") as raised:
        Chain(pair)
    assert all(type(s).__name__ in str(raised.value) for s in pair)


@every
def test_the_same_strategy_twice_is_refused(make: Callable[[], Strategy]) -> None:
    with pytest.raises(ValueError, match=f"{type(make()).__name__} stands twice"):
        Chain([make(), make()])
