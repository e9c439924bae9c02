"""The throughput suite of benchmarks/: who takes part, that all take the same steps, and what tables and plot say."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from benchmarks import __main__ as command
from benchmarks.performance import suite, throughput
from benchmarks.performance.contenders import ByHand, Learn2Learn, Ours, learn2learn_batches
from benchmarks.performance.setups import LEARNERS, Setup, batches, grid
from benchmarks.performance.suite import Settings
from tests.learn2learn import learn2learn_or_skip

CPU = torch.device("cpu")


def setup(learner: Any = "MAML", network: str = "Conv4-32", **more: Any) -> Setup:
    return Setup(learner, network, n_query=2, n_steps=2, n_tasks=2, **more)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path))


def assert_same_steps(one: Setup, ours: Ours, other: ByHand | Learn2Learn) -> None:
    # In double precision: Adam makes whole steps of gradients that are zero but for rounding.
    ours.learner.double()
    for parameter in other.parameters:
        parameter.data = parameter.data.double()
    for batch in islice(batches(one, CPU), 3):  # the third loss is that after two steps of the optimizer
        found = [contender.losses(batch.to(torch.float64)) for contender in (ours, other)]
        torch.testing.assert_close(*found, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("learner", LEARNERS)
def test_steps_of_all_are_the_same(learner: str) -> None:
    one = setup(learner)
    assert_same_steps(one, Ours(one, CPU, mapping="loop"), ByHand(one, CPU))


@pytest.mark.parametrize("learner", ["MAML", "Meta-SGD", "first-order MAML"])
def test_regression_is_the_same_too(learner: str) -> None:
    one = setup(learner, "MLP 2 x 40", n_way=1, n_shot=5)
    assert throughput.disagreement([Ours(one, CPU), ByHand(one, CPU)], next(batches(one, CPU)), Settings()) < 1e-4


@pytest.mark.learn2learn
@pytest.mark.parametrize("learner", LEARNERS)
def test_learn2learn_takes_the_same_steps(learner: str) -> None:
    learn2learn_or_skip()
    one = setup(learner)
    assert_same_steps(one, Ours(one, CPU, mapping="loop"), Learn2Learn(one, CPU))


@pytest.mark.learn2learn
@pytest.mark.parametrize("from_files", [False, True])
def test_learn2learn_draws_tasks_of_the_same_shape(from_files: bool, tmp_path: Path) -> None:
    learn2learn_or_skip()
    one = setup(n_shot=2)
    ours = next(batches(one, CPU))
    theirs = next(learn2learn_batches(one, CPU, tmp_path if from_files else None))
    assert [part.shape for part in theirs[0]] == [part.shape[1:] for part in ours.tasks()[:4]]
    assert theirs[0][0].max() <= 1
    assert sorted(theirs[0][3].tolist()) == sorted([*range(5)] * 2)


def test_contenders_that_disagree_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "disagreement", lambda *_: 0.5)
    monkeypatch.setattr(throughput, "Learn2Learn", ByHand)
    with pytest.raises(ValueError, match=r"differ by 5.00e-01, relatively: nothing to compare"):
        throughput.measure_one(setup("MAML", "MLP 2 x 256"), Settings(quick=True))


def called_once(calls: dict[str, Any], **_: Any) -> dict[str, list[float]]:
    for call in calls.values():
        call()
    return {name: [2.0, 4.0] for name in calls}


def test_a_measured_row_has_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    class Peer(ByHand):
        name = "learn2learn"

    monkeypatch.setattr(throughput, "Learn2Learn", Peer)
    monkeypatch.setattr(throughput, "alternate", called_once)
    monkeypatch.setattr(throughput, "learn2learn_batches", lambda one, device, folder=None: batches(one, device))
    row = throughput.measure_one(setup(), Settings(quick=True))
    assert row["setup"] == "MAML, Conv4-32, 5w1s, 2 steps, 2 tasks"
    assert row["tasks per second"]["Lifelong"] == {"median": 0.75, "low": 0.5, "high": 1.0}
    assert list(row["ratio"]) == ["to the loop by hand", "to learn2learn", "from memory", "from files"]
    assert row["ratio"]["from files"]["median"] == 1


def made_up(name: str, factor: float) -> dict[str, Any]:
    found = {"median": factor, "low": factor / 2, "high": factor * 2}
    speeds = dict.fromkeys(("Lifelong", "loop by hand", "learn2learn"), found)
    ratio = {"to the loop by hand": found, "to learn2learn": found, "from memory": found}
    return {"setup": name, "plan": "all at once", "tasks per second": speeds, "ratio": ratio}


def test_tables_and_plot() -> None:
    rows = [made_up("one", 3.0), made_up("two", 0.5)]
    console = Console(width=200, record=True)
    for table in throughput.tables(rows):
        console.print(table)
    assert "3.00 (1.50 … 6.00)" in console.export_text()
    axes = throughput.plot(rows).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["one", "two"]
    assert axes.get_xscale() == "log"


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_learner_is_in_the_grid_and_no_row_twice(device: str) -> None:
    rows = grid(torch.device(device))
    assert len(set(rows)) == len(rows)
    assert {row.learner for row in rows} == set(LEARNERS)
    assert {row.n_tasks for row in rows} >= ({4, 32, 128} if device == "cpu" else {32, 128})


def test_everyone_trains_in_halves_where_that_is_asked_for() -> None:
    kinds: list[torch.dtype] = []
    one, halves = setup("ProtoNet", "MLP 2 x 256"), Settings(precision="bf16")
    contenders, batch = [kind(one, CPU) for kind in (Ours, ByHand)], next(batches(one, CPU))
    for network in (contenders[0].learner.network, contenders[1].network):  # type: ignore[attr-defined]
        layer = next(module for module in network.modules() if isinstance(module, torch.nn.Linear))
        layer.register_forward_hook(lambda module, given, output: kinds.append(output.dtype))
    assert throughput.disagreement(contenders, batch, halves) < throughput.TOLERANCE["bf16"]
    assert set(kinds) == {torch.bfloat16}
    before = [throughput._losses(contender, batch, halves) for contender in contenders]
    after = [throughput._losses(contender, batch, halves) for contender in contenders]
    assert not any(torch.equal(*pair) for pair in zip(before, after, strict=True))  # a step is of its own weights
    assert throughput.peak(halves, size=64) > 0


def test_rows_that_were_measured_before_stay(tmp_path: Path) -> None:
    path = tmp_path / "throughput-cpu.json"
    suite.save(path, [made_up("one", 1.0), made_up("two", 1.0)], CPU)
    kept = suite.save(path, [made_up("three", 2.0), made_up("one", 2.0)], CPU)
    assert [row["setup"] for row in kept] == ["one", "two", "three"]  # each in its place, new ones after them
    assert suite.load(path) == kept
    assert [row["ratio"]["to learn2learn"]["median"] for row in kept] == [2, 1, 2]


def test_the_command_keeps_shows_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(throughput, "measure", lambda settings, tell: [made_up("one", 1.0)])
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str) -> str:
        monkeypatch.setattr("sys.argv", ["benchmarks", "throughput", "--results", str(tmp_path), *words])
        command.main()
        return capsys.readouterr().out

    assert "has not been measured" in run("--show")
    run("--quick")
    assert not list(tmp_path.iterdir())
    assert "1.00" in run()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["throughput-cpu.json", "throughput-cpu.png"]
    shown = run("--show")
    assert "one" in shown
    assert "threads, torch" in shown.replace("\n", " ")


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["speed"], "there is no suite speed, only throughput"),
        (["throughput", "--device", "cuda"], "torch finds no GPU here: leave --device cuda out"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    words: list[str], answer: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["benchmarks", *words])
    with pytest.raises(SystemExit):
        command.main()
    assert answer in capsys.readouterr().err


def test_a_word_in_no_row_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["benchmarks", "throughput", "--only", "nonsense"])
    command.main()
    assert capsys.readouterr().out == "throughput has no row with nonsense in its name\n"
