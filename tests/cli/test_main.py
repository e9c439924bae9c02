"""The command line from end to end: what a run writes, resuming, several devices, and what people get told."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
import torch

from lifelong.cli.parser import with_own_networks
from lifelong.run.trainer import NOISE
from tests.command_line import QUIET, TINY, TINY_DATA, TINY_MODEL, error_of, run_apart, run_here, start_apart

pytestmark = pytest.mark.filterwarnings("ignore")

OWN_NETWORK = """
import torch

class Body(torch.nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(64, width)

    def forward(self, x):
        return self.layer(x.flatten(1)).tanh()
"""


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    monkeypatch.setattr("sys.argv", ["lifelong"])


def weights(folder: Path, name: str = "last.ckpt") -> dict[str, torch.Tensor]:
    checkpoint = torch.load(folder / "checkpoints" / name, weights_only=True)
    return {k: v for k, v in checkpoint["state_dict"].items() if isinstance(v, torch.Tensor)}


def assert_same_results(one: Path, other: Path) -> None:
    first, second = (json.loads((folder / "results.json").read_text()) for folder in (one, other))
    for key in ("matrix", "half_width", "metrics", "untrained", "split_hash"):
        assert first[key] == second[key], key


def test_fit_writes_everything_and_the_others_read_it(capsys: pytest.CaptureFixture[str]) -> None:
    run_here("fit", *TINY, "--run.name=r", "--strategies=[strategies.Replay]")
    printed = capsys.readouterr().out
    folder = Path("runs/r")
    assert "experience 3/3 'silhouettes' learnt" in printed
    assert "forgetting" in printed
    for name in ("metrics.csv", "results.json", "config.yaml", "accuracy_matrix.png", "forgetting_curves.png"):
        assert (folder / name).stat().st_size > 0, name
    assert sorted(p.name for p in (folder / "checkpoints").iterdir()) == [
        "experience-01.ckpt", "experience-02.ckpt", "last.ckpt",
    ]  # fmt: skip
    results = json.loads((folder / "results.json").read_text())
    assert results["finished"]
    assert len(results["matrix"]) == len(results["matrix"][0]) == 3
    assert results["strategy_bytes"]["Replay"] > 0
    assert results["parameters"] == 64 * 16 + 16 + 16 * 8 + 8
    last = str(folder / "checkpoints" / "last.ckpt")
    run_here("validate", "--ckpt_path", last, "--trainer.logger=false")
    validated = json.loads((folder / "val_3way_2shot.json").read_text())
    assert validated["mean"] == pytest.approx(results["matrix"][-1])
    run_here("test", "--ckpt_path", last, "--trainer.logger=false")
    run_here("test", "--ckpt_path", last, "--trainer.logger=false", "--data.eval_n_way=2")
    tested = [json.loads((folder / f"test_{n}way_2shot.json").read_text()) for n in (2, 3)]
    assert [t["about"] for t in tested] == [
        f"5 test tasks a domain, {n}-way 2-shot with 3 queries per class" for n in (2, 3)
    ]
    assert len(tested[0]["mean"]) == 3
    run_here("predict", "--ckpt_path", last, "--trainer.logger=false")
    assert len((folder / "predictions.csv").read_text().splitlines()) == 1 + 3 * 5 * 9


def test_a_dry_run_tells_what_would_run(capsys: pytest.CaptureFixture[str]) -> None:
    run_here("fit", *TINY, "--run.name=r", "--strategies=Replay", "--dry_run")
    printed = capsys.readouterr().out
    assert "3 experiences of 6 steps, each of 4 tasks" in printed
    assert "strategies  Replay" in printed
    assert "estimated time: 0:0" in printed
    assert not Path("runs").exists()
    code, message = error_of(capsys, "test", *TINY, "--dry_run")
    assert (code, "--dry_run tells what a run of fit would be" in message) == (1, True)


def test_maml_fits_validates_tests_and_predicts_by_default() -> None:
    maml = ["--model=MAML", "--model.n_inner_steps=2", *TINY_MODEL[1:4], "--model.network.n_outputs=3"]
    run_here("fit", *maml, *TINY_DATA, "--trainer.logger=false", "--run.name=m", "--strategies=[EWC]")
    for command in ("validate", "test", "predict"):
        run_here(command, "--ckpt_path=runs/m/checkpoints/last.ckpt", "--trainer.logger=false")
    assert Path("runs/m/test_3way_2shot.json").exists()


def test_a_network_of_ones_own_inside_a_head_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own_network.py").write_text(OWN_NETWORK)
    monkeypatch.syspath_prepend(tmp_path)
    network = ["--model.network=WithHead", "--model.network.body=own_network.Body", "--model.network.body.width=6"]
    network += ["--model.network.n_outputs=3", "--model.network.n_features"]
    options = ["--model=MAML", "--model.n_inner_steps=1", *TINY_DATA, "--data.steps_per_experience=2", *QUIET]
    run_here("fit", *options, *network, "6", "--run.name=own", "--trainer.max_epochs=1")
    run_here("test", "--ckpt_path=runs/own/checkpoints/last.ckpt", *QUIET)
    shapes = {name: tuple(w.shape) for name, w in weights(Path("runs/own")).items()}
    assert shapes["learner.network.body.layer.weight"] == (6, 64)
    assert shapes["learner.network.head.weight"] == (3, 6)
    assert Path("runs/own/test_3way_2shot.json").exists()
    code, message = error_of(capsys, "fit", *options, *network, "7")
    assert code == 1
    assert "Body computes (6,): set --model.network.n_features" in message


@pytest.mark.parametrize("strategy", ["strategies.Replay", "strategies.EWC", "strategies.AdapterBank"])
def test_resume_after_an_experience_gives_the_same_run(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = [*TINY, f"--strategies=[{strategy}]"]
    run_here("fit", *options, "--run.name=whole")
    run_here("fit", *options, "--run.name=parts", "--trainer.max_epochs=2")
    run_here("fit", *options, "--ckpt_path=runs/parts/checkpoints/last.ckpt", "--trainer.max_epochs=3")
    whole, parts = weights(Path("runs/whole")), weights(Path("runs/parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    assert_same_results(Path("runs/whole"), Path("runs/parts"))


@pytest.mark.slow
def test_killed_within_an_experience_resumes_bit_for_bit(tmp_path: Path) -> None:
    options = [*TINY, "--strategies=[strategies.Replay,strategies.EWC]", "--data.steps_per_experience=60"]
    options += ["--checkpoint.every_n_steps=7"]
    run_apart("fit", *options, "--run.name=whole", cwd=tmp_path)
    process = start_apart("fit", *options, "--run.name=killed", cwd=tmp_path)
    folder = tmp_path / "runs/killed"
    middle = 0
    while process.poll() is None:
        last = folder / "checkpoints/last.ckpt"
        middle = int(torch.load(last, weights_only=True)["global_step"]) if last.exists() else 0
        if middle > 60 and middle % 60:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.01)
    process.wait()
    process.stdout.close()  # type: ignore[union-attr]
    process.stderr.close()  # type: ignore[union-attr]
    assert process.returncode == -signal.SIGKILL, "the run ended before it could be killed"
    run_apart("fit", "--ckpt_path=last", "--run.name=killed", cwd=tmp_path)
    whole, killed = weights(tmp_path / "runs/whole"), weights(folder)
    assert all(torch.equal(whole[name], killed[name]) for name in whole)
    assert_same_results(tmp_path / "runs/whole", folder)
    steps = [int(float(line.split(",")[0])) for line in (folder / "metrics.csv").read_text().splitlines()[1:]]
    assert steps == sorted(set(steps))


@pytest.mark.slow
@pytest.mark.parametrize("strategies", ["[strategies.Replay,strategies.EWC]", "[strategies.AdapterBank]"])
def test_two_processes_give_the_weights_of_one(tmp_path: Path, strategies: str) -> None:
    # Plain SGD: Adam would blow the rounding noise of gradients that are zero in theory up to whole steps.
    sgd = ["--optimizer=torch.optim.SGD", "--optimizer.lr=0.1"]
    options = [*TINY, f"--strategies={strategies}", *sgd]
    run_apart("fit", *options, "--run.name=one", cwd=tmp_path)
    run_apart("fit", *options, "--run.name=two", "--trainer.devices=2", "--trainer.strategy=ddp", cwd=tmp_path)
    one, two = weights(tmp_path / "runs/one"), weights(tmp_path / "runs/two")
    for name in one:
        torch.testing.assert_close(one[name], two[name], rtol=1e-4, atol=1e-6)
    first, second = (json.loads((tmp_path / f"runs/{n}/results.json").read_text()) for n in ("one", "two"))
    assert torch.allclose(torch.tensor(first["matrix"]), torch.tensor(second["matrix"]), atol=0.05)
    assert first["strategy_bytes"] == second["strategy_bytes"]


def test_the_joint_bound_has_one_row(capsys: pytest.CaptureFixture[str]) -> None:
    run_here("fit", *TINY, "--run.name=j", "--data.joint=true")
    results = json.loads(Path("runs/j/results.json").read_text())
    assert [len(results["matrix"]), len(results["matrix"][0])] == [1, 3]
    assert results["metrics"]["forgetting"] is None
    assert "n/a" in capsys.readouterr().out


def test_weights_and_biases_offline_and_failing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    options = [option for option in TINY if "logger" not in option]
    run_here("fit", *options, "--run.name=w")
    assert list(Path("runs/w/wandb").glob("offline-run-*/*.wandb"))
    monkeypatch.setattr("wandb.init", lambda **_: 1 / 0)
    run_here("fit", *options, "--run.name=v")
    assert (Path("runs/v/metrics.csv")).stat().st_size > 0
    assert json.loads(Path("runs/v/results.json").read_text())["finished"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--data.n_way=50"], ["n_way", "50"]),
        (["--data.n_shot=40"], ["class", "40"]),
        (["--data.tasks_per_batch=0"], ["tasks_per_batch", "0"]),
        (["--strategies=[strategies.Replay,strategies.AdapterBank]"], ["Replay", "AdapterBank", "combined"]),
        (["--strategies=[{class_path: strategies.Replay, init_args: {budget: {examples: 20}}}]"], ["budget", "20"]),
        (["--ckpt_path=nowhere.ckpt"], ["nowhere.ckpt"]),
        (["--ckpt_path=last"], ["last"]),
        (["--model.network.n_inputs=63"], ["63", "64", "n_inputs"]),
        (["--run.root=/proc/nothing"], ["/proc/nothing", "written"]),
        (["--data.sources=[{class_path: datamodules.ImageFolder, init_args: {root: nowhere}}]"], ["nowhere"]),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_one_sentence(
    options: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, message = error_of(capsys, "fit", *TINY, *options)
    assert code == 1
    assert "Traceback" not in message
    line = message.strip().splitlines()[-1]
    assert line.startswith("error: ")
    assert all(word in line for word in words), line


@pytest.mark.parametrize("option", ["--data.n_ways=3", "--strategies=[strategies.Nothing]", "--model=lifelong.Nothing"])
def test_an_unknown_name_exits_with_2(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, message = error_of(capsys, "fit", *TINY, option)
    assert code == 2
    assert "Traceback" not in message
    assert message.startswith("error: ")
    assert len(message.splitlines()) == 1
    assert option.split("=")[1].strip("[]") in message or option.split("=")[0].split(".")[-1] in message


def test_nan_stops_and_keeps_the_last_good_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--optimizer=torch.optim.SGD", "--optimizer.lr=1e30", "--run.name=n"]
    code, message = error_of(capsys, "fit", *TINY, *options, "--checkpoint.every_n_steps=1")
    assert code == 1
    assert "experience 1 (strokes)" in message
    assert "step" in message
    kept = Path("runs/n/checkpoints/last.ckpt")
    assert not kept.exists() or all(torch.isfinite(w).all() for w in weights(Path("runs/n")).values())


def test_a_checkpoint_of_another_configuration_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    run_here("fit", *TINY, "--run.name=a", "--trainer.max_epochs=1")
    wider = [*TINY, "--model.network.hidden=[17]", "--config=runs/a/config.yaml"]
    way_on = ["--ckpt_path=runs/a/checkpoints/last.ckpt", "--run.allow_changes=true"]
    code, message = error_of(capsys, "fit", *wider[-1:], *wider[:-1], *way_on)
    assert code == 1
    assert "another configuration" in message


def test_a_folder_in_use_is_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    run_here("fit", *TINY, "--run.name=a", "--trainer.max_epochs=1")
    before = Path("runs/a/results.json").read_bytes()
    code, message = error_of(capsys, "fit", *TINY, "--run.name=a")
    assert code == 1
    assert "in use" in message
    assert Path("runs/a/results.json").read_bytes() == before


def test_the_bank_can_be_given_a_trunk(tmp_path: Path) -> None:
    run_here("fit", *TINY, "--run.name=t", "--trainer.max_epochs=1")
    trunk = tmp_path / "runs/t/checkpoints/last.ckpt"
    bank = f"--strategies=[{{class_path: strategies.AdapterBank, init_args: {{trunk: {trunk}}}}}]"
    run_here("fit", *TINY, bank, "--run.name=b")
    given, kept = weights(tmp_path / "runs/t"), weights(tmp_path / "runs/b")
    assert all(torch.equal(given[name], kept[name]) for name in given)
    entries = [w for name, w in kept.items() if "current" in name and name.endswith("full")]
    assert any(w.abs().max() > 0 for w in entries)


def test_a_config_is_complete_in_itself(tmp_path: Path) -> None:
    # The embedded default has 32 filters; a config that does not name them means the class's own 64.
    text = "model: {class_path: ProtoNet, init_args: {network: {class_path: Conv4}}}\n"
    Path("own.yaml").write_text(
        text + "data: {class_path: datamodules.EpisodicDataModule, init_args: {sources: [datamodules.Glyphs]}}\n"
    )
    few = ["--data.steps_per_experience=1", "--data.n_eval_tasks=1", "--data.tasks_per_batch=1", *QUIET]
    run_here("fit", "--config=own.yaml", *few, "--run.name=own", "--trainer.max_epochs=1")
    assert weights(Path("runs/own"))["learner.network.blocks.0.0.weight"].shape == (64, 1, 3, 3)
    assert json.loads(Path("runs/own/results.json").read_text())["strategies"] == []


def test_a_run_that_failed_does_not_lend_its_folder_to_the_next(capsys: pytest.CaptureFixture[str]) -> None:
    error_of(capsys, "fit", *TINY, "--data.n_way=999", "--run.name=bad")
    assert "LIFELONG_RUN_FOLDER" not in os.environ


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        (["--model.network", "MLP"], ["--model.network", "lifelong.networks.MLP"]),
        (["--model.network=Conv4", "--model.network.n_outputs=5"], ["--model.network=lifelong.networks.Conv4", None]),
        (["--model.network=their.MLP"], [None]),
        (["--run.name", "MLP", "--model.network.norm=MLP"], [None, None, None]),
    ],
)
def test_bare_names_of_networks_are_ours(given: list[str], understood: list[str | None]) -> None:
    # torchvision, which torchmetrics imports where it is installed, has a module of the name MLP too.
    assert with_own_networks(given) == [new or old for new, old in zip(understood, given, strict=True)]


def test_only_users_own_logging_is_warned_about() -> None:
    def is_noise(text: str) -> bool:
        return any(re.match(pattern, text, re.IGNORECASE) for pattern in NOISE)

    for name in ("val/score/birds", "test/average_score", "val/backward_transfer", "val/adjusted_rand_index/birds"):
        assert is_noise(f"It is recommended to use `self.log('{name}', ..., sync_dist=True)` when logging")
    assert not is_noise("It is recommended to use `self.log('val/mine', ..., sync_dist=True)` when logging")
    strides = "Grad strides do not match bucket view strides. This\ngrad.sizes() = [32, {}, 3, 3], strides() = [9]"
    assert is_noise(strides.format(1))
    assert not is_noise(strides.format(64))
