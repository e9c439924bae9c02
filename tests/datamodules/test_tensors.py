from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules import Tensors
from datamodules.episodic import EpisodicDataModule
from datamodules.examples import ExampleDataModule
from tests.command_line import QUIET, run_here
from tests.toys import fit, make_classifier, make_learner

SHOPS = ["south"] * 48 + ["north"] * 48


def columns(**changes: Any) -> dict[str, Any]:
    """Two domains of four classes of twelve examples; the inputs of a class lie around a centre of its own."""
    rng = np.random.default_rng(0)
    y = np.tile(np.arange(4), 24)
    x = rng.normal(size=(4, 4))[y] + 0.3 * rng.normal(size=(96, 4))
    return {"x": torch.from_numpy(x).float(), "y": torch.from_numpy(y), "domain": SHOPS} | changes


def saved(folder: Path, suffix: str, **changes: Any) -> str:
    path, found = folder / f"shops{suffix}", columns(**changes)
    if suffix == ".pt":
        torch.save(found, path)
    else:
        np.savez(path, **{key: np.asarray(value) for key, value in found.items()})
    return str(path)


def test_one_domain_is_the_tensor_itself() -> None:
    x = torch.rand(6, 2)
    (domain,) = Tensors(x=x, y=[0, 1, 2, 0, 1, 2]).domains()
    assert domain.x.data_ptr() == x.data_ptr()
    assert (domain.name, domain.class_names, domain.holdout) == ("tensors", ["0", "1", "2"], "examples")
    assert domain.y.tolist() == [0, 1, 2, 0, 1, 2]
    assert domain.in_test is None


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (["b", "a", "b", "a"], ["b", "a"]),
        ([7, -1, 7, -1], ["t -1", "t 7"]),
        (torch.tensor([1, 0, 1, 0]), ["t 0", "t 1"]),
    ],
)
def test_domains_have_the_classes_that_occur_in_them(value: Any, names: list[str]) -> None:
    x, flags = torch.arange(4.0), np.array([False, True, True, False])
    source = Tensors(x=x, y=[2, 0, 2, 1], domain=value, in_test=flags, class_names=["cat", "emu", "owl"], name="t")
    domains = {d.name: d for d in source.domains()}
    assert list(domains) == names
    owls, others = sorted(domains.values(), key=lambda d: len(d.class_names))
    assert (owls.x.tolist(), owls.y.tolist(), owls.class_names) == ([0.0, 2.0], [0, 0], ["owl"])
    assert (others.x.tolist(), others.y.tolist(), others.class_names) == ([1.0, 3.0], [0, 1], ["cat", "emu"])
    assert owls.in_test is not None
    assert owls.in_test.tolist() == [False, True]


@pytest.mark.parametrize(
    ("dtype", "kept"), [("uint8", "uint8"), ("float32", "float32"), ("float64", "float64"), ("int32", "int64")]
)
def test_tokens_become_long_and_all_else_stays(dtype: str, kept: str) -> None:
    (domain,) = Tensors(x=np.ones((2, 3), dtype), y=np.array([0, 1], np.uint8)).domains()
    assert domain.x.dtype == getattr(torch, kept)
    assert domain.y.dtype == np.int64


@pytest.mark.parametrize("suffix", [".pt", ".npz"])
def test_arguments_take_precedence_over_the_file(suffix: str, tmp_path: Path) -> None:
    path = saved(tmp_path, suffix, class_names=["a", "b", "c", "d"])
    for ours, theirs in zip(Tensors(path=path).domains(), Tensors(**columns()).domains(), strict=True):
        assert ours.name == theirs.name
        assert torch.equal(ours.x, theirs.x)
        assert np.array_equal(ours.y, theirs.y)
        assert ours.class_names == ["a", "b", "c", "d"]
    (one,) = Tensors(path=saved(tmp_path, suffix, domain=torch.zeros(96).long()), class_names=list("efgh")).domains()
    assert (one.name, one.class_names) == ("shops 0", list("efgh"))


@pytest.mark.parametrize("suffix", [".pt", ".npz"])
def test_labelled_examples_of_every_scenario_are_learnt(suffix: str, tmp_path: Path) -> None:
    source = Tensors(path=saved(tmp_path, suffix))
    for scenario in ("class", "domain", "task"):
        data = ExampleDataModule(
            [source],
            scenario=scenario,
            batch_size=8,
            steps_per_experience=40,
            split=(0.25, 0.25),  # type: ignore[arg-type]
        )
        evaluator = fit(make_classifier(8), data)
        assert data.stream.domains == ("south", "north")
        assert evaluator.matrix()[1, 1].mean() > 0.7


def test_the_given_test_part_is_kept_for_test() -> None:
    in_test = np.arange(96) % 24 >= 20
    data = ExampleDataModule([Tensors(**columns(), in_test=in_test)], batch_size=8, split=(0.25, 0.25))
    assert [len(pool) for pool in data.stream.test] == [8, 8]
    x = columns()["x"]
    for pool, rows in zip(data.stream.test, (slice(0, 48), slice(48, 96)), strict=True):
        assert torch.equal(pool.x[np.sort(np.concatenate(pool.members))], x[rows][in_test[rows]])


