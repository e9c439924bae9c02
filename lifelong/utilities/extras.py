"""Packages of extras, imported where they are needed."""

from __future__ import annotations

import importlib
from typing import Any


def imported(package: str, who: str, extra: str) -> Any:
    """Import a package of an extra where it is needed: it takes seconds.

    Args:
        package: its name.
        who: what needs it.
        extra: that brings it.

    Raises:
        ValueError: when it is missing or damaged, with the extra's name.

    Example:
        >>> imported("json", "an example", "text").dumps([1])
        '[1]'
    """
    try:
        return importlib.import_module(package)
    except (ImportError, RuntimeError) as error:  # one that does not fit another package: RuntimeError
        raise ValueError(
            f"{who} needs the package {package} ({error}): pip install -c constraints.txt -e '.[{extra}]'"
        ) from error
