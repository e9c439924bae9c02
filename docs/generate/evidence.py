"""What a method page says besides recorded runs: values of papers next to ours, and what its tests check."""

from __future__ import annotations

from benchmarks.figures import checklist
from docs.generate.markup import styled, table

ROWS = {"ER": "Replay", "A-GEM": "AGEM", "iCaRL": "ICaRL", "MAML++": "MAML"}
"""For rows of ``reproduced.yaml`` that are not named after a class: the class."""
TESTED = {
    "ERACE": ("er_ace", "compares its loss with the formula"),
    "GDumb": ("gdumb", "checks that it learns old and new classes alike from its memory"),
    "GEM": ("gem", "compares its quadratic program with brute force and the conditions of optimality"),
    "MAS": ("mas", "compares its importance with one computed by hand"),
    "PackNet": ("packnet", "checks that nothing is forgotten, to the last bit"),
    "TUNA": ("tuna", "compares its predictions and its penalty with their definitions"),
    "PromptPool": ("prompt_pool", "checks which prompts each experience changes, and the penalty"),
    "WeightAveraging": ("weight_averaging", "compares its averages with their formulas"),
}
"""The tests of strategies without a recorded run: their file, and what they check."""


def reproduced(name: str) -> str:
    """Return a Markdown table of a method's published and reproduced values. Empty if there are none.

    Args:
        name: class name of the method.
    """
    cells = [line for part in checklist.read_parts() for line in checklist.lines(f"{checklist.NAME}/{part}")]
    rows = [cells_of for cells_of in cells if _class_of(cells_of[0]) == name]
    if not rows:
        return ""
    columns = ["", "published", "reproduced", "agrees", "note"]
    text = "Reproduced next to published values ([how they are compared](../results/reproduced.md)):"
    return f"{text}\n\n{styled('figures', table(columns, rows))}"


def unrecorded(name: str) -> str:
    """Return a sentence that no run of a method is recorded, and what its test checks.

    Args:
        name: class name of the method.

    Example:
        >>> unrecorded("GEM").split(": ")[0]
        'No run is recorded'
    """
    if name not in TESTED:
        return "No run is recorded: the command above runs it."
    file, what = TESTED[name]
    path = f"tests/strategies/test_{file}.py"
    return f"No run is recorded: the command above runs it. [Its test](../../{path}) {what}."


def _class_of(row: str) -> str:
    """Return the class name for the label of a row."""
    first = row.split(",")[0].split(" (")[0]
    return ROWS.get(first, first)
