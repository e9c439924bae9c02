"""Draw the way of a batch, ``docs/pictures/way_of_a_batch.svg``: python docs/pictures/way_of_a_batch.py."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

LANES = {
    "DataModule": "#d7e8fb",
    "Strategies": "#fbe3d0",
    "TaskRunner and Learner": "#dcf1dc",
    "StreamModule and Trainer": "#e6e0f5",
}
"""Who acts, and the fill of its boxes: dark letters on it are readable wherever the picture stands."""
STEPS = (
    (0, "draw", "B tasks, by seed and number"),
    (1, "rehearse", "rows of the memory join the batch"),
    (2, "runner.training_losses", "B tasks: loop, vmap, or chunks"),
    (1, "route", "parameters, by ONE support set"),
    (2, "adapt → predict → loss", "ONE task: support → state → queries"),
    (1, "loss_weight, penalty", "weight · mean(losses) + penalty"),
    (3, "backward", "gradients, over all processes"),
    (1, "observe, project", "gradients are seen, and changed"),
    (3, "optimizer step", "and the learning-rate schedule"),
    (1, "stepped", "after the step, by its position"),
    (3, "checkpoint", "weights, memories, position"),
)
AFTER = (
    (1, "end", "what to remember of the experience"),
    (0, "fixed tasks", "of each domain, always the same"),
    (1, "respond", "the strategy's own answers, or none"),
    (2, "runner.scores", "adapt → predict → score"),
    (1, "diagnose", "further measures"),
    (3, "Evaluator → Results", "a row of the matrix → results.json"),
)
WIDTH, LANE, ROW, BOX, TOP = 1000, 250, 64, 50, 62
GREY = "#7d8590"
"""Of lines and of letters outside boxes: in the middle between white and black pages."""


def text(x: float, y: float, words: str, size: float, colour: str, weight: str = "normal") -> str:
    """Return a line of words around a point."""
    style = f'font-size="{size}" font-weight="{weight}" fill="{colour}" text-anchor="middle"'
    return f'<text x="{x:.0f}" y="{y:.0f}" {style}>{escape(words)}</text>'


def box(lane: int, y: float, name: str, says: str) -> str:
    """Return a box in a lane, with what happens in it."""
    x, fill = lane * LANE + 8, [*LANES.values()][lane]
    shape = f'<rect x="{x}" y="{y}" width="{LANE - 16}" height="{BOX}" rx="7" fill="{fill}" stroke="{GREY}"/>'
    middle = x + LANE / 2 - 8
    lines = [text(middle, y + 20, name, 14, "#16191d", "bold"), text(middle, y + 38, says, 12, "#16191d")]
    return "\n".join([shape, *lines])


def arrow(lane: int, y: float, to_lane: int, to_y: float) -> str:
    """Return an arrow from the foot of a box to the head of the next."""
    x, to_x = lane * LANE + LANE / 2, to_lane * LANE + LANE / 2
    middle = (y + to_y) / 2
    path = f"M{x:.0f},{y:.0f} V{middle:.0f} H{to_x:.0f} V{to_y - 5:.0f}"
    return f'<path d="{path}" fill="none" stroke="{GREY}" stroke-width="1.6" marker-end="url(#tip)"/>'


def drawing() -> str:
    """Return the picture as SVG."""
    parts = [text(n * LANE + LANE / 2, 24, name, 15, GREY, "bold") for n, name in enumerate(LANES)]
    y, before = float(TOP), None
    for title, steps in (("each step", STEPS), ("after the last step of an experience", AFTER)):
        parts.append(text(WIDTH / 2, y - 8, title, 13, GREY))
        for lane, name, says in steps:
            if before is not None:
                parts.append(arrow(before[0], before[1] + BOX, lane, y))
            parts.append(box(lane, y, name, says))
            before, y = (lane, y), y + ROW
        y, before = y + 30, None
    height = y - 30
    tip = f'<path d="M0,0 L8,4 L0,8 z" fill="{GREY}"/>'
    tip = f'<marker id="tip" markerWidth="8" markerHeight="8" refX="4" refY="4" orient="auto">{tip}</marker>'
    shape = f'viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {shape} font-family="sans-serif" role="img">'
    title = "<title>The way of a batch through data, strategies, runner, learner and Trainer</title>"
    return "\n".join([head, title, f"<defs>{tip}</defs>", *parts, "</svg>", ""])


if __name__ == "__main__":
    Path(__file__).with_suffix(".svg").write_text(drawing(), encoding="utf-8")
