"""Number of units from which importance is estimated at the end of an experience."""

from __future__ import annotations

from lifelong.data.position import Visit


def count_units(visit: Visit, asked: int | None, option: str) -> int:
    """Return the number of units, by default the number of labelled examples of the experience.

    Args:
        visit: the visit to the experience.
        asked: tasks or examples over all processes. If None, all labelled examples.
        option: name of the setting, for the message.

    Raises:
        ValueError: when the number is None for few-shot tasks, which can be drawn without end.

    Example:
        >>> from lifelong.data.stream import Experience
        >>> count_units(Visit(Experience(0, "toy", ()), 1, 0, lambda *_: iter(())), 100, "n_tasks")
        100
    """
    if asked is not None:
        return asked
    if visit.ways is None:
        raise ValueError(
            f"{option} is not set, which stands for all examples of an experience, but few-shot tasks can be drawn "
            "from it without end: set it to a number, such as 100"
        )
    return sum(len(pool) for pool in visit.experience.pools)
