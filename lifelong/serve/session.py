"""The logic of the web page, independent of HTTP: classes, their examples, and predictions with explanations.

Shapes: ``S`` examples, ``*X`` one input, ``D`` features.
"""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lifelong.run.familiarity import embed
from lifelong.run.fitted import Fitted
from lifelong.run.model import Model
from lifelong.serve.uploads import PhotoFile, check_photo, check_size, read_text, small_picture

MOST_CLASSES = 200
MOST_EXAMPLES = 2000
"""Largest number of examples of all classes, which are kept in memory."""
LONGEST_NAME = 80
N_NEAREST = 5


@dataclass
class Example:
    """Hold one example of a class.

    Args:
        x: ``(1, *X)``, as the network takes it.
        picture: a small JPEG. None for a text.
        text: the text. None for a photo.
    """

    x: Tensor
    picture: bytes | None
    text: str | None


@dataclass
class Group:
    """Hold a class with its examples, by their numbers."""

    name: str
    examples: dict[int, Example] = field(default_factory=dict)


class Session:
    """Let a user teach a model their own classes with a few examples of each, at any time, and get predictions.

    It is intended for one user: several users share classes and examples. Everything is in memory, and lost at exit.

    Args:
        model: the model that predicts.

    Raises:
        ValueError: when the model accepts only tensors, which cannot be dropped on a page.
    """

    def __init__(self, model: Model) -> None:
        if model.reads is None:
            raise ValueError("the model takes tensors alone, and nothing that a page can be given: ask it in Python")
        self.model = model
        self._groups: dict[int, Group] = {}
        self._numbers = count(1)
        self._fitted: Fitted | None = None if model.needs_support else model.knowing()
        self._lock = threading.RLock()
        for name in model.fixed_classes or () if model.needs_support else ():
            self._groups[next(self._numbers)] = Group(name)

    # -- state -----------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return everything that the page shows, as plain data."""
        model = self.model
        with self._lock:
            groups = [
                {
                    "id": number,
                    "name": group.name,
                    "examples": [{"id": n, "text": example.text} for n, example in group.examples.items()],
                }
                for number, group in self._groups.items()
            ]
            return {
                "model": type(model.module.learner).__name__,
                "trained_on": model.unit,
                "kind": model.reads,
                "learns": model.needs_support,
                "fixed": model.needs_support and model.fixed_classes is not None,
                "known": [] if model.needs_support else list(model.classes),
                "classes": groups,
                "missing": self._missing(),
            }

    def picture(self, number: int) -> bytes:
        """Return the small JPEG of an example.

        Raises:
            ValueError: when the example does not exist, or is a text.
        """
        with self._lock:
            picture = self._find(number)[1].picture
        if picture is None:
            raise ValueError("the example is a text, and has no picture")
        return picture

    # -- teaching -------------------------------------------------------------------------------------------------

    def add_class(self, name: str) -> int:
        """Add a class and return its number.

        Raises:
            ValueError: when the model cannot learn a user's classes, or the name is invalid or in use.
        """
        with self._lock:
            self._check_learns()
            if self.model.fixed_classes is not None:
                raise ValueError(f"the model has the classes {', '.join(self.model.fixed_classes)} and takes no other")
            if len(self._groups) >= MOST_CLASSES:
                raise ValueError(f"there are {MOST_CLASSES} classes, and no more fit: remove one")
            self._groups[number := next(self._numbers)] = Group(self._check_name(name))
            return number

    def rename_class(self, number: int, name: str) -> None:
        """Rename a class.

        Raises:
            ValueError: as in :meth:`add_class`, and when the class does not exist.
        """
        with self._lock:
            group = self._group(number)
            if self.model.fixed_classes is not None:
                raise ValueError("the names of the classes are those that the model was taught, and stay")
            if name.strip() != group.name:
                group.name = self._check_name(name)
                self._fitted = None

    def remove_class(self, number: int) -> None:
        """Remove a class with its examples.

        Raises:
            ValueError: when the class does not exist, or the model requires it.
        """
        with self._lock:
            group = self._group(number)
            if self.model.fixed_classes is not None:
                raise ValueError(f"the model must have the class {group.name!r}: remove its examples alone")
            del self._groups[number]
            self._fitted = None

    def add_example(self, number: int, content: bytes) -> int:
        """Add an example to a class and return its number.

        Args:
            number: number of the class.
            content: a photo file or a UTF-8 text, depending on the model.

        Raises:
            ValueError: when the content cannot be read, or the class does not exist.
        """
        with self._lock:
            group = self._group(number)
            if sum(len(g.examples) for g in self._groups.values()) >= MOST_EXAMPLES:
                raise ValueError(f"there are {MOST_EXAMPLES} examples, and no more fit: remove some")
            group.examples[place := next(self._numbers)] = self._read(content)
            self._fitted = None
            return place

    def remove_example(self, number: int) -> None:
        """Remove an example.

        Raises:
            ValueError: when the example does not exist.
        """
        with self._lock:
            del self._find(number)[0].examples[number]
            self._fitted = None

    # -- prediction ------------------------------------------------------------------------------------------------

    def ask(self, content: bytes) -> dict[str, Any]:
        """Return the prediction for a photo or a text, with all probabilities and the nearest examples.

        The distance is that between the network's embeddings.

        Args:
            content: a photo file or a UTF-8 text.

        Raises:
            ValueError: when the content cannot be read, or too few classes have examples.
        """
        with self._lock:
            x = self._read(content).x
            fitted = self.fitted()
            answers = fitted.predict(x)
            probabilities = answers.probabilities[0].tolist()
            order = sorted(range(len(probabilities)), key=lambda place: -probabilities[place])
            return {
                "label": answers.labels[0],
                "probabilities": [{"name": answers.classes[n], "value": probabilities[n]} for n in order],
                "entry": answers.entries[0] if answers.entries else None,
                "far": None if answers.far is None else float(answers.far[0]),
                "nearest": self._nearest(fitted, x),
            }

    def fitted(self) -> Fitted:
        """Return the current predictor, which is adapted again when examples have changed.

        Raises:
            ValueError: when too few classes have examples.
        """
        with self._lock:
            if (missing := self._missing()) is not None:
                raise ValueError(missing)
            if self._fitted is None:
                torch.manual_seed(0)  # a learner that draws random heads always draws the same ones
                taught = self._taught()
                x = torch.cat([example.x for group in taught for example in group.examples.values()])
                sizes = torch.tensor([len(group.examples) for group in taught])
                y = torch.arange(len(taught)).repeat_interleave(sizes)
                self._fitted = self.model.fit_tensors(x, y, [group.name for group in taught])
            return self._fitted

    def model_file(self) -> bytes:
        """Return the file of the adapted model, as ``python -m lifelong adapt`` writes it.

        Raises:
            ValueError: when too few classes have examples.
        """
        with self._lock, tempfile.TemporaryDirectory(prefix="lifelong-") as folder:
            return self.fitted().save(Path(folder) / "adapted.model").read_bytes()

    def _nearest(self, fitted: Fitted, x: Tensor) -> list[dict[str, Any]]:
        examples = [(g.name, n, e) for g in self._groups.values() for n, e in g.examples.items()]
        if not examples:
            return []
        learner = self.model.module.learner
        params = learner.meta_parameters() if fitted.adapted is None else fitted.adapted.params
        features = embed(learner, params, torch.cat([x, *(example.x for _, _, example in examples)]))
        distances = torch.linalg.vector_norm(features[1:] - features[0], dim=1).tolist()
        ranked = sorted(zip(distances, examples, strict=True), key=lambda pair: pair[0])[:N_NEAREST]
        return [{"id": n, "class": name, "text": e.text, "distance": d} for d, (name, n, e) in ranked]

    def _read(self, content: bytes) -> Example:
        check_size(len(content))
        if self.model.reads == "texts":
            text = read_text(content)
            return Example(self.model.inputs([text], "the text"), None, text)
        check_photo(content)
        with PhotoFile(content) as file:
            picture = small_picture(file)
            return Example(self.model.inputs([str(file)], "the photo"), picture, None)

    # -- checks ----------------------------------------------------------------------------------------------------

    def _taught(self) -> list[Group]:
        return [group for group in self._groups.values() if group.examples]

    def _missing(self) -> str | None:
        """Return what is missing before a prediction is possible. None if nothing is missing."""
        if not self.model.needs_support:
            return None
        noun = "photos" if self.model.reads == "images" else "texts"
        if self.model.fixed_classes is not None:
            empty = [group.name for group in self._groups.values() if not group.examples]
            return f"give {noun} of {', '.join(empty)}" if empty else None
        return None if len(self._taught()) > 1 else f"make two classes at least, and give {noun} of each"

    def _check_learns(self) -> None:
        if not self.model.needs_support:
            raise ValueError(
                f"the model knows its classes ({', '.join(self.model.classes[:8])}) and learns no other here"
            )

    def _check_name(self, name: str) -> str:
        name = " ".join(name.split())
        if not name or not name.isprintable():
            raise ValueError("a class needs a name: type one")
        if len(name) > LONGEST_NAME:
            raise ValueError(f"the name has {len(name)} characters, and {LONGEST_NAME} are the most: make it shorter")
        if any(group.name == name for group in self._groups.values()):
            raise ValueError(f"there is a class {name!r} already: choose another name")
        return name

    def _group(self, number: int) -> Group:
        self._check_learns()
        if number not in self._groups:
            raise ValueError("that class is gone: load the page again")
        return self._groups[number]

    def _find(self, number: int) -> tuple[Group, Example]:
        for group in self._groups.values():
            if number in group.examples:
                return group, group.examples[number]
        raise ValueError("that example is gone: load the page again")
