"""Runs of sweeps that are no trainings."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lifelong.sweep import training
from tests.sweep import fake_fit


@pytest.fixture
def starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let every run be a fake one that notes its start in this file; in an empty folder with a config ``a.yaml``."""
    path = tmp_path / "starts.txt"
    path.touch()
    monkeypatch.setenv("FAKE_STARTS", str(path))
    monkeypatch.setattr(training, "PROGRAM", (sys.executable, fake_fit.__file__))
    monkeypatch.setattr("lifelong.cli.sweep.check_fit_options", fake_fit.check)
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text("x: 1")
    return path
