"""The page of a class: its arguments, one line each, with their defaults, and names of what they are made of."""

from __future__ import annotations

import inspect

import pytest

import datamodules
import strategies
from lifelong import learners, networks
from lifelong.cli.class_help import class_page
from lifelong.cli.main import main
from lifelong.strategy import Strategy

STRATEGIES = [name for name in strategies.__all__ if issubclass(getattr(strategies, name), Strategy)]


def printed(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    main(args)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "module", "name"),
    [
        *(("model", learners, name) for name in learners.__all__),
        *(("model.network", networks, name) for name in networks.__all__),
        *(("strategies", strategies, name) for name in STRATEGIES),
        *(("data", datamodules, name) for name in ("EpisodicDataModule", "ExampleDataModule")),
        *(("data.sources", datamodules, name) for name in ("Glyphs", "Permuted", "HuggingFace", "Rooms")),
    ],
)  # fmt: skip
def test_each_argument_has_one_line(option: str, module: object, name: str) -> None:
    lines = class_page(option, name).splitlines()
    names = [n for n in inspect.signature(getattr(module, name)).parameters if (option, n) != ("data", "seed")]
    assert [line.split()[0] for line in lines if line.startswith("  --")] == [f"--{option}.{n}" for n in names]
    assert len(lines) <= 60


def test_maml_tells_defaults_and_our_networks(capsys: pytest.CaptureFixture[str]) -> None:
    page = printed(capsys, "fit", "--model.help", "MAML")
    assert page.splitlines()[0].startswith("lifelong.learners.MAML: Learn by MAML")
    (line,) = (line for line in page.splitlines() if "--model.n_inner_steps" in line)
    assert line.split("INT")[1].split() == ["inner", "gradient", "steps", "in", "training", "[5]"]
    assert "any torch.nn.Module by its path; of ours Backbone" in page
    assert "torch.nn.Linear" not in page
    assert len(page.splitlines()) < 30


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--strategies.help", "EWC"], "--strategies.strength"),
        (["--strategies.help=strategies.EWC"], "--strategies.strength"),
        (["--data.sources.help", "Glyphs"], "--data.sources.n_classes"),
        (["--sources.help", "Glyphs"], "--data.sources.n_classes"),
        (["--network.help", "MLP"], "--model.network.hidden"),
        (["--help", "EWC"], "--strategies.strength"),
        (["--optimizer.help", "SGD"], "--optimizer.momentum"),
        (["--callbacks.help", "EarlyStopping"], "--trainer.callbacks.patience"),
        (["--data.sources.help"], "Omniglot"),
        (["--model.network.help"], "any torch.nn.Module by its path"),
        (["--strategies.help"], "python -m lifelong list strategies"),
    ],
)
def test_a_class_is_found_by_shorter_forms(args: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert words in printed(capsys, "fit", *args)
    assert words in printed(capsys, "test", *args)


def test_the_whole_texts_are_cut_nowhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert "…" in printed(capsys, "fit", "--data.help", "EpisodicDataModule")
    whole = " ".join(printed(capsys, "fit", "--data.help", "EpisodicDataModule", "--help.all").split())
    assert "so that a head can be trained without a support set" in whole


@pytest.mark.parametrize(
    ("option", "name", "words"),
    [
        ("model", "Protonet", "did you mean ProtoNet?"),
        ("", "EWK", "did you mean EWC?"),
        ("model", "lifelong.learners.MALM", "did you mean lifelong.learners.MAML?"),
        ("model", "nowhere.Learner", "cannot be imported"),
    ],
)
def test_a_class_that_there_is_not_is_answered(option: str, name: str, words: str) -> None:
    with pytest.raises(ValueError, match="class") as error:
        class_page(option, name)
    assert words in str(error.value)
