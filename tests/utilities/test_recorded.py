"""Objects remember how they were made."""

from __future__ import annotations

import copy
import pickle

import torch
from torch import nn

from lifelong.utilities.recorded import Recorded, construction, init_arguments, recorded_as


class Scale(Recorded, nn.Module):
    def __init__(self, body: nn.Module, *, by: float = 1.0) -> None:
        super().__init__()
        self.body, self.by = body, by


class Half(Scale):
    def __init__(self, body: nn.Module) -> None:
        super().__init__(body, by=0.5)


def grown(network: nn.Module, by: float) -> nn.Module:
    return recorded_as(network, grown, network=network, by=by)


def test_arguments_are_those_of_the_class_that_was_called() -> None:
    body = nn.Linear(1, 1)
    assert init_arguments(Scale(body, by=3.0)) == {"body": body, "by": 3.0}
    assert init_arguments(Half(body)) == {"body": body}


def test_modules_among_the_arguments_are_registered_once() -> None:
    names = [name for name, _ in Scale(nn.Linear(1, 1)).named_modules()]
    assert names == ["", "body"]


def test_copies_remember_their_own_arguments() -> None:
    made = Scale(nn.Linear(1, 1), by=2.0)
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert init_arguments(other)["by"] == 2.0
        assert init_arguments(other)["body"] is other.body is not made.body
        assert torch.equal(other.body.weight, made.body.weight)


def test_a_function_that_returns_its_argument_is_recorded() -> None:
    made = Scale(nn.Linear(1, 1))
    assert grown(made, 2.0) is made
    record = construction(made)
    assert record is not None
    assert record.factory is grown
    assert record.arguments()["network"].factory is Scale


def test_what_does_not_record_itself_is_not_recorded_by_a_function() -> None:
    assert construction(grown(nn.Linear(1, 1), 2.0)) is None
