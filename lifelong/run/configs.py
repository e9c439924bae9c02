"""The configs that ship with lifelong, and how they are found by name."""

from __future__ import annotations

import difflib
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
FOLDERS = (PACKAGE / "configs", PACKAGE.parent / "configs")
"""Folders of the configs: inside the package if it was installed from a wheel, next to it in a source checkout."""

RENAMED = {"image_folder": "my_photos"}
"""Maps the old name of a config to the new one."""


def find_config(name: str) -> Path:
    """Return the path of a config: an existing file of this path, or else the shipped config of this name.

    Args:
        name: a path, or a name such as ``split_mnist`` or ``best/split_mnist_class``.

    Raises:
        ValueError: when there is neither; the message lists the shipped configs.

    Example:
        >>> find_config("split_mnist").name
        'split_mnist.yaml'
        >>> find_config("best/split_mnist_class").name
        'split_mnist_class.yaml'
    """
    path = Path(name)
    if path.is_file():
        return path
    if not path.is_absolute() and ".." not in path.parts:
        for folder in FOLDERS:
            for shipped in (folder / name, folder / f"{name}.yaml"):
                if shipped.is_file():
                    return shipped
    if (old := path.name.removesuffix(".yaml")) in RENAMED:
        raise ValueError(f"the config {old} is {RENAMED[old]} now: give --config {RENAMED[old]}")
    wanted, names = name.removesuffix(".yaml").removeprefix("configs/"), shipped_configs()
    near = difflib.get_close_matches(wanted, names, 1) or difflib.get_close_matches(path.stem, names, 1)
    way_out = f"did you mean {near[0]}? python -m lifelong list configs" if near else "python -m lifelong list configs"
    raise ValueError(f"there is no config {name}: {way_out} lists those that ship; or give the path of a file")


def shipped_configs() -> list[str]:
    """Return the names of the configs that ship with lifelong, with their folder if they are in one.

    Example:
        >>> {"split_mnist", "best/split_mnist_class"} <= {*shipped_configs()}
        True
    """
    names = {path.relative_to(folder).with_suffix("") for folder in FOLDERS for path in folder.rglob("*.yaml")}
    return sorted(name.as_posix() for name in names)
