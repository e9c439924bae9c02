"""The classes that can be given to an option by their names alone."""

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
"""Kind of class that an option takes, by the last part of the option's name."""
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
"""Where the classes of other options are found: a module, or the path of a single class."""
SET_ELSEWHERE = {("data", "seed"), ("optimizer", "params"), ("lr_scheduler", "optimizer")}
"""Arguments that are not options: ``--seed`` also sets that of the data, and the run passes the others."""

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
"""Parent options that may be left out on the command line."""


def full_option(option: str) -> str:
    """Return an option with its parent option.

    Example:
        >>> full_option("sources"), full_option("model.network"), full_option("seed")
        ('data.sources', 'model.network', 'seed')
    """
    return f"{INSIDE[option]}.{option}" if option in INSIDE else option


def option_of(name: str) -> str:
    """Return the option that takes a class of this name. Empty if there is none.

    Example:
        >>> option_of("EWC"), option_of("MLP"), option_of("nowhere.Nothing")
        ('strategies', 'model.network', '')
    """
    return next((full_option(option) for option in (*KINDS, *MODULES) if name in known_classes(option)), "")


def known_classes(option: str) -> dict[str, str]:
    """Return the classes that an option accepts: a mapping from name to import path.

    Args:
        option: option such as ``model.network`` or ``data.sources``. For an unknown option, all classes are returned.

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
    """Return a class itself, or the classes of a module: those that it exports, or else all."""
    name = place.rpartition(".")[2]
    if name[0].isupper():
        return {name: place}
    names = exported(place)
    if not names:
        made = vars(importlib.import_module(place))
        names = [name for name, value in made.items() if isinstance(value, type) and name[0] != "_"]
    return {name: f"{place}.{name}" for name in names}