@pytest.mark.parametrize("holdout", ["examples", "classes"])
def test_few_shot_tasks_are_drawn(holdout: Any) -> None:
    data = EpisodicDataModule(
        [Tensors(**columns(), holdout=holdout)],
        n_way=2, n_shot=2, n_query=2, tasks_per_batch=4, steps_per_experience=4, n_eval_tasks=4,
        split=(0.34, 0.34) if holdout == "examples" else (2, 0), evaluate_on="val",
    )  # fmt: skip

    if holdout == "classes":
        with pytest.raises(ValueError, match=r"^the test part of south is empty, .*`validate` --data.evaluate_on val"):
            data.test_dataloader()
    evaluator = fit(make_learner("ProtoNet"), data)
    assert evaluator.matrix().shape == (2, 2, 4)
    assert evaluator.matrix().mean() > 0.7


@pytest.mark.filterwarnings("ignore")
def test_the_command_line_reads_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    monkeypatch.setattr("sys.argv", ["lifelong"])
    saved(tmp_path, ".npz")
    options = ["--model=Classifier", "--model.network=MLP", "--model.network.n_inputs=4", "--model.network.n_outputs=8"]
    options += ["--data=ExampleDataModule", "--data.steps_per_experience=2", "--data.batch_size=8"]
    options += ["--data.sources=[{class_path: Tensors, init_args: {path: shops.npz}}]", *QUIET, "--strategies=[]"]
    run_here("fit", *options, "--run.name=r")
    assert json.loads(Path("runs/r/results.json").read_text())["domains"] == ["south", "north"]
    run_here("test", "--ckpt_path=runs/r/checkpoints/last.ckpt", *QUIET)


X, Y = torch.zeros(2, 3), [0, 1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "give x and y, or the path of a file"),
        ({"x": X}, "give x and y, or the path of a file"),
        ({"x": X, "y": [0]}, r"has 2 inputs x and y of shape \(1,\): give one for each"),
        ({"x": X, "y": [[0], [1]]}, r"y of shape \(2, 1\): give one for each"),
        ({"x": X, "y": [0.5, 1.0]}, "has y of type float64: give whole numbers"),
        ({"x": X, "y": [-1, 1]}, "has the class -1: count y from 0"),
        ({"x": X[:0], "y": np.zeros(0, int)}, "has no example"),
        ({"x": X > 1, "y": Y}, r"has x of shape \(2, 3\) and type torch.bool: give inputs"),
        ({"x": torch.zeros(()), "y": Y}, r"has x of shape \(\) and type torch.float32: give inputs"),
        ({"x": X, "y": Y, "domain": [0.0, 1.0]}, "has domain of type float64: give whole numbers or strings"),
        ({"x": X, "y": Y, "domain": ["a"]}, r"has 2 inputs x and domain of shape \(1,\)"),
        ({"x": X, "y": Y, "in_test": [0, 1]}, "has in_test of type int64: give booleans"),
        ({"x": X, "y": Y, "class_names": ["a"]}, "has 1 class_names and the class 1 in y: name all classes"),
    ],
)
def test_what_does_not_fit_is_one_sentence(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Tensors(**settings).domains()


class Custom:
    """What a file may not hold."""


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nowhere.pt", None, "nowhere.pt is not there: set path to one that torch.save or numpy.savez has written"),
        ("x.csv", b"", "x.csv ends in neither .pt .* nor .npz"),
        ("x.npz", b"no archive", r"x.npz is damaged, or no file of"),
        ("x.pt", b"no archive", r"x.pt is damaged, or"),
        ("x.pt", {"x": X, "y": Custom()}, r"x.pt .* holds objects .* could run code .*: save a dictionary of"),
        ("x.pt", [X, Y], "x.pt holds a list: save a dictionary with the keys x and y"),
        ("x.pt", {"x": X}, "x.pt has no 'y', but x: add it"),
        ("x.pt", {}, "x.pt has no 'x', but nothing: add it"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(name: str, content: Any, message: str, tmp_path: Path) -> None:
    if isinstance(content, bytes):
        (tmp_path / name).write_bytes(content)
    elif content is not None:
        torch.save(content, tmp_path / name)
    with pytest.raises(ValueError, match=message) as raised:
        Tensors(path=str(tmp_path / name)).domains()
    assert "\n" not in str(raised.value)


def test_pickled_arrays_are_not_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.array([Custom(), None], dtype=object), y=Y)
    with pytest.raises(ValueError, match=r"x.npz is damaged, .* holds objects, not numbers"):
        Tensors(path=str(tmp_path / "x.npz")).domains()


def test_keys_that_are_not_read_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "datamodules.tensors"):
        Tensors(path=saved(tmp_path, ".pt", domian=0)).domains()
    assert "domian left alone; the keys that are read are x, y, domain" in caplog.text
