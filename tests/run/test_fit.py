"""``lifelong.fit`` does what the command line does, and gives a run that can be used and loaded again."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import nn

import lifelong
from datamodules import EpisodicDataModule, Glyphs
from lifelong.data.position import Position
from lifelong.learners import MAML, ProtoNet
from lifelong.networks import MLP
from lifelong.run.options import RunOptions
from strategies import EWC, Budget, Replay
from tests.command_line import run_here

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("folder_of_its_own")]
QUIET: dict[str, Any] = {"logger": False, "accelerator": "cpu", "enable_progress_bar": False}


def glyphs(**settings: Any) -> EpisodicDataModule:
    source = Glyphs(styles=["strokes", "textures", "silhouettes"], n_classes=24, n_examples=10, image_size=8)
    shape: dict[str, Any] = {"n_way": 3, "n_shot": 2, "n_query": 3, "split": (0.25, 0.25)}
    return EpisodicDataModule([source], **(shape | {"steps_per_experience": 6, "n_eval_tasks": 5} | settings))


def protonet() -> ProtoNet:
    lifelong.seed_everything(0, verbose=False)
    return ProtoNet(MLP(n_inputs=64, hidden=[16], n_outputs=8))


def state(folder: Path) -> dict[str, Any]:
    return dict(torch.load(folder / "checkpoints/last.ckpt", weights_only=True)["state_dict"])


def test_python_and_the_command_line_are_one_way(tmp_path: Path) -> None:
    strategies = [EWC(strength=3.0), Replay(budget=Budget(examples=300))]
    sgd = partial(torch.optim.SGD, lr=0.05)
    run = lifelong.fit(protonet(), glyphs(), strategies=strategies, optimizer=sgd, seed=0, run="runs/python", **QUIET)
    # The command line repeats what Python wrote down, and writes the same again.
    run_here("fit", "--config=runs/python/config.yaml", "--run.name=repeated")
    first, second = Path("runs/python"), Path("runs/repeated")
    results = [json.loads((folder / "results.json").read_text()) for folder in (first, second)]
    for key in ("matrix", "half_width", "metrics", "untrained", "split_hash", "plan"):
        assert results[0][key] == results[1][key], key
    ours, theirs = state(first), state(second)
    assert ours.keys() == theirs.keys()
    tensors = [name for name, value in ours.items() if isinstance(value, torch.Tensor)]
    assert all(torch.equal(ours[name], theirs[name]) for name in tensors)
    written = [yaml.safe_load((folder / "config.yaml").read_text()) for folder in (first, second)]
    assert written[0] == written[1]
    assert written[0]["strategies"][1]["init_args"]["budget"] == {"examples": 300, "bytes": None, "per_class": None}
    assert run.matrix.tolist() == results[0]["matrix"]


def test_run_shows_and_evaluates_what_was_learnt() -> None:
    run = lifelong.fit(protonet(), glyphs(), run="runs/a", **QUIET)
    assert run.matrix.shape == run.half_widths.shape == (3, 3)
    assert list(run.domains) == ["strokes", "textures", "silhouettes"]
    assert np.isfinite(run.metrics["forgetting"].value)
    assert np.isfinite(run.metrics["forgetting"].half_width)
    assert "silhouettes" in str(run)
    assert "<table" in run._repr_html_()
    assert repr(run) == f"Run({str(run.folder)!r})"
    assert run.plot() is not None
    assert run.validate().matrix[0] == pytest.approx(run.matrix[-1])
    assert run.test().matrix.shape == (1, 3)
    other = glyphs(n_shot=1)
    assert run.evaluate(other).matrix.shape == (1, 3)
    assert (run.folder / "test_3way_1shot.json").is_file()
    assert not run.learner.training


def test_loaded_run_answers_as_the_one_that_was_trained() -> None:
    run = lifelong.fit(protonet(), glyphs(), strategies=[Replay()], run="runs/a", **QUIET)
    for path in ("runs/a", "runs/a/checkpoints/last.ckpt", "last"):
        again = lifelong.load(path)
        assert again.matrix.tolist() == run.matrix.tolist()
        assert again.metrics["forgetting"].value == run.metrics["forgetting"].value
        assert again.strategies.memory_bytes() == run.strategies.memory_bytes() > 0
        x = torch.rand(6, 1, 8, 8)
        labels = torch.eye(3).repeat(2, 1)
        outputs = []
        for learner in (run.learner, again.learner):
            params = learner.meta_parameters()
            outputs.append(learner.predict(params, learner.adapt(params, x, labels), x))
        assert torch.equal(*outputs)
        assert again.test(accelerator="cpu").matrix.tolist() == run.test().matrix.tolist()


class Body(nn.Module):
    """A network that does not record how it was made."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x.flatten(1))  # type: ignore[no-any-return]


