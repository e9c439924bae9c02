"""A bar over what takes a while, where a person watches."""

from __future__ import annotations

import io
import sys

import pytest

from lifelong.utilities import progress_bar
from lifelong.utilities.progress_bar import show_progress
from lifelong.utilities.quiet import quietly


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()], ids=["watched", "unwatched"])
def test_a_bar_is_shown_to_a_terminal_alone(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_bar, "SECONDS", 0)
    monkeypatch.setattr(sys, "stderr", stream)
    assert list(show_progress([3, 1, 2], "counting")) == [3, 1, 2]
    assert ("counting" in stream.getvalue()) == stream.isatty()


def test_other_processes_and_windowless_ones_are_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(progress_bar, "SECONDS", 0)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr("lightning.pytorch.utilities.rank_zero_only.rank", 1)
    assert list(show_progress([1], "counting")) == [1]
    assert terminal.getvalue() == ""
    monkeypatch.setattr(sys, "stderr", None)  # as under pythonw on Windows
    assert list(show_progress([1], "counting")) == [1]


def test_a_quiet_run_shows_no_bar_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(progress_bar, "SECONDS", 0)
    monkeypatch.setattr(sys, "stderr", terminal)
    with quietly():
        assert list(show_progress([1], "counting")) == [1]
    assert terminal.getvalue() == ""
