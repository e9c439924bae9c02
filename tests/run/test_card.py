"""Model cards: what a model is, in the words of what it reads."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from lifelong.run.card import write_card

CONFIG = {"model": {"class_path": "lifelong.learners.ProtoNet"}, "strategies": ["strategies.Replay"]}


def card(reads: Any = "images", **options: Any) -> str:
    given: dict[str, Any] = {"needs_support": True, "adapted_to": None, "results": None, "unit": "5-way 1-shot tasks"}
    return write_card("mine", CONFIG, {"fruit": ["apple", "lime"]}, reads=reads, **(given | options))


@pytest.mark.parametrize(
    ("reads", "command"),
    [("images", "--support FOLDER --query FOLDER"), ("texts", "--support TABLE --query TABLE"), (None, "")],
)
def test_the_commands_ask_about_what_the_model_reads(reads: Any, command: str) -> None:
    text = card(reads)
    assert ("python -m lifelong predict" in text) == (reads is not None)
    assert command in text
    assert (".jpg" in text) == (reads == "images")
    assert yaml.safe_load(text.split("---")[1])["tags"][3:] == ["ProtoNet", "Replay"]


def test_an_adapted_model_says_what_it_answers() -> None:
    text = card(needs_support=False, adapted_to=["melon", "tile"])
    assert "answers among melon, tile." in text
    assert text.index("What it answers") < text.index("What it was taught")
    assert "support" not in text.split("## How to use it")[1]
    assert "What it answers" not in card()
