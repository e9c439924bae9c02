"""What is wrong with the value of an option is one sentence, made of the parser's listing."""

from __future__ import annotations

from argparse import ArgumentError

import pytest

from lifelong.cli.parser import parse
from lifelong.cli.wrong_value import wrong_value
from tests.command_line import TINY

OF_PROTONET = " python -m lifelong fit --model.help ProtoNet says what each of its options does"


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("seed=abc", "--seed is abc: it must be a whole number;"),
        ("seed=", "--seed is empty: it must be a whole number;"),
        ("data.evaluate_on=train", "--data.evaluate_on is train: it must be one of val, test;"),
        ("data.joint=2", "--data.joint is 2: it must be true or false;"),
        ("data.split=[0.25]", "--data.split is [0.25]: it must be a list of 2;"),
        ("optimizer.lr=nan", "--optimizer.lr is nan: it must be a number;"),
        ("model.network.hidden=abc", "--model.network.hidden is abc: it must be a list such as [a, b];"),
        (
            "model.tempeature=1",
            "there is no option --model.tempeature: did you mean --model.temperature?" + OF_PROTONET,
        ),
        (
            "model.xyzzy=1",
            "there is no option --model.xyzzy: ProtoNet takes network, distance, temperature;" + OF_PROTONET,
        ),
        ("model=torch.nn.Linear", "--model is torch.nn.Linear, which is no Learner;"),
        ("optimizer=torch.nn.Linear", "--optimizer is torch.nn.Linear, which is no Optimizer;"),
        ("model=nothing.Here", "there is no class nothing.Here for model: no module of the name nothing is installed;"),
        ("lr_scheduler=StepLR", "--lr_scheduler.step_size is missing: StepLR cannot be made without it;"),
        ("trainer.gradient_clip_val=x", "--trainer.gradient_clip_val is x: it must be a number;"),
        ("model=Nothing", None),
        ("strategies=[Nothing]", None),
        ("xyzzy=1", None),
    ],
)
def test_a_wrong_value_is_named_with_what_is_right(option: str, sentence: str | None) -> None:
    with pytest.raises(ArgumentError) as caught:
        parse("fit", [*TINY, f"--{option}"])
    assert wrong_value(str(caught.value)) == sentence


def test_a_long_value_is_cut() -> None:
    answer = wrong_value(f"Parser key \"seed\":\n  Expected a <class 'int'>. Got value: {'x' * 1000}")
    assert answer is not None
    assert len(answer) < 300
