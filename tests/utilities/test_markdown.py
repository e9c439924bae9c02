"""Tables in Markdown have as many cells as they were given."""

from __future__ import annotations

import re

from lifelong.utilities.markdown import markdown_table


def test_a_bar_in_a_cell_begins_no_other() -> None:
    lines = markdown_table(["a|b", "c"], [["x", "y|z"], ["", "1"]]).splitlines()
    assert [len(re.split(r"(?<!\\)\|", line)) for line in lines] == [4] * 4
    assert lines[2] == r"| x | y\|z |"
