"""A class that takes the place of another starts from its own defaults, however it is given."""

from __future__ import annotations

import inspect
import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml

import datamodules
import strategies
from lifelong import learners, networks
from lifelong.cli.parser import parse
from lifelong.strategy import Strategy
from lifelong.utilities import plugins

plugins.load()

NETWORK = {"class_path": "lifelong.networks.MLP", "init_args": {"n_inputs": 4, "hidden": [8], "n_outputs": 3}}
SOURCE = {"class_path": "datamodules.Sinusoids", "init_args": {"frequencies": [1.0]}}
VALUES: dict[str, Any] = {
    "network": NETWORK, "sources": [SOURCE], "source": SOURCE, "n_inputs": 4, "n_outputs": 3, "hidden": [8],
    "algorithm": "maml", "root": "photos", "path": "a.csv", "name": "a", "body": {"class_path": "torch.nn.Flatten"},
    "n_features": 4, "n_context": 2, "n_domains": 2, "model": "a", "encoding": "lifelong.text.HashedWords",
    "robot": "datamodules.robots.Car", "folder": "a", "files": ["a.csv"], "taskset": "omniglot", "folder_or_name": "a",
}  # fmt: skip
"""What arguments that have no default are given."""
LEARNERS = [getattr(learners, name) for name in learners.__all__]
STRATEGIES = [kind for name in strategies.__all__ if issubclass(kind := getattr(strategies, name), Strategy)]
NETWORKS = [networks.Conv4, networks.MLP, networks.ResNet12]


def node(kind: type, **more: Any) -> dict[str, Any]:
    """A class with the arguments that it requires, as a config has it."""
    required = [p.name for p in inspect.signature(kind).parameters.values() if p.default is inspect.Parameter.empty]
    return {"class_path": path_of(kind), "init_args": {name: VALUES[name] for name in required} | more}


def path_of(kind: type) -> str:
    for package in ("lifelong.learners", "lifelong.networks", "strategies", "datamodules"):
        module = {"lifelong.learners": learners, "lifelong.networks": networks}.get(package)
        module = module or {"strategies": strategies, "datamodules": datamodules}[package]
        if getattr(module, kind.__name__, None) is kind:
            return f"{package}.{kind.__name__}"
    raise AssertionError(kind)


def changed(kind: type) -> dict[str, Any]:
    """Arguments of a class with values that are not its defaults, where that is easy to say."""
    values: dict[str, Any] = {}
    for p in inspect.signature(kind).parameters.values():
        if isinstance(p.default, bool):
            values[p.name] = not p.default
        elif isinstance(p.default, int):
            values[p.name] = p.default + 1
        elif isinstance(p.default, float):
            values[p.name] = p.default + 0.25
    return values


def base(**parts: Any) -> dict[str, Any]:
    data = {"class_path": "datamodules.EpisodicDataModule", "init_args": {"sources": [SOURCE]}}
    return {"model": node(learners.ProtoNet), "data": data, "strategies": []} | parts


def config_of(folder: Path, *configs: dict[str, Any], options: tuple[str, ...] = ()) -> dict[str, Any]:
    """What files, in this order, and options come to."""
    args: list[str] = []
    for number, content in enumerate(configs):
        file = folder / f"{number}.yaml"
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
        args += ["--config", str(file)]
    return parse("fit", [*args, *options]).kept_config()


def ring(kinds: list[type]) -> list[tuple[type, type]]:
    """Each class and the one after it."""
    return list(zip(kinds, [*kinds[1:], kinds[0]], strict=True))


def assert_learner_swaps(old: type, new: type, folder: Path) -> None:
    expected = config_of(folder, base(model=node(new)))
    before = base(model=node(old, **changed(old)))
    required = {n: v for n, v in node(new)["init_args"].items() if n not in before["model"]["init_args"]}
    options = tuple(f"--model.{name}={value}" for name, value in required.items())
    by_flag = config_of(folder, before, options=(f"--model={path_of(new)}", *options))
    assert by_flag["model"] == expected["model"], "by flag"
    by_name = config_of(folder, before, options=(f"--model={new.__name__}", *options))
    assert by_name["model"] == expected["model"], "by bare name"
    later = {"model": {"class_path": path_of(new), "init_args": required}}
    assert config_of(folder, before, later)["model"] == expected["model"], "by a later config"


@pytest.mark.parametrize(("old", "new"), ring(LEARNERS), ids=lambda kind: kind.__name__)
def test_learner_starts_from_its_own_defaults(old: type, new: type, tmp_path: Path) -> None:
    assert_learner_swaps(old, new, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("old", "new"), list(itertools.permutations(LEARNERS, 2)), ids=lambda kind: kind.__name__)
