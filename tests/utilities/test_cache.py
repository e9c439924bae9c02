"""The folder of caches."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifelong.utilities.cache import cache_folder


def test_the_variable_names_the_folder_else_it_is_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELONG_CACHE", "~/elsewhere")
    assert cache_folder() == Path.home() / "elsewhere"
    for unset in ("", None):
        monkeypatch.delenv("LIFELONG_CACHE") if unset is None else monkeypatch.setenv("LIFELONG_CACHE", unset)
        assert cache_folder() == Path.home() / ".cache" / "lifelong"
