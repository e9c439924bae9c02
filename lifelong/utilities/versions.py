"""Versions of installed packages."""

from __future__ import annotations

import importlib.metadata


def installed_version(package: str) -> str:
    """Return the version of a package, or ``not installed``, also for a source checkout on the path.

    Example:
        >>> installed_version("nothing-of-this-name")
        'not installed'
    """
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
