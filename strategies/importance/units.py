"""How many units of an experience an importance estimate at its end is made from."""

from __future__ import annotations

from lifelong.data.position import Visit


def count_units(visit: Visit, asked: int | None, option: str) -> int:
    """Return as many as asked for; where None all labelled examples of the experience.

    Args:
        visit: to the experience.
        asked: tasks or examples over all processes.
        option: the name of the setting, for the message.

    Raises:
        ValueError: when there is no number of them: tasks can be drawn without end.

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
