"""Packages of extras, imported when they are needed."""

from __future__ import annotations

import importlib
from typing import Any


def imported(package: str, who: str, extra: str) -> Any:
    """Import a package of an extra.

    Args:
        package: name of the package.
        who: what needs the package, for the message.
        extra: name of the extra that installs it.

    Raises:
        ValueError: when the package is missing or damaged; the message names the extra.

    Example:
        >>> imported("json", "an example", "text").dumps([1])
        '[1]'
    """
    try:
        return importlib.import_module(package)
    except (ImportError, RuntimeError) as error:  # RuntimeError: incompatible with another package
        raise ValueError(
            f"{who} needs the package {package} ({error}): pip install -c constraints.txt -e '.[{extra}]'"
        ) from error
