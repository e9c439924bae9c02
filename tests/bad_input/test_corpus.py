"""Each bad input is one sentence that names the file, the option and the way out, and none is a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.bad_input.case import Answer, Case, answer, problems
from tests.bad_input.corpus import CASES, GROUPS, count, twice

pytestmark = pytest.mark.filterwarnings("ignore")


def _parameter(case: Case) -> ParameterSet:
    """A tenth of a second each: ranges of plug-ins, which ``test_properties`` tries without the command line, wait."""
    return pytest.param(case, id=case.name, marks=[pytest.mark.slow] if case in GROUPS["plug-ins"] else [])


@pytest.mark.parametrize("case", [_parameter(case) for case in CASES])
def test_bad_input_is_one_sentence(case: Case, tmp_path: Path) -> None:
    assert problems(case, answer(case, tmp_path)) == []


def test_the_corpus_has_three_hundred_different_cases() -> None:
    assert sum(count().values()) >= 300
    assert twice() == []


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (Answer(1, ("error: a is 0",), "Traceback (most recent call last)", 0.1), "a traceback"),
        (Answer(0, (), None, 0.1), "it is accepted"),
        (Answer(1, ("error: a is 0", "at least 1"), None, 0.1), "2 lines"),
        (Answer(1, ("error: b is 0",), None, 0.1), "'a' is not in"),
        (Answer(2, ("error: a is <class 'int'>",), None, 0.1), "words of Python's"),
        (Answer(1, ("error: a is 0",), None, 100.0), "100 seconds"),
    ],
)
def test_what_is_wrong_with_an_answer_is_found(given: Answer, problem: str) -> None:
    case = Case("a", (), ("a",))
    assert any(found.startswith(problem) for found in problems(case, given))
    assert problems(case, Answer(1, ("error: a is 0: at least 1",), None, 0.1)) == []
