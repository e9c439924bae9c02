from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import pytest

REAL_DATA = Path(os.environ.get("LIFELONG_DATA") or Path(__file__).parents[3] / "shared" / "data")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read from or written to folders of the person who runs the tests."""
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LIFELONG_DATA", raising=False)


@pytest.fixture
def real_data() -> Path:
    """The folder of real data sets, read before a test's own environment replaces it."""
    return REAL_DATA


@pytest.fixture
def hugging_face_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the library datasets caches in the test's own folder, and away from the network."""
    if importlib.util.find_spec("datasets") is not None:
        import datasets

        monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hub")
        monkeypatch.setattr(datasets.config, "HF_DATASETS_OFFLINE", True)
        datasets.disable_progress_bars()
