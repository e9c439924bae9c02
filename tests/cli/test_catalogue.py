"""Lists of what can be named on a command line: whole, one line each, and nothing heavy is imported for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import strategies
from lifelong import learners, networks
from lifelong.cli import start
from lifelong.cli.catalogue import KINDS, listed, print_list
from lifelong.evaluation.metrics import METRICS
from lifelong.run.configs import shipped_configs
from lifelong.strategy import Strategy


def names(kind: str) -> set[str]:
    return {named.name for named in listed(kind)}


def test_everything_that_there_is_is_listed() -> None:
    assert names("learners") == set(learners.__all__)
    assert names("networks") == set(networks.__all__)
    assert names("strategies") == {n for n in strategies.__all__ if issubclass(getattr(strategies, n), Strategy)}
    assert names("configs") == set(shipped_configs())
    assert names("metrics") >= {*METRICS, "unseen_score", "lifelong.evaluation.Clustering"}
    assert names("datamodules") == {"EpisodicDataModule", "ExampleDataModule"}
    assert "Omniglot" in names("sources")
    assert not names("sources") & names("datamodules")


@pytest.mark.parametrize("kind", KINDS)
def test_each_has_a_line_of_its_own_docstring(kind: str) -> None:
    for named in listed(kind):
        assert len(named.says) > 10, named
        assert "\n" not in named.says
        assert "``" not in named.says


def test_the_line_of_a_learner_is_that_of_its_docstring() -> None:
    (maml,) = (named for named in listed("learners") if named.name == "MAML")
    assert maml.says == (learners.MAML.__doc__ or "").partition("\n")[0].replace("``", "").rstrip(".:")


def test_plug_ins_of_other_packages_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "theirs.py").write_text(
        'raise ImportError("never imported")\n\nclass Halve:\n    """Halve all gradients."""\n'
    )
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lifelong.strategies]\nHalve = theirs:Halve\nLost = nowhere:Lost\n")
    monkeypatch.syspath_prepend(tmp_path)
    print_list(["strategies"])
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["Halve"].endswith("Halve all gradients (of the package theirs)")
    assert "cannot be imported" in lines["Lost"]
    assert "package" not in lines["EWC"]


@pytest.mark.parametrize("args", [[], ["--help"]])
def test_list_alone_lists_the_kinds(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    start.main(["list", *args])
    printed = capsys.readouterr().out
    assert all(f"\n{kind} " in printed for kind in KINDS)


@pytest.mark.parametrize(
    ("args", "words"), [(["learner"], "did you mean learners?"), (["learners", "networks"], "list takes one kind")]
)
def test_a_wrong_kind_is_one_sentence(args: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        start.main(["list", *args])
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert words in message


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_list_imports_neither_torch_nor_lightning(kind: str) -> None:
    code = (
        f"import sys; from lifelong.cli.start import main; main(['list', '{kind}']);"
        "print({'torch', 'lightning'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")
