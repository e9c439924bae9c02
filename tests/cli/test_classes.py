"""Every class that is known by its bare name can be imported by the path that it is known for."""

from __future__ import annotations

import importlib

import pytest

from lifelong.cli.classes import INSIDE, KINDS, MODULES, known_classes


@pytest.mark.parametrize("option", [*KINDS, *(name for name in MODULES if name != "robot")])
def test_paths_of_known_classes_lead_to_them(option: str) -> None:
    known = known_classes(option)
    assert known
    for name, path in known.items():
        module, _, last = path.rpartition(".")
        assert last == name
        if option not in ("sources", "unseen", "source"):  # of which some need an extra
            assert hasattr(importlib.import_module(module), name), path


def test_options_inside_of_others_are_known() -> None:
    assert set(INSIDE) <= {*KINDS, *MODULES}
