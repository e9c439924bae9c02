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
    assert "no option --xyzzy; python -m lifelong fit --help lists every option" in message
