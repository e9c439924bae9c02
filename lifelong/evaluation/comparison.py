"""Comparison: methods beside each other, each over its seeds, and their paired differences on the same units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lifelong.evaluation.compared import Difference, Method, Procedure


@dataclass(frozen=True, eq=False)
class Comparison:
    """Hold methods beside each other: what each measured, and how much better it is than one of them.

    Args:
        rows: the methods.
        differences: of every method but the one that the others are compared with, in the order of the rows.
        against: label of that one.
        warnings: a sentence for everything that makes runs not comparable.
        notes: a sentence for what else a reader must know, such as why a metric is not available.
        config_differences: what differs between the configs of the methods: by dotted key, then by label, as text;
            empty text where a method has no such key.
        procedure: how intervals and p values were computed.
    """

    rows: tuple[Method, ...]
    differences: tuple[Difference, ...]
    against: str
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    config_differences: Mapping[str, Mapping[str, str]]
    procedure: Procedure
