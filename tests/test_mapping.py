import pytest
import torch

from lifelong.mapping import choose_mapping, over_tasks
from lifelong.networks import MLP, Conv4


@pytest.mark.parametrize(("mapping", "chunk"), [("loop", None), ("vmap", None), ("vmap", 2)])
def test_results_are_stacked_in_any_nesting(mapping: str, chunk: int | None) -> None:
    a, b = torch.randn(5, 3), torch.randn(5, 3)
    found = over_tasks(lambda x, y: {"dot": x @ y, "pair": (x + y, x.max())}, a, b, mapping=mapping, chunk=chunk)
    torch.testing.assert_close(found["dot"], (a * b).sum(1))
    torch.testing.assert_close(found["pair"][0], a + b)
    assert torch.equal(found["pair"][1], a.max(1).values)


def test_vmap_draws_differ_between_tasks() -> None:
    noise = over_tasks(lambda x: x + torch.randn(()), torch.zeros(4), mapping="vmap")
    assert len(set(noise.tolist())) == 4


def test_automatic_choice() -> None:
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    assert choose_mapping(MLP(), cpu) == "vmap"
    assert choose_mapping(Conv4(n_filters=8), cpu) == "loop"
    assert choose_mapping(Conv4(n_filters=8), cuda) == "vmap"
