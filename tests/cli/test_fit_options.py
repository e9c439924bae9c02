"""Options of ``fit`` that a sweep is about to give, checked without making anything."""

from __future__ import annotations

import pytest

from lifelong.cli.fit_options import check_fit_options
from tests.command_line import TINY


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--optimizer.lrr", "0.1"], r"there is no option --optimizer\.lrr: did you mean --optimizer\.lr\?"),
        (["--data.n_way=2.5"], r"--data\.n_way is 2\.5: it must be a whole number"),
        (["--strategies+=EWCC"], r"there is no class EWCC for strategies: did you mean EWC\?"),
        (["--seed_everything", "1"], "seed_everything"),
    ],
)
def test_options_that_fit_refuses_are_one_sentence(options: list[str], message: str) -> None:
    check_fit_options(TINY)
    with pytest.raises(ValueError, match=message) as refused:
        check_fit_options([*TINY, *options])
    assert "\n" not in str(refused.value)
