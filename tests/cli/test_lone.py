"""A class by itself is a list of one, wherever a list of classes is expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lifelong.cli.lone import with_lists, with_lists_inside
from lifelong.cli.parser import parse
from lifelong.utilities import plugins

plugins.load()


def kept(*args: str) -> dict[str, Any]:
    return parse("fit", args).kept_config()


def test_a_strategy_by_itself_takes_its_options() -> None:
    (ewc,) = kept("--strategies", "EWC", "--strategies.strength", "100")["strategies"]
    assert (ewc["class_path"], ewc["init_args"]["strength"]) == ("strategies.EWC", 100.0)
    assert kept("--strategies=EWC") == kept("--strategies=[EWC]")


def test_a_source_and_a_callback_by_themselves() -> None:
    config = kept("--data.sources", "Omniglot", "--data.unseen=Glyphs", "--trainer.callbacks", "EarlyStopping",
                  "--trainer.callbacks.monitor", "val/score")  # fmt: skip
    data = config["data"]["init_args"]
    assert [source["class_path"] for source in data["sources"]] == ["datamodules.Omniglot"]
    assert [source["class_path"] for source in data["unseen"]] == ["datamodules.Glyphs"]
    (callback,) = config["trainer"]["callbacks"]
    assert callback["init_args"]["monitor"] == "val/score"


@pytest.mark.parametrize("given", ["strategies.EWC", "{class_path: strategies.EWC}", "[strategies.EWC]"])
def test_a_config_may_name_one_by_itself(given: str, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "model: {class_path: ProtoNet, init_args: {network: Conv4}}\n"
        "data: {class_path: datamodules.EpisodicDataModule, init_args: {sources: datamodules.Glyphs}}\n"
        f"strategies: {given}\n"
        "trainer: {callbacks: {class_path: lightning.pytorch.callbacks.LearningRateMonitor}}\n"
    )
    config = kept("--config", str(tmp_path / "own.yaml"))
    assert [strategy["class_path"] for strategy in config["strategies"]] == ["strategies.EWC"]
    assert len(config["data"]["init_args"]["sources"]) == len(config["trainer"]["callbacks"]) == 1


def test_one_by_itself_replaces_the_list_of_the_config() -> None:
    assert [s["class_path"] for s in kept("--strategies", "EWC")["strategies"]] == ["strategies.EWC"]
    both = kept("--strategies+=EWC")["strategies"]
    assert [s["class_path"] for s in both] == ["strategies.Replay", "strategies.EWC"]


@pytest.mark.parametrize("value", ["[]", "null", "false", "[EWC]"])
def test_lists_and_nothing_stay_what_they_are(value: str) -> None:
    assert with_lists(["--strategies", value]) == ["--strategies", value]
    assert with_lists_inside({"strategies": value}) == {"strategies": value}
