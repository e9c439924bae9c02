import re
from importlib import import_module
from pathlib import Path

import pytest
import torch

import lifelong
from lifelong.cli.main import main
from lifelong.run import renamed


@pytest.mark.parametrize(("old", "new"), renamed.OPTIONS.items())
def test_an_option_answers_with_its_new_name(old: str, new: str) -> None:
    for option in (f"--{old}=1", f"--{old}"):
        with pytest.raises(ValueError, match=rf"^--{re.escape(old)} is now --{re.escape(new)}$"):
            renamed.check_options([option, "1"])
    with pytest.raises(ValueError, match=rf"^--{re.escape(old)}\.lr is now --{re.escape(new)}\.lr$"):
        renamed.check_options([f"--{old}.lr=1"])
    renamed.check_options([f"--{new}=1"])


@pytest.mark.parametrize(("old", "new"), renamed.PATHS.items())
def test_a_path_answers_with_its_new_one_which_is_there(old: str, new: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(old)} is now {re.escape(new)}$"):
        renamed.check_options([f"--data={old}"])
    with pytest.raises(ValueError, match=rf"a.yaml was written for an earlier version: {re.escape(old)} is"):
        renamed.check_config({"data": {"class_path": old}}, "a.yaml")
    module, _, name = new.split()[0].rpartition(".")
    assert hasattr(import_module(module), name)


def test_a_setting_of_a_memory_answers_wherever_it_stands() -> None:
    with pytest.raises(ValueError, match=r"budget_examples is now budget\.examples"):
        renamed.check_options(['--strategies=[{"class_path": "Replay", "init_args": {"budget_examples": 9}}]'])
    with pytest.raises(ValueError, match=r"strategies\.budget_bytes is now strategies\.budget\.bytes"):
        renamed.check_config({"strategies": [{"class_path": "Replay", "init_args": {"budget_bytes": 9}}]}, "a.yaml")


def test_the_command_line_and_load_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--seed_everything", "3"])
    assert "--seed_everything is now --seed" in capsys.readouterr().err
    (tmp_path / "checkpoints").mkdir()
    torch.save({}, tmp_path / "checkpoints" / "last.ckpt")
    (tmp_path / "config.yaml").write_text("seed_everything: 3\n")
    with pytest.raises(ValueError, match=r"written for an earlier version: seed_everything is now seed"):
        lifelong.load(tmp_path)
