"""What Lightning and torch raise by a person's settings is one sentence; a bug stays what it is."""

from __future__ import annotations

import pytest
from lightning.fabric.utilities.exceptions import MisconfigurationException

from lifelong.run.sentences import in_one_sentence


def test_too_little_memory_names_what_to_lower() -> None:
    error = RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 64 bytes.")
    for cause in (error, MemoryError("Unable to allocate 2 TiB")):
        with pytest.raises(ValueError, match=r"the memory does not suffice .*--runner.chunk"), in_one_sentence():
            raise cause


def test_what_lightning_refuses_is_one_line() -> None:
    with pytest.raises(ValueError, match=r"^no: a b; --help lists"), in_one_sentence("no: "):
        raise MisconfigurationException("a\n b")
    with pytest.raises(ValueError, match=r"^no: wrong type; "), in_one_sentence("no: "):
        raise TypeError("wrong type")


def test_a_bug_stays_a_bug() -> None:
    for bug in (RuntimeError("mat1 and mat2"), TypeError("a bug"), KeyError("a")):
        with pytest.raises(type(bug)), in_one_sentence():
            raise bug
