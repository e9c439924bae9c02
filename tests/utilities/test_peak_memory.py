"""Peak memory, also where the operating system does not tell it."""

import doctest
import importlib
import sys

import pytest

from lifelong.utilities import peak_memory as module


def test_peak_memory_of_a_process_is_in_bytes() -> None:
    assert 10e6 < module.peak_memory()["process_bytes"] < 1e12


def test_without_the_module_resource_there_is_no_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    try:
        assert "process_bytes" not in importlib.reload(module).peak_memory()
    finally:
        monkeypatch.undo()
        importlib.reload(module)
    assert "process_bytes" in module.peak_memory()


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(module).failed == 0
