"""The kinds of streams, of units and of evaluation parts."""

from __future__ import annotations

from typing import Literal

Part = Literal["val", "test"]
"""The part of a domain that is evaluated."""
Split = Literal["train", "val", "test"]
"""The parts that a domain is split into."""
Support = Literal["held_out", "train"]
"""Where the support sets of evaluation tasks are drawn from: the part that is evaluated, or the training part."""
Unit = Literal["tasks", "examples"]
"""Few-shot tasks, or labelled examples."""
StreamKind = Literal["few-shot", "class", "domain", "task"]
"""Few-shot tasks, or labelled examples whose classes, domains or tasks increase."""
EVERY_STREAM: frozenset[StreamKind] = frozenset(("few-shot", "class", "domain", "task"))
EXAMPLE_STREAMS: frozenset[StreamKind] = frozenset(("class", "domain", "task"))
DISJOINT_STREAMS: frozenset[StreamKind] = frozenset(("class", "task"))
"""Those whose every experience has outputs of its own, which nothing before it has taught."""
