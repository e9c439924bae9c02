"""The record of a stream: what a checkpoint keeps of it, so that a model answers by name without its data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from typing_extensions import Self

from lifelong.data.kinds import StreamKind, Unit
from lifelong.data.pool import TaskShape
from lifelong.data.stream import Experience


@dataclass(frozen=True)
class StreamRecord:
    """Describe what a learner was taught: the classes of a stream, by name and by experience.

    Args:
        unit: few-shot tasks, or labelled examples.
        kind: what increases along the stream.
        fixed_ways: every task has all classes, each always the same way.
        is_regression: real targets are learnt, and no classes.
        n_way: classes of a training task; None for labelled examples.
        n_shot: support examples per class of a training task; None for labelled examples.
        classes: names of the training classes, by their number in the stream.
        experiences: their names, in order.
        classes_of: the numbers of the classes of each experience.
        n_learnt: so many experiences were begun when the checkpoint was written.

    Example:
        >>> names, of_each = ("apple", "grape"), ((0,), (1,))
        >>> record = StreamRecord("examples", "class", False, False, None, None, names, ("x", "y"), of_each, 1)
        >>> record.learnt_classes
        (0,)
    """

    unit: Unit
    kind: StreamKind
    fixed_ways: bool
    is_regression: bool
    n_way: int | None
    n_shot: int | None
    classes: tuple[str, ...]
    experiences: tuple[str, ...]
    classes_of: tuple[tuple[int, ...], ...]
    n_learnt: int

    @classmethod
    def of(
        cls,
        experiences: Sequence[Experience],
        unit: Unit,
        kind: StreamKind,
        *,
        fixed_ways: bool,
        shape: TaskShape | None,
    ) -> Self:
        """Return the record of a stream that is learnt to its end.

        Args:
            experiences: all of them.
            unit: few-shot tasks, or labelled examples.
            kind: what increases along the stream.
            fixed_ways: every task has all classes, each always the same way.
            shape: of a training task.
        """
        names: dict[int, list[str]] = {}
        for pool in (pool for experience in experiences for pool in experience.pools):
            for number, name in zip(pool.numbers.tolist(), pool.names, strict=True):
                known = names.setdefault(number, [])
                # Variants of a class have one name, its first; domains may call a class that they share differently.
                if name not in known and (pool.n_variants == 1 or not known):
                    known.append(name)
        numbers = [{number for pool in e.pools for number in pool.numbers.tolist()} for e in experiences]
        return cls(
            unit,
            kind,
            fixed_ways,
            any(pool.is_regression for experience in experiences for pool in experience.pools),
            None if shape is None else shape.n_way,
            None if shape is None else shape.n_shot,
            _told_apart(
                [" or ".join(names.get(number, ("",))) for number in range(max(names, default=-1) + 1)],
                experiences,
                numbers,
            ),
            tuple(experience.name for experience in experiences),
            tuple(tuple(sorted(some)) for some in numbers),
            len(experiences),
        )

    @property
    def learnt_classes(self) -> tuple[int, ...]:
        """Return the numbers of the classes that were taught so far."""
        return tuple(sorted({number for some in self.classes_of[: self.n_learnt] for number in some}))

    @property
    def learnt_experiences(self) -> tuple[str, ...]:
        """Return the names of the experiences that were begun so far."""
        return self.experiences[: self.n_learnt]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data, for checkpoints."""
        plain = {"classes": list(self.classes), "experiences": list(self.experiences)}
        return asdict(self) | plain | {"classes_of": [list(some) for some in self.classes_of]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Make a record of what :meth:`to_dict` returned."""
        try:
            lists = {name: tuple(content[name]) for name in ("classes", "experiences")}
            return cls(**{**content, **lists, "classes_of": tuple(tuple(some) for some in content["classes_of"])})
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"what the checkpoint says of its stream cannot be read ({error}): it was changed, or a newer version "
                "has written it; give another checkpoint, or install that version"
            ) from error


def _told_apart(
    classes: Sequence[str], experiences: Sequence[Experience], numbers: Sequence[set[int]]
) -> tuple[str, ...]:
    """Return the names of classes, with the experience where several classes have the same one."""
    several = {name for name, n in Counter(classes).items() if n > 1}
    first = {n: e.name for e, some in reversed(list(zip(experiences, numbers, strict=True))) for n in some}
    return tuple(f"{name} ({first[n]})" if name in several and n in first else name for n, name in enumerate(classes))
