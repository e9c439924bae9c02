"""Every test leaves the working directory as it was; the examples of docstrings run in the repository's root."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _working_directory(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.getcwd()
    if not isinstance(request.node, pytest.Function):
        os.chdir(request.config.rootpath)
    yield
    os.chdir(before)
