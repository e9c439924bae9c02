"""The journal of a sweep: once each, by two sweeps at once, and short."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifelong.sweep.journal import Journal, identity


def test_a_line_of_a_journal_has_no_config_and_six_digits(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    one, other = Journal(path), Journal(path)  # two sweeps at once
    one.add("a\u2028b", {"config": {"a": 1}, "matrix": [[1 / 3]]})
    other.add("a\u2028b", {"matrix": [[0.5]]})
    other.add("c", {"matrix": []})
    assert Journal(path).find("a\u2028b") == {"matrix": [[0.333333]]}
    assert Journal(path).find("d") is None
    assert len(path.read_text().splitlines()) == 2
    path.write_text(path.read_text() + '{"run": "d", "resu')
    with pytest.raises(ValueError, match=r"r\.jsonl, line 3 is no record of a run: remove the line"):
        Journal(path)


def test_a_comment_in_a_config_makes_no_other_run(tmp_path: Path) -> None:
    first, second, other = (tmp_path / name for name in ("first.yaml", "second.yaml", "other.yaml"))
    first.write_text("# what it is\nseed: 1\ndata:\n  n_way: 5\n")
    second.write_text("data: {n_way: 5}\nseed: 1\n")
    other.write_text("data: {n_way: 5}\nseed: 2\n")
    assert identity(["--seed", "0"], first) == identity(["--seed", "0"], second)
    assert identity(["--seed", "0"], first) != identity(["--seed", "0"], other)


@pytest.mark.parametrize("content", [b"a: [", b"\xff", b"{1: a, b: c}", b"a: &a [*a]"])
def test_a_config_that_is_none_is_known_by_its_bytes(content: bytes, tmp_path: Path) -> None:
    config = tmp_path / "a.yaml"
    config.write_bytes(content)
    first = identity([], config)
    config.write_bytes(content + b" # other")
    assert identity([], config) != first
