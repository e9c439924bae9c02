"""Draw the diagrams of docs/concepts.md as SVG: python docs/pictures/diagrams.py."""

from __future__ import annotations

from pathlib import Path

INK, GREY, BLUE, ORANGE, PAPER = "#1f2430", "#8a90a0", "#2f6fde", "#d9822b", "#ffffff"
MATRIX = ((80, 40, 30), (90, 85, 35), (60, 75, 95))
"""The worked example, in per cent: row ``i`` after experience ``i``, column ``j`` on domain ``j``."""


def text(
    x: float, y: float, words: str, *, size: int = 15, colour: str = INK, style: str = "", at: str = "middle"
) -> str:
    """Return a line of text."""
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}" text-anchor="{at}" {style}>{words}</text>'


def box(x: float, y: float, width: float, height: float, *, fill: str, line: str = "none") -> str:
    """Return a rectangle with round corners."""
    place = f'x="{x}" y="{y}" width="{width}" height="{height}" rx="6"'
    return f'<rect {place} fill="{fill}" stroke="{line}" stroke-width="2"/>'


def picture(width: int, height: int, title: str, parts: list[str]) -> str:
    """Return a whole picture on paper of its own, so that it is read on a dark page too."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="Helvetica, Arial, sans-serif" role="img" aria-label="{title}"><title>{title}</title>'
    )
    return "\n".join([head, box(0, 0, width, height, fill=PAPER), *parts, "</svg>"]) + "\n"


def matrix_parts() -> str:
    """Return the worked accuracy matrix with the parts that metrics are read off."""
    left, top, cell = 180, 70, 72
    parts = [text(left + 1.5 * cell, 28, "tested on domain …", colour=GREY)]
    parts += [text(left + (j + 0.5) * cell, 56, str(j + 1), colour=GREY) for j in range(3)]
    for i, row in enumerate(MATRIX):
        parts.append(text(left - 14, top + (i + 0.6) * cell, f"after experience {i + 1}", colour=GREY, at="end"))
        for j, value in enumerate(row):
            fill = "#fdeeda" if i == 2 else "#eef0f4" if j > i else "#f7f8fa"
            line = BLUE if i == j else "none"
            style = 'font-style="italic"' if j > i else 'font-weight="bold"' if i == j else ""
            x, y = left + j * cell, top + i * cell
            parts.append(box(x + 3, y + 3, cell - 6, cell - 6, fill=fill, line=line))
            parts.append(text(x + cell / 2, y + cell / 2 + 7, str(value), size=20, style=style))
    notes = (
        (BLUE, "diagonal: just learnt", "its mean is the learning accuracy"),
        (ORANGE, "last row: at the end", "its mean is the average accuracy"),
        (GREY, "italic: not learnt yet", "the one right above the diagonal: forward transfer"),
        (INK, "down a column: one domain over time", "its best value minus its last: forgetting"),
    )
    for k, (colour, what, meaning) in enumerate(notes):
        y = top + 20 + k * 54
        parts += [box(430, y - 12, 8, 34, fill=colour), text(450, y, what, at="start", style='font-weight="bold"')]
        parts.append(text(450, y + 20, meaning, at="start", size=14))
    return picture(860, 310, "An accuracy matrix of three domains, and the parts that metrics are read off", parts)


def scenarios() -> str:
    """Return what a digit of the second experience is told apart from, in the three scenarios."""
    asked = (
        ("task-incremental", "told: it is of experience 2", ("2", "3")),
        ("domain-incremental", "not told; two answers for all", ("first of its pair", "second of its pair")),
        ("class-incremental", "not told; all classes so far", ("0", "1", "2", "3")),
    )
    parts = [text(20, 36, "the stream:", at="start", colour=GREY)]
    for k, pair in enumerate(("0, 1", "2, 3")):
        x = 120 + k * 190
        parts += [
            box(x, 14, 180, 34, fill="#eaf1fd", line=BLUE),
            text(x + 90, 37, f"experience {k + 1}: {pair}"),
        ]
    parts += [text(510, 37, "now a drawn 2: which is it?", at="start")]
    for row, (name, told, answers) in enumerate(asked):
        y = 78 + row * 62
        parts += [
            text(20, y + 18, name, at="start", style='font-weight="bold"'),
            text(20, y + 38, told, at="start", size=13),
        ]
        width = 500 / len(answers) - 10
        for k, answer in enumerate(answers):
            right = answer in ("2", "first of its pair")
            x = 300 + k * (width + 10)
            fill, line = ("#fdeeda", ORANGE) if right else ("#f7f8fa", "#d5d9e2")
            parts += [box(x, y, width, 44, fill=fill, line=line), text(x + width / 2, y + 28, answer)]
    return picture(830, 268, "Three scenarios: what competes in the softmax for one example", parts)


PICTURES = {"matrix_parts.svg": matrix_parts, "scenarios.svg": scenarios}

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (Path(__file__).parent / name).write_text(draw(), encoding="utf-8")
