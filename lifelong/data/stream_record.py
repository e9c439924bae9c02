"""The record of a stream in a checkpoint, with which a model predicts class names without the data."""

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
    """Describe what a learner was trained on: the classes of a stream, by name and by experience.

    Args:
        unit: few-shot tasks, or labelled examples.
        kind: kind of stream.
        fixed_ways: every task has all classes, each always as the same way.
        is_regression: whether the stream has real targets instead of classes.
        n_way: classes of a training task; None for labelled examples.
        n_shot: support examples per class of a training task; None for labelled examples.
        classes: names of the training classes, by index in the stream.
        experiences: names of the experiences, in order.
        classes_of: indices of the classes of each experience.
        n_learnt: number of experiences that had begun when the checkpoint was written.

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
        """Return the record of a completely learnt stream.

        Args:
            experiences: all experiences.
            unit: few-shot tasks, or labelled examples.
            kind: kind of stream.
            fixed_ways: every task has all classes, each always as the same way.
            shape: shape of a training task.
        """
        names: dict[int, list[str]] = {}
        for pool in (pool for experience in experiences for pool in experience.pools):
            for number, name in zip(pool.numbers.tolist(), pool.names, strict=True):
                known = names.setdefault(number, [])
                # Variants of a class have the first one's name; domains may have different names for a shared class.
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
        """Return the indices of the classes learnt so far."""
        return tuple(sorted({number for some in self.classes_of[: self.n_learnt] for number in some}))

    @property
    def learnt_experiences(self) -> tuple[str, ...]:
        """Return the names of the experiences begun so far."""
        return self.experiences[: self.n_learnt]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain data, for checkpoints."""
        plain = {"classes": list(self.classes), "experiences": list(self.experiences)}
        return asdict(self) | plain | {"classes_of": [list(some) for some in self.classes_of]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Create a record from the result of :meth:`to_dict`."""
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
    """Return the names of classes, adding the experience to names that several classes share."""
    several = {name for name, n in Counter(classes).items() if n > 1}
    first = {n: e.name for e, some in reversed(list(zip(experiences, numbers, strict=True))) for n in some}
    return tuple(f"{name} ({first[n]})" if name in several and n in first else name for n, name in enumerate(classes))
