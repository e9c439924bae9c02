"""All bad inputs that the command line is tried with."""

from __future__ import annotations

from collections import Counter

from tests.bad_input import arrays, checkpoints, configs, extensions, images, options, photos, plugins, questions, texts
from tests.bad_input.case import Case

GROUPS: dict[str, list[Case]] = {
    "options": options.CASES,
    "plug-ins": plugins.CASES,
    "arrays": arrays.CASES,
    "images": images.CASES,
    "photos": photos.CASES,
    "texts": texts.CASES,
    "configs": configs.CASES,
    "checkpoints": checkpoints.CASES,
    "extensions": extensions.CASES,
    "questions": questions.CASES,
}
"""By what is bad."""
CASES: list[Case] = [case for cases in GROUPS.values() for case in cases]
"""In one list."""


def count() -> dict[str, int]:
    """Return how many cases each group has."""
    return {name: len(cases) for name, cases in GROUPS.items()}


def twice() -> list[str]:
    """Return the names of cases that are not the only ones of their name."""
    return [name for name, number in Counter(case.name for case in CASES).items() if number > 1]
