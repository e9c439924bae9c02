"""Plug-ins of other packages."""

from __future__ import annotations

import importlib.metadata
from importlib.metadata import EntryPoint

import pytest

from lifelong.utilities import plugins


def test_a_plug_in_that_cannot_be_imported_is_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    good = EntryPoint("Good", "strategies:Replay", plugins.GROUPS[1])
    loaded = []
    monkeypatch.setattr(
        EntryPoint, "load", lambda self: loaded.append(self.name) if self.name == "Good" else {}[self.name]
    )
    broken = EntryPoint("Broken", "datamodules:Broken", plugins.GROUPS[1])
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: [broken, good] if group == plugins.GROUPS[1] else []
    )
    plugins.load()
    assert loaded == ["Good"]
    assert "the plug-in Broken (datamodules:Broken) of the package ? cannot be imported" in caplog.text
