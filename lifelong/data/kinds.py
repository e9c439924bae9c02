"""The kinds of streams, of units and of evaluation parts."""

from __future__ import annotations

from typing import Literal

Part = Literal["val", "test"]
"""The part of a domain that is evaluated."""
Split = Literal["train", "val", "test"]
"""The parts that a domain is split into."""
Support = Literal["held_out", "train"]
"""Source of the support sets of evaluation tasks: the evaluated part, or the training part."""
Unit = Literal["tasks", "examples"]
"""Few-shot tasks, or labelled examples."""
StreamKind = Literal["few-shot", "class", "domain", "task"]
"""Few-shot tasks, or labelled examples in the class-, domain- or task-incremental scenario."""
EVERY_STREAM: frozenset[StreamKind] = frozenset(("few-shot", "class", "domain", "task"))
EXAMPLE_STREAMS: frozenset[StreamKind] = frozenset(("class", "domain", "task"))
DISJOINT_STREAMS: frozenset[StreamKind] = frozenset(("class", "task"))
"""Kinds in which every experience has its own outputs, which earlier experiences do not train."""
