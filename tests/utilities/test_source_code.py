"""What source code says is what the imported class says."""

from __future__ import annotations

import inspect

import pytest

import datamodules
import strategies
from lifelong import learners, networks
from lifelong.utilities.source_code import arguments, find_definition


@pytest.mark.parametrize("package", [learners, networks, strategies, datamodules], ids=lambda p: str(p.__name__))
def test_arguments_are_those_of_the_signature(package: object) -> None:
    for name in package.__all__:  # type: ignore[attr-defined]
        made = getattr(package, name)
        if inspect.isclass(made) and made.__module__.split(".")[0] == package.__name__.split(".")[0]:  # type: ignore[attr-defined]
            found = arguments(f"{package.__name__}.{name}")  # type: ignore[attr-defined]
            assert found == list(inspect.signature(made).parameters), name


@pytest.mark.parametrize("path", ["lifelong.learners.Nothing", "nowhere.Nothing", "MAML", "itertools.chain"])
def test_what_has_no_source_is_not_found(path: str) -> None:
    assert find_definition(path) is None
    assert arguments(path) == []
