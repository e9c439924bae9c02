from pathlib import Path

import pytest

from lifelong.cli.main import main


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["--optimzer.lr", "0.1"], "--optimizer.lr"),
        (["--trainer.devises", "2"], "--trainer.devices"),
        (["--run.nmae", "a"], "--run.name"),
        (["--model", "Protonet"], "ProtoNet"),
        (["--strategies", "[Repaly]"], "Replay"),
        (["--model.network", "lifelong.networks.Conv"], "Conv4"),
        (["--data", "ExampleDataModul"], "ExampleDataModule"),
        (["--model", "protonet"], "ProtoNet"),
        (["--strategies", "EWC", "--strategies.strenght", "1"], "--strategies.strength"),
        (["--strategies", "Replay", "--strategies.budgt.examples", "50"], "--strategies.budget.examples"),
        (["--data.n_ways", "3"], "--data.n_way"),
        (["--data.sources", "Omniglott"], "Omniglot"),
        (["--data.sources", "ImageFolder", "--data.sources.rot", "photos"], "--data.sources.root"),
        (["--data.sources", "Permuted", "--data.sources.source", "Omniglott"], "Omniglot"),
        (["--model.network", "MLP", "--model.network.hiden", "[3]"], "--model.network.hidden"),
        (["--optimizer", "Adm"], "Adam"),
        (["--optimizer.lrr", "1"], "--optimizer.lr"),
        (["--lr_scheduler", "StepRL"], "StepLR"),
        (["--trainer.callbacks", "EarlyStoping"], "EarlyStopping"),
        (["--trainer.logger.projct", "a"], "--trainer.logger.project"),
        (["--data.augmentation", "PhotoAugmentatoin"], "PhotoAugmentation"),
    ],
)
def test_a_mistyped_name_is_answered_with_the_nearest(
    given: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_code:
        main(["fit", *given])
    assert exit_code.value.code == 2
    assert f"did you mean {meant}?" in capsys.readouterr().err


def test_a_name_that_is_near_nothing_gets_no_guess(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--xyzzy", "1"])
    message = capsys.readouterr().err
    assert "did you mean" not in message
    assert "no option --xyzzy; python -m lifelong fit --help.all lists every option" in message


def test_a_name_inside_an_option_is_told_whole(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--strategies", "Replay", "--strategies.xyzzy.examples", "50"])
    message = capsys.readouterr().err
    assert "there is no option --strategies.xyzzy.examples;" in message
    assert "did you mean" not in message


def test_what_a_class_takes_is_told_where_no_name_is_near(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", "--data.sources.xyzzy", "photos"])
    message = capsys.readouterr().err
    assert "no option --data.sources.xyzzy: Glyphs takes styles, n_classes" in message
    assert "python -m lifelong fit --data.sources.help Glyphs says what" in message


def test_a_misspelt_argument_in_a_config_is_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "own.yaml").write_text(
        "model: {class_path: ProtoNet, init_args: {network: {class_path: Conv4, init_args: {norms: group}}}}"
    )
    with pytest.raises(SystemExit):
        main(["fit", "--config", str(tmp_path / "own.yaml")])
    assert "did you mean --model.network.norm?" in capsys.readouterr().err


def test_a_mistyped_command_is_answered(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fitt"])
    assert "there is no command fitt: did you mean fit?" in capsys.readouterr().err