def test_every_learner_for_every_other(old: type, new: type, tmp_path: Path) -> None:
    assert_learner_swaps(old, new, tmp_path)


def with_arguments(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The strategies of a config; one that takes no arguments may leave out that it has none."""
    return [{"init_args": {}} | strategy for strategy in config["strategies"]]


@pytest.mark.parametrize(("old", "new"), ring(STRATEGIES), ids=lambda kind: kind.__name__)
def test_strategies_replace_those_before(old: type, new: type, tmp_path: Path) -> None:
    expected = with_arguments(config_of(tmp_path, base(strategies=[node(new)])))
    before = base(strategies=[node(old, **changed(old))])
    for option in (f"--strategies=[{path_of(new)}]", f"--strategies=[{new.__name__}]"):
        assert with_arguments(config_of(tmp_path, before, options=(option,))) == expected, option
    assert with_arguments(config_of(tmp_path, before, {"strategies": [path_of(new)]})) == expected
    again = base(strategies=[node(new, **changed(new))])
    by_flag = config_of(tmp_path, again, options=(f"--strategies=[{path_of(new)}]",))
    assert with_arguments(by_flag) == expected, "a list that is given anew is not paired with the old one"


def test_an_appended_strategy_leaves_the_others(tmp_path: Path) -> None:
    before = base(strategies=[node(strategies.EWC, strength=7.0)])
    found = config_of(tmp_path, before, options=("--strategies+=Replay", "--strategies.n_replay=3"))["strategies"]
    assert [s["class_path"] for s in found] == ["strategies.EWC", "strategies.Replay"]
    assert found[0]["init_args"]["strength"] == 7.0
    assert found[1]["init_args"]["n_replay"] == 3


@pytest.mark.parametrize(("old", "new"), list(itertools.permutations(NETWORKS, 2)), ids=lambda kind: kind.__name__)
def test_network_takes_along_what_it_requires(old: type, new: type, tmp_path: Path) -> None:
    required = node(new)["init_args"]
    given = node(old)
    given["init_args"] |= changed(old) | {"n_outputs": 3}
    before = base(model=node(learners.MAML))
    before["model"]["init_args"]["network"] = given
    shared = {n: v for n, v in required.items() if n in before["model"]["init_args"]["network"]["init_args"]}
    missing = {n: v for n, v in required.items() if n not in shared}
    options = (f"--model.network={new.__name__}", *(f"--model.network.{n}={v}" for n, v in missing.items()))
    found = config_of(tmp_path, before, options=options)["model"]["init_args"]["network"]
    wanted = node(new)
    wanted["init_args"] |= shared
    alone = base(model=node(learners.MAML))
    alone["model"]["init_args"]["network"] = wanted
    expected = config_of(tmp_path, alone)
    assert found == expected["model"]["init_args"]["network"]


def test_data_module_takes_its_sources_along_and_no_settings(tmp_path: Path) -> None:
    before = base()
    before["data"]["init_args"] |= {"steps_per_experience": 7, "split": [3, 3], "evaluate_every": 2}
    found = config_of(tmp_path, before, options=("--data=ExampleDataModule",))["data"]
    expected = config_of(tmp_path, base(data=node(datamodules.ExampleDataModule)))["data"]
    assert found == expected
    assert found["init_args"]["steps_per_experience"] is None


def test_sources_are_not_paired_by_their_places(tmp_path: Path) -> None:
    before = base()
    before["data"]["init_args"]["sources"] = [{"class_path": "datamodules.Glyphs", "init_args": {"n_classes": 7}}]
    for option in ("--data.sources=[Glyphs]", "--data.sources=[{class_path: datamodules.Glyphs}]"):
        (source,) = config_of(tmp_path, before, options=(option,))["data"]["init_args"]["sources"]
        assert source["init_args"]["n_classes"] == 60, option


def test_what_the_command_line_gives_always_counts(tmp_path: Path) -> None:
    before = base(model=node(learners.MAML, inner_rate=0.7, n_inner_steps=9))
    found = config_of(tmp_path, before, options=("--model=Reptile", "--model.inner_rate=0.3"))["model"]["init_args"]
    assert (found["inner_rate"], found["n_inner_steps"]) == (0.3, 5)
    same = config_of(tmp_path, before, options=("--model=MAML",))["model"]["init_args"]
    assert (same["inner_rate"], same["n_inner_steps"]) == (0.7, 9), "the same class keeps its settings"
