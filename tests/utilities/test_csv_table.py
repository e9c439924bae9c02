"""What is written as comma-separated values is read again as it was."""

from __future__ import annotations

import csv
import io

from lifelong.utilities.csv_table import csv_table


def test_every_text_is_read_again() -> None:
    rows = [['a "b", c', "two\nlines", ""], ["ä", "1,5", "-0.1 ± 0.7"]]
    text = csv_table(["x", "y, z", '"'], rows)
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["x", "y, z", '"'], *rows]
    assert "\r" not in text  # terminals and diffs show it
