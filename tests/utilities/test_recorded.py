"""Objects remember how they were made."""

from __future__ import annotations

import copy
import inspect
import pickle

import torch
from torch import nn

from lifelong.utilities.recorded import Recorded, init_arguments, is_recorded, made_by, record_as


class Scale(Recorded, nn.Module):
    def __init__(self, body: nn.Module, *, by: float = 1.0) -> None:
        super().__init__()
        self.body, self.by = body, by


class Half(Scale):
    def __init__(self, body: nn.Module) -> None:
        super().__init__(body, by=0.5)


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


def test_what_a_function_made_is_recorded_as_its_call() -> None:
    made = nn.Linear(1, 1)
    assert not is_recorded(made)
    record_as(made, nn.Identity, {"scale": 2.0})
    assert is_recorded(made)
    assert made_by(made) is nn.Identity
    assert init_arguments(made) == {"scale": 2.0}


def test_signature_is_that_of_an_inherited_init() -> None:
    class Base(Recorded):
        def __init__(self, x: float, y: float = 0.0) -> None:
            self.x, self.y = x, y

        def __call__(self, z: int) -> int:
            return z

    class Heir(Base):
        pass

    class Other(Base):
        def __init__(self, w: int) -> None:
            super().__init__(w)

    assert [list(inspect.signature(kind).parameters) for kind in (Base, Heir, Other)] == [["x", "y"], ["x", "y"], ["w"]]
    assert init_arguments(Heir(1.0)) == {"x": 1.0, "y": 0.0}
    assert list(inspect.signature(Heir(1.0)).parameters) == ["z"]
