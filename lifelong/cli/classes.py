"""The classes that an option may be given by their bare names."""

from __future__ import annotations

import importlib

from lifelong.cli.catalogue import listed
from lifelong.utilities.source_code import exported

KINDS = {
    "model": "learners",
    "network": "networks",
    "body": "networks",
    "strategies": "strategies",
    "data": "datamodules",
    "sources": "sources",
    "unseen": "sources",
    "source": "sources",
}
"""The kind of class that an option takes, by the last part of its name."""
MODULES = {
    "optimizer": ("torch.optim",),
    "lr_scheduler": ("torch.optim.lr_scheduler",),
    "callbacks": ("lightning.pytorch.callbacks", "lifelong.evaluation", "lifelong.control.ClosedLoop"),
    "logger": ("lightning.pytorch.loggers", "lifelong.run.loggers"),
    "encoding": ("lifelong.text.FrozenEncoder", "lifelong.text.HashedWords", "lifelong.text.Tokens"),
    "augmentation": ("lifelong.vision.PhotoAugmentation",),
    "planner": ("lifelong.control.CEM", "lifelong.control.MPPI"),
    "robot": ("datamodules.robots",),
}
"""Where the classes of other options are: modules, and classes that are alone there."""
SET_ELSEWHERE = {("data", "seed"), ("optimizer", "params"), ("lr_scheduler", "optimizer")}
"""Arguments of classes that are no options: ``--seed`` is the data's as well, and the others are given by the run."""

INSIDE = {
    "network": "model",
    "body": "model.network",
    "sources": "data",
    "unseen": "data",
    "source": "data.sources",
    "callbacks": "trainer",
    "logger": "trainer",
    "encoding": "data.sources",
    "augmentation": "data",
    "planner": "data.sources",
    "robot": "data.sources",
}
"""The options that options are inside of, for those that are given without."""


def full_option(option: str) -> str:
    """Return an option with what it is inside of.

    Example:
        >>> full_option("sources"), full_option("model.network"), full_option("seed")
        ('data.sources', 'model.network', 'seed')
    """
    return f"{INSIDE[option]}.{option}" if option in INSIDE else option


def option_of(name: str) -> str:
    """Return the option that takes a class, by its bare name; empty where none does.

    Example:
        >>> option_of("EWC"), option_of("MLP"), option_of("nowhere.Nothing")
        ('strategies', 'model.network', '')
    """
    return next((full_option(option) for option in (*KINDS, *MODULES) if name in known_classes(option)), "")


def known_classes(option: str) -> dict[str, str]:
    """Return the classes that an option may be given, by bare name: their paths.

    Args:
        option: such as ``model.network`` or ``data.sources``; one that is not known has every class.

    Example:
        >>> known_classes("model.network")["MLP"]
        'lifelong.networks.MLP'
    """
    last = option.rpartition(".")[2]
    if last in KINDS:
        return {named.name: named.path for named in listed(KINDS[last])}
    if last in MODULES:
        return {name: path for place in MODULES[last] for name, path in _classes(place).items()}
    return {name: path for other in (*KINDS, *MODULES) for name, path in known_classes(other).items()}


def _classes(place: str) -> dict[str, str]:
    """A class itself, or those of a module: what it exports, or else what it has."""
    name = place.rpartition(".")[2]
    if name[0].isupper():
        return {name: place}
    names = exported(place)
    if not names:
        made = vars(importlib.import_module(place))
        names = [name for name, value in made.items() if isinstance(value, type) and name[0] != "_"]
    return {name: f"{place}.{name}" for name in names}
