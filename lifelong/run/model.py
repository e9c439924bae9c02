"""A trained model that works without its run, and predicts for a user's photos, texts or tensors.

Shapes: ``S`` support and ``M`` query examples, ``*X`` one input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lifelong.data.reader import Kind
from lifelong.data.stream_record import StreamRecord
from lifelong.evaluation.results import Results
from lifelong.run.adapted import read_adapted
from lifelong.run.answers import Answers
from lifelong.run.card import write_card
from lifelong.run.fitted import Fitted
from lifelong.run.hub import ALONE, fetch, push, save
from lifelong.run.inputs import Inputs, Items
from lifelong.training.stream_module import StreamModule
from lifelong.utilities.trust import Limits, limits_of


class Model:
    """Predict class names: a learner with its strategies, what it was taught, and how inputs are read.

    A few-shot learner is first adapted to a support set; a learner of labelled examples predicts among the classes that
    it was taught. Classes are always given by name, never by number.

    Args:
        module: the learner with its strategies, trained or loaded from a checkpoint.
        limits: context manager that limits what the reader's description may import.
        results: results for the model card. None if unknown.
        name: name of the model for the model card.

    Raises:
        ValueError: when the checkpoint does not record what the model was taught, or it was trained on regression.

    Example:
        >>> import lifelong, tempfile
        >>> from datamodules import EpisodicDataModule, Glyphs
        >>> from lifelong.learners import ProtoNet
        >>> from lifelong.networks import MLP
        >>> glyphs = Glyphs(styles=["strokes"], n_classes=24, n_examples=10, image_size=8)
        >>> data = EpisodicDataModule([glyphs], n_way=3, n_shot=1, n_query=2, steps_per_experience=2, n_eval_tasks=3)
        >>> learner = ProtoNet(MLP(n_inputs=64, hidden=[8], n_outputs=8))
        >>> run = lifelong.fit(learner, data, run=tempfile.mkdtemp() + "/run", logger=False)  # doctest: +ELLIPSIS
        experience 1/1 'strokes' learnt ...
        >>> black, white = torch.zeros(1, 8, 8), torch.ones(1, 8, 8)
        >>> run.model.adapt({"black": [black], "white": [white]}).predict([white, white, black]).labels
        ['white', 'white', 'black']
    """

    def __init__(
        self,
        module: StreamModule,
        *,
        limits: Limits = nullcontext,
        results: Results | None = None,
        name: str = "model",
    ) -> None:
        if "stream" not in module.taught:
            raise ValueError(
                "the checkpoint does not say what it was taught, as an earlier version has written it: load it in its "
                "run folder and with its data, by lifelong.load(folder), or train it again"
            )
        self.module = module
        """The learner with its strategies."""
        self._record = StreamRecord.from_dict(module.taught["stream"])
        if self._record.is_regression:
            raise ValueError(
                "the model was taught real numbers and no classes: ask its learner itself (run.learner.adapt, .predict)"
            )
        self._adapted = read_adapted(module.taught, module)
        self.results, self.name = results, name
        self._limits = limits
        self._inputs: Inputs | None = None

    # -- what it knows --------------------------------------------------------------------------------------------

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes to predict: those of its support set, or those that it was taught so far."""
        if self._adapted is not None:
            return self._adapted[0]
        return tuple(self._record.classes[number] for number in self._record.learnt_classes)

    @property
    def experiences(self) -> dict[str, tuple[str, ...]]:
        """Return the names of the experiences learnt so far, each with the names of its classes."""
        record = self._record
        pairs = zip(record.learnt_experiences, record.classes_of, strict=False)
        return {name: tuple(record.classes[number] for number in numbers) for name, numbers in pairs}

    @property
    def unit(self) -> str:
        """Return what the model was trained on, in words."""
        record = self._record
        return (
            f"{record.n_way}-way {record.n_shot}-shot tasks" if record.n_way else f"labelled {self.reads or 'examples'}"
        )

    @property
    def needs_support(self) -> bool:
        """Return whether the model predicts from a support set, and not only from what it was taught."""
        return self._record.unit == "tasks" and self._adapted is None

    @property
    def fixed_classes(self) -> tuple[str, ...] | None:
        """Return the classes that every support set must contain. None if a support set may have any classes."""
        return self.classes if self._record.fixed_ways else None

    @property
    def reads(self) -> Kind | None:
        """Return what the model reads: ``images`` or ``texts``. None if it accepts only tensors."""
        return self.inputs.kind

    @property
    def inputs(self) -> Inputs:
        """Return the reader of a user's items; it is created on first use, as an encoder may be large."""
        if self._inputs is None:
            self._inputs = Inputs(self.module.taught, self._limits)
        return self._inputs

    def to(self, device: torch.device | str) -> Model:
        """Move the model to a device."""
        self.module.to(device)
        self.module.runner.lay_out(self.module.learner, torch.device(device))
        return self

    def __repr__(self) -> str:
        names = ", ".join(self.classes[:8])
        more = ", …" if len(self.classes) > 8 else ""
        strategies = "".join(f" + {name}" for name in self.module.strategies.names)
        if self._adapted is not None:
            return f"Model({type(self.module.learner).__name__}, adapted to {len(self.classes)} classes: {names}{more})"
        return (
            f"Model({type(self.module.learner).__name__}{strategies}, taught {len(self.classes)} classes in "
            f"{self._record.n_learnt} experiences by {self.unit}: {names}{more})"
        )

    # -- saving and loading ----------------------------------------------------------------------------------------

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model to a folder: a checkpoint for prediction, and a model card (``README.md``).

        The training data that a strategy stores are left out, unless its predictions need them (``ICaRL``).

        Args:
            folder: a new or empty folder, or one with a saved model, which is replaced.

        Raises:
            ValueError: when the folder contains other files.
        """
        content = self.module.to_answer()
        save(content, self._card(content, self.name), Path(folder).expanduser())

    def push_to_hub(self, repo_id: str, *, private: bool | None = None, token: str | None = None) -> str:
        """Upload what :meth:`save_pretrained` writes to a repository of the Hugging Face Hub (extra ``hub``).

        Args:
            repo_id: ``owner/name``. The repository is created if it does not exist.
            private: whether a new repository is private. Default: the setting of the owner's account.
            token: access token of the account. Default: that of the logged-in account.

        Returns:
            The address of the repository.
        """
        content = self.module.to_answer()
        card = self._card(content, repo_id.rpartition("/")[2])
        return push(content, card, repo_id, private=private, token=token)

    def _card(self, content: Mapping[str, Any], name: str) -> str:
        return write_card(
            name,
            content["lifelong"]["config"],
            self.experiences,
            reads=self.reads,
            unit=self.unit,
            needs_support=self.needs_support,
            adapted_to=None if self._adapted is None else self.classes,
            results=self.results,
        )

    @classmethod
    def from_pretrained(
        cls, name: str | Path, *, revision: str | None = None, token: str | None = None, trust: bool = False
    ) -> Model:
        """Load what :meth:`save_pretrained` or :meth:`push_to_hub` wrote.

        Args:
            name: a folder, a checkpoint, or ``owner/name`` on the Hub (extra ``hub``).
            revision: revision of the repository.
            token: access token of an account that may read it.
            trust: import every class that the model names, instead of only those of installed plug-ins.

        Raises:
            ValueError: when the model does not exist, or an object cannot be created.
        """
        place = fetch(str(name), revision=revision, token=token)
        file = place / ALONE if (place / ALONE).is_file() else place
        module = StreamModule.load_from_checkpoint(file, trust=trust)
        module.eval()
        read = {"reader": module.taught.get("reader")}
        limits = limits_of(file, read, "runs", trust, "give trust=True if you trust its author")
        return cls(module, limits=limits, name=place.stem)

    # -- prediction ------------------------------------------------------------------------------------------------

    def adapt(self, support: Mapping[str, Items]) -> Fitted:
        """Learn classes from a few examples of each; the model itself does not change.

        Args:
            support: for each class its examples: image files, texts or tensors ``(*X,)``.

        Raises:
            ValueError: when the model does not learn from support sets, an example cannot be read, or the classes are
                not those that the model requires.
        """
        if self._adapted is not None:
            raise ValueError(
                f"the model has learnt its classes ({', '.join(self.classes)}) from a support set that is gone: leave "
                "the support set out, or adapt the checkpoint that it was made of"
            )
        if not self.needs_support:
            raise ValueError(
                "the model was trained on labelled examples and learns nothing from a support set: leave the support "
                "set out, or choose a model of few-shot tasks"
            )
        given = {str(name): items for name, items in support.items()}
        names = self._check_classes(list(given))
        parts = [self.inputs(given[name], f"the class {name!r}") for name in names]
        x = torch.cat(parts)
        y = torch.arange(len(names)).repeat_interleave(torch.tensor([len(part) for part in parts]))
        return self.fit_tensors(x, y, names)

    def fit_tensors(self, x: Tensor, y: Tensor, names: Sequence[str]) -> Fitted:
        """Learn from a support set of tensors.

        Args:
            x: ``(S, *X)``, as the network takes it.
            y: ``(S,)``, the index of each example's class in ``names``.
            names: names of the classes.
        """
        fitted = Fitted(self.module, self.inputs, names, experiences=self._record.learnt_experiences, support=(x, y))
        if len(names) != self._record.n_way:
            self._check_ways(fitted, x)
        return fitted

    def predict(self, queries: Items) -> Answers:
        """Predict among the classes that the model was taught.

        Args:
            queries: image files, texts or tensors: one, several, or a tensor ``(M, *X)``.

        Raises:
            ValueError: when the model needs a support set, or a query cannot be read.
        """
        return self.knowing().predict(queries)

    def knowing(self) -> Fitted:
        """Return the predictor for the classes that the model was taught, without a new support set.

        Raises:
            ValueError: when the model needs a support set.
        """
        if self.needs_support:
            raise ValueError(
                "the model learns from a support set: give it some examples of each class, by "
                "model.adapt({'class': [files]}) or --support"
            )
        if self._adapted is not None:
            classes, adapted = self._adapted
            names = self._record.learnt_experiences
            return Fitted(self.module, self.inputs, classes, experiences=names, adapted=adapted)
        if self._record.kind == "task":
            raise ValueError(
                "the model was taught in the task scenario, where whoever asks names the task, and cannot tell which "
                "of them a query belongs to: train it with --data.scenario class, or ask its learner (run.learner)"
            )
        numbers, names = self._record.learnt_classes, self._record.learnt_experiences
        told = self.module.taught.get("confidence")
        threshold = told if isinstance(told, float) else None
        return Fitted(self.module, self.inputs, self.classes, experiences=names, numbers=numbers, confidence=threshold)

    def _check_classes(self, names: Sequence[str]) -> list[str]:
        fixed = self.fixed_classes
        if fixed is None:
            if len(names) < 2:
                raise ValueError(f"the support set has {len(names)} classes: give examples of two at least")
            return list(names)
        if unknown := [name for name in names if name not in fixed]:
            raise ValueError(
                f"the support set has the class {unknown[0]!r}, and the model was taught {', '.join(fixed)} alone: "
                "rename it, or leave it out"
            )
        if missing := [name for name in fixed if name not in names]:
            raise ValueError(f"the support set has no example of {', '.join(missing)}: add one of each class at least")
        return list(fixed)

    def _check_ways(self, fitted: Fitted, x: Tensor) -> None:
        """Refuse a number of classes that the network has no outputs for, before all queries are read."""
        try:
            fitted.predict(x[:2])
        except (ValueError, RuntimeError) as error:
            raise ValueError(
                f"the support set has {len(fitted.classes)} classes, and {type(self.module.learner).__name__} was "
                f"trained on tasks of {self._record.n_way}, for which its network has outputs: give so many"
            ) from error
