from __future__ import annotations

import math
import shlex

from docs.generate.markup import estimate, fenced, shell
from lifelong.evaluation.estimate import Estimate


def test_long_command_is_broken_between_its_words() -> None:
    words = ["fit", *(part for n in range(12) for part in (f"--option{n}", f"['a', 'the value {n}']"))]
    lines = shell(words).splitlines()[1:-1]
    assert len(lines) > 2
    assert all(len(line) <= 82 for line in lines)
    assert shlex.split("\n".join(lines).replace("\\\n", "")) == ["python", "-m", "lifelong", *words]


def test_figures_have_the_places_that_their_interval_knows() -> None:
    assert estimate(Estimate(80.94, 0.0512)) == "80.94 ± 0.05"
    assert estimate(Estimate(80.94, 0.12)) == "80.9 ± 0.1"
    assert estimate(Estimate(80.94, math.nan)) == "80.9"
    assert estimate(Estimate(math.nan, math.nan, "it was not measured")) == "n/a"


def test_no_code_is_no_block() -> None:
    assert fenced("sh", "") == ""
    assert fenced("sh", "ls") == "```sh\nls\n```"