def test_what_cannot_be_recorded_is_named_and_asked_for() -> None:
    run = lifelong.fit(ProtoNet(Body()), glyphs(), run="runs/own", **QUIET)
    text = Path("runs/own/config.yaml").read_text()
    assert "model.network (Body)" in text.splitlines()[0]
    with pytest.raises(ValueError, match=r"model\.network \(Body\) could not be recorded .* load\(…, learner=…\)"):
        lifelong.load("runs/own")
    again = lifelong.load("runs/own", learner=ProtoNet(Body()))
    assert torch.equal(again.learner.network.layer.weight, run.learner.network.layer.weight)


def test_unknown_argument_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"fit has no argument max_epoch, .* did you mean max_epochs"):
        lifelong.fit(protonet(), glyphs(), max_epoch=3)


def test_run_goes_on_where_it_ended() -> None:
    whole = lifelong.fit(protonet(), glyphs(), run="runs/whole", **QUIET)
    lifelong.fit(protonet(), glyphs(), run="runs/parts", resume="auto", max_epochs=2, **QUIET)
    with pytest.raises(ValueError, match="in use"):
        lifelong.fit(protonet(), glyphs(), run="runs/parts", **QUIET)
    parts = lifelong.fit(protonet(), glyphs(), run="runs/parts", resume="must", **QUIET)
    assert parts.matrix.tolist() == whole.matrix.tolist()
    with pytest.raises(ValueError, match="must found no"):
        lifelong.fit(protonet(), glyphs(), run="runs/none", resume="must", **QUIET)


def test_a_finished_run_that_goes_on_learns_nothing_more() -> None:
    first = lifelong.fit(protonet(), glyphs(), run="runs/a", **QUIET)
    before = state(Path("runs/a"))
    second = lifelong.fit(protonet(), glyphs(), run="runs/a", resume="auto", **QUIET)
    assert second.matrix.tolist() == first.matrix.tolist()
    assert all(torch.equal(before[n], t) for n, t in state(Path("runs/a")).items() if isinstance(t, torch.Tensor))


def test_any_learner_takes_every_training_option() -> None:
    schedule = partial(torch.optim.lr_scheduler.StepLR, step_size=2, gamma=0.5)
    run = lifelong.fit(
        MAML(MLP(n_inputs=64, hidden=[8], n_outputs=3), n_inner_steps=1),
        glyphs(),
        optimizer=partial(torch.optim.SGD, lr=0.1, momentum=0.9),
        lr_scheduler=schedule,
        reset_optimizer=True,
        runner=lifelong.TaskRunner(plan="vmap", chunk=2, recompute="steps"),
        run="runs/m",
        **QUIET,
    )
    assert run.config["lr_scheduler"]["init_args"]["step_size"] == 2
    assert run.config["runner"] == {"plan": "vmap", "chunk": 2, "recompute": "steps", "cuda_graph": False}
    assert "2 at once" in json.loads(Path("runs/m/results.json").read_text())["plan"]


def test_the_same_seed_gives_the_same_numbers_twice() -> None:
    runs = [lifelong.fit(protonet(), glyphs(), seed=3, run=f"runs/{n}", **QUIET) for n in range(2)]
    assert runs[0].matrix.tolist() == runs[1].matrix.tolist()
    other = lifelong.fit(protonet(), glyphs(), seed=4, run="runs/other", **QUIET)
    assert other.data.seed == 4
    assert other.matrix.tolist() != runs[0].matrix.tolist()


def test_position_says_which_rows_are_the_streams_own() -> None:
    assert [Position(0, n_tasks=5, rank=rank, world=3).n_own for rank in range(3)] == [2, 2, 1]


def test_a_page_is_written_unless_it_is_not_wanted() -> None:
    run = lifelong.fit(protonet(), glyphs(), run="runs/a", **QUIET)
    page = Path("runs/a/report.html")
    before = page.read_bytes()
    assert run.report() == page
    assert page.read_bytes() == before  # the same results, the same bytes
    assert lifelong.load("runs/a").report("other.html").read_bytes() == before
    lifelong.fit(protonet(), glyphs(), run="runs/b", report=False, **QUIET)
    lifelong.fit(protonet(), glyphs(), run=RunOptions(name="c", report=False), **QUIET)
    run_here("fit", "--config=runs/a/config.yaml", "--run.name=d", "--run.report=false")
    assert not [name for name in "bcd" if Path("runs", name, "report.html").exists()]


@pytest.mark.filterwarnings("default")
def test_a_page_that_fails_loses_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("no such template")

    monkeypatch.setattr("lifelong.pages.report_page.render", broken)
    with pytest.warns(UserWarning, match="the run is whole, but its page was not written: 'no such template'"):
        run = lifelong.fit(protonet(), glyphs(), run="runs/a", **QUIET)
    assert run.matrix.shape == (3, 3)
    assert Path("runs/a/results.json").is_file()
    assert not Path("runs/a/report.html").exists()
