"""Versions of installed packages."""

from __future__ import annotations

import importlib.metadata

from lifelong.utilities.versions import installed_version


def test_a_package_has_its_version_or_is_not_installed() -> None:
    assert installed_version("numpy") == importlib.metadata.version("numpy")
    assert installed_version("no-package-of-this-name") == "not installed"
