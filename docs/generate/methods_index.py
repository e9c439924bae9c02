"""The page that lists all learners and strategies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import PurePosixPath

from docs.generate.catalogue import Method
from docs.generate.docstring import to_markdown
from docs.generate.markup import styled, table

INTRODUCTION = """\
# Methods

A *learner* builds a mapping from a support set and applies it; a *strategy* is a plug-in against catastrophic
forgetting. They can be combined freely; an invalid combination raises an error that explains why. Each page has the
formula, the paper and the differences from it, our results next to the published ones, the cost, all options, and a
command to run the method."""
TITLES = {"learner": "Learners", "strategy": "Strategies"}


def methods_index(methods: Sequence[Method], recorded: Mapping[str, int], documented: Mapping[str, str]) -> str:
    """Write the index of methods, as Markdown.

    Args:
        methods: all methods, by role and kind.
        recorded: number of recorded rows by method name.
        documented: as for :func:`docs.generate.docstring.to_markdown`.
    """
    parts = [INTRODUCTION]
    for role, of_role in groupby(methods, lambda method: method.role):
        parts.append(f"## {TITLES[role]}")
        for kind, of_kind in groupby(of_role, lambda method: method.kind):
            rows = [
                [
                    f"[{method.name}]({PurePosixPath(method.page).name})",
                    to_markdown(method.docstring.summary, documented),
                    method.docstring.paper or "–",
                    str(recorded[method.name] or "–"),
                ]
                for method in of_kind
            ]
            columns = [role, "what it does", "paper", "recorded rows"]
            parts += [f"### {kind}", styled("sentences", table(columns, rows))]
    return "\n\n".join(parts) + "\n"
