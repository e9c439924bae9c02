"""Results of streams that were never learnt, and pages read back."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np

from lifelong.evaluation.results import Results
from lifelong.evaluation.setting import Setting

EVIL = "</script><script>document.title='broken'</script> & \"<b>bold</b>\" {{ 7 * 7 }} %{x} $x$"


def drawn(n: int, seed: int = 0, **setting: Any) -> Results:
    """Results of ``n`` domains, whose scores fall a little with every further experience."""
    rng = np.random.default_rng(seed)
    names = tuple(f"domain {i + 1}" for i in range(n))
    age = np.arange(n)[:, None] - np.arange(n)
    means = np.where(age >= 0, 0.9 - 0.02 * age, 0.3)
    rows = [np.clip(row[:, None] + rng.normal(0, 0.05, (n, 6)), 0, 1) for row in means]
    kept = Setting(
        names,
        names,
        score="accuracy",
        percent=True,
        part="test",
        evaluation="6 test tasks a domain",
        n_eval_units=(6,) * n,
        learner="ProtoNet",
        strategies=("Replay",),
        strategy_bytes={"Replay": 1_553_000},
        parameters=112_000,
        wall_seconds=93.0,
        versions={"torch": "2.4"},
        machine={"cores": "2"},
        config={"seed": seed, "strategies": [{"class_path": "strategies.Replay"}]},
    )
    return Results(replace(kept, **setting), {"score": rows}, rows[0] - 0.2)


def in_one_row(results: Results, **setting: Any) -> Results:
    """The last row of results alone."""
    return Results(replace(results.setting, **setting), {"score": results.rows["score"][-1:]})


class Page(HTMLParser):
    """Read a page back.

    Args:
        text: of the page.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.figures: dict[str, Any] = {}
        self.tables: dict[str, list[list[str]]] = {}
        self.texts: dict[str, list[str]] = {}
        self._tag, self._table, self._script, self._in_cell = "", "", "", False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.attributes += [(tag, name, value) for name, value in given.items()]
        self._tag = tag
        if tag == "table":
            self._table = given.get("id", f"table {len(self.tables)}")
            self.tables[self._table] = []
        if tag == "tr":
            self.tables[self._table].append([])
        if tag in ("td", "th"):
            self.tables[self._table][-1].append("")
            self._in_cell = True
        self._script = given.get("id", "") if tag == "script" else ""

    def handle_endtag(self, tag: str) -> None:
        self._tag = "" if tag == "script" else self._tag
        self._in_cell = self._in_cell and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.tables[self._table][-1][-1] += data
        elif self._tag == "script":
            if self._script:
                self.figures[self._script.removesuffix("-data")] = json.loads(data)
        elif data.strip():
            self.texts.setdefault(self._tag, []).append(data.strip())

    def body(self, table: str) -> list[list[str]]:
        """The rows of a table without its head."""
        return self.tables[table][1:]
