import torch
from torch import Tensor

from strategies.adapters.entry import Entry, add_entry, differences, empty_entry
from strategies.adapters.merging import averaged, fused
from tests.toys import make_learner

RNG = torch.Generator().manual_seed(0)


def random_entry(template: Entry) -> Entry:
    return {key: torch.randn(value.shape, generator=RNG) for key, value in template.items()}


def test_differences_are_what_an_entry_adds() -> None:
    for kind in ("vector", "image"):
        learner = make_learner("ProtoNet", kind)
        params = learner.meta_parameters()
        entry = random_entry(empty_entry(learner.network, rank=1))
        added, changed = differences(params, entry), add_entry(params, entry)
        assert added.keys() == {name for name in params if changed[name] is not params[name]}
        for name, difference in added.items():
            torch.testing.assert_close(params[name] + difference, changed[name])


def test_the_average_is_that_of_weights_and_not_of_factors() -> None:
    params = {"network.weight": torch.zeros(2, 2)}
    one = {"weight-up": torch.tensor([[1.0], [0.0]]), "weight-down": torch.tensor([[2.0, 0.0]])}
    two = {"weight-up": torch.tensor([[0.0], [1.0]]), "weight-down": torch.tensor([[0.0, 4.0]])}
    assert averaged(params, [one, two])["network.weight"].tolist() == [[1.0, 0.0], [0.0, 2.0]]


def test_fusing_equals_a_loop_over_numbers() -> None:
    params = {"network.bias": torch.zeros(50)}
    values = torch.randn(4, 50, generator=RNG)
    expected = []
    for column in values.T.tolist():
        positive = sum(column) > 0
        expected.append(max(v for v in column if v > 0) if positive else min(v for v in column if v < 0))
    merged = fused(params, [{"bias-full": value} for value in values])["network.bias"]
    assert merged.tolist() == torch.tensor(expected).tolist()


def test_merging_one_entry_is_that_entry() -> None:
    learner = make_learner("ProtoNet")
    params, entry = learner.meta_parameters(), random_entry(empty_entry(learner.network, rank=1))
    expected: dict[str, Tensor] = differences(params, entry)
    for merge in (averaged, fused):
        torch.testing.assert_close(merge(params, [entry]), expected)
