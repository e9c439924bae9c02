"""What happens on the page: classes at any time, examples, answers and why, and mistakes in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import lifelong
from lifelong.run.model import Model
from lifelong.serve import session as session_module
from lifelong.serve.session import Session
from tests.serve.photos import photo

pytestmark = pytest.mark.filterwarnings("ignore")
Models = Callable[[str], Model]


def taught(models: Models, kinds: tuple[str, ...] = ("melon", "brick")) -> Session:
    session = Session(models("images"))
    for name in kinds:
        number = session.add_class(name)
        for shot in range(3):
            session.add_example(number, photo(name, 20 + shot))
    return session


def test_a_photo_is_answered_as_the_model_answers_it(models: Models, tmp_path: Path) -> None:
    session = taught(models)
    answer = session.ask(photo("brick", 30))
    files: dict[str, list[Path]] = {}
    for name in ("melon", "brick"):
        for shot in range(3):
            files.setdefault(name, []).append(tmp_path / f"{name}{shot}.png")
            files[name][-1].write_bytes(photo(name, 20 + shot))
    (tmp_path / "query.png").write_bytes(photo("brick", 30))
    wanted = models("images").adapt(files).predict(tmp_path / "query.png")
    assert answer["label"] == wanted.labels[0]
    given = {bar["name"]: bar["value"] for bar in answer["probabilities"]}
    assert torch.allclose(torch.tensor([given["melon"], given["brick"]]), wanted.probabilities[0])
    values = [bar["value"] for bar in answer["probabilities"]]
    assert values == sorted(values, reverse=True)


def test_the_nearest_example_of_a_photo_is_itself(models: Models) -> None:
    session = taught(models)
    nearest = session.ask(photo("melon", 21))["nearest"]
    assert nearest[0]["class"] == "melon"
    assert nearest[0]["distance"] == pytest.approx(0, abs=1e-4)
    assert [n["distance"] for n in nearest] == sorted(n["distance"] for n in nearest)
    assert session.picture(nearest[0]["id"]).startswith(b"\xff\xd8")  # JPEG


def test_new_classes_change_the_answer_at_any_time(models: Models) -> None:
    session = taught(models)
    assert session.ask(photo("slate", 30))["label"] != "slate"
    number = session.add_class("slate")
    place = session.add_example(number, photo("slate", 30))
    assert session.ask(photo("slate", 30))["label"] == "slate"
    session.remove_example(place)
    assert session.ask(photo("slate", 30))["label"] != "slate"
    session.add_example(number, photo("slate", 30))
    session.rename_class(number, " roof  slate ")
    assert session.ask(photo("slate", 30))["label"] == "roof slate"
    session.remove_class(number)
    assert [group["name"] for group in session.state()["classes"]] == ["melon", "brick"]
    assert session.ask(photo("slate", 30))["label"] in ("melon", "brick")


def test_an_answer_needs_two_classes_with_examples(models: Models) -> None:
    session = Session(models("images"))
    number = session.add_class("melon")
    session.add_example(number, photo("melon", 20))
    assert session.state()["missing"] == "make two classes at least, and give photos of each"
    with pytest.raises(ValueError, match="make two classes at least"):
        session.ask(photo("melon", 20))
    empty = session.add_class("brick")
    assert session.state()["missing"] is not None
    session.add_example(empty, photo("brick", 20))
    assert session.state()["missing"] is None


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda s: s.add_class("  "), "needs a name"),
        (lambda s: s.add_class("a\x00b"), "needs a name"),
        (lambda s: s.add_class("x" * 81), "81 characters"),
        (lambda s: s.add_class("melon"), "is a class 'melon' already"),
        (lambda s: s.add_example(999, photo("melon", 1)), "class is gone"),
        (lambda s: s.remove_example(999), "example is gone"),
        (lambda s: s.remove_class(999), "class is gone"),
        (lambda s: s.picture(999), "example is gone"),
        (lambda s: s.add_example(1, b"no photo"), "no photo that can be read"),
        (lambda s: s.ask(b""), "no photo that can be read"),
    ],
)
def test_mistakes_are_one_sentence_and_change_nothing(models: Models, act: Any, message: str) -> None:
    session = taught(models)
    before = session.state()
    with pytest.raises(ValueError, match=message) as caught:
        act(session)
    assert "\n" not in str(caught.value)
    assert session.state() == before


def test_examples_are_limited(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "MOST_EXAMPLES", 6)
    monkeypatch.setattr(session_module, "MOST_CLASSES", 2)
    session = taught(models)
    with pytest.raises(ValueError, match="6 examples, and no more fit"):
        session.add_example(1, photo("melon", 25))
    with pytest.raises(ValueError, match="2 classes, and no more fit"):
        session.add_class("slate")


def test_texts_are_taught_and_asked(models: Models) -> None:
    session = Session(models("texts"))
    good, bad = session.add_class("good"), session.add_class("bad")
    session.add_example(good, b"a lovely drill")
    session.add_example(bad, b"a poor drill")
    answer = session.ask(b"a lovely drill")
    assert answer["label"] == "good"
    assert (answer["nearest"][0]["text"], answer["nearest"][0]["class"]) == ("a lovely drill", "good")
    for content, message in (
        (b" ", "the text is empty"),
        (b"\xff\xfe", "no text in UTF-8"),
        (b"a" * 100_001, "100001"),
    ):
        with pytest.raises(ValueError, match=message):
            session.ask(content)
    with pytest.raises(ValueError, match="has no picture"):
        session.picture(answer["nearest"][0]["id"])


def test_a_model_that_knows_its_classes_is_asked_alone(models: Models) -> None:
    session = Session(models("labelled"))
    state = session.state()
    assert not state["learns"]
    assert "melon" in state["known"]
    answer = session.ask(photo("melon", 30))
    assert answer["nearest"] == []
    assert len(answer["probabilities"]) == len(state["known"])
    with pytest.raises(ValueError, match="knows its classes"):
        session.add_class("slate")


def test_the_saved_file_answers_as_the_page(models: Models, tmp_path: Path) -> None:
    session = taught(models)
    (tmp_path / "mine.model").write_bytes(session.model_file())
    (tmp_path / "query.png").write_bytes(photo("brick", 30))
    model = lifelong.load(tmp_path / "mine.model").model
    answers = model.predict(tmp_path / "query.png")
    page = {bar["name"]: bar["value"] for bar in session.ask(photo("brick", 30))["probabilities"]}
    assert [page[name] for name in answers.classes] == pytest.approx(answers.probabilities[0].tolist())
    again = Session(model)
    assert again.state()["known"] == ["melon", "brick"]
    assert again.ask(photo("brick", 30))["label"] == session.ask(photo("brick", 30))["label"]
