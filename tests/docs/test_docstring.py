from __future__ import annotations

import doctest
import importlib

import pytest

from docs.generate.catalogue import Method, methods
from docs.generate.docstring import described_arguments, read_docstring, to_markdown

LIGHT = ("commands", "docstring", "links", "files", "llms", "notebooks", "contents", "records", "markup")


class Doubler:
    """Double ``x``: ``y = 2x``.

    More about it
    in two lines.

    - one
    - two

    Args:
        rate: how fast,
            in Hz.
        other: what else.

    Raises:
        ValueError: when it
            cannot.

    Reference:
        Doe & Roe, "Doubling", Journal 1999; Poe, 2001. Differences: none
        that matters.

    Example:
        >>> 2 * 1
        2
    """


def test_docstring_is_taken_apart() -> None:
    found = read_docstring(Doubler)
    assert found.summary == "Double ``x``: ``y = 2x``."
    assert found.body == "More about it\nin two lines.\n\n- one\n- two"
    assert found.args == {"rate": "how fast, in Hz.", "other": "what else."}
    assert found.raises == {"ValueError": "when it cannot."}
    assert found.reference == 'Doe & Roe, "Doubling", Journal 1999; Poe, 2001.'
    assert found.differences == "none that matters."
    assert found.example == ">>> 2 * 1\n2"
    assert found.paper == 'Doe & Roe, "Doubling", Journal 1999'


def test_lacking_sections_are_empty() -> None:
    found = read_docstring(test_lacking_sections_are_empty)
    assert (found.summary, found.reference, found.paper, found.example) == ("", "", "", "")
    assert not found.args


def test_bases_describe_what_a_class_leaves_out() -> None:
    from lifelong.learners import ANIL, MAML

    described = described_arguments(ANIL)
    assert described["rates_per_step"] == described_arguments(MAML)["rates_per_step"] != ""
    assert "features" in described["network"]


def test_roles_become_links_where_there_is_a_place() -> None:
    documented = {"a.b.Name": "a.Name", "Name": "a.Name"}
    assert to_markdown(":class:`~a.b.Name` and :class:`Name`", documented) == "[`Name`][a.Name] and [`Name`][a.Name]"
    assert to_markdown(":func:`~c.d.e` :mod:`c.d`", documented) == "`e` `c.d`"


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.name)
def test_docstring_of_a_method_has_all_parts(method: Method) -> None:
    found = method.docstring
    assert found.summary.endswith(".")
    assert found.example.startswith(">>> ")
    assert bool(found.reference) == bool(found.differences)
    assert "Difference" not in found.reference + found.differences
    assert found.reference or method.name in ("Classifier", "NoAdaptation")


@pytest.mark.parametrize("name", LIGHT)
def test_examples_of_the_generator_run(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(f"docs.generate.{name}"))
    assert tried > 0
    assert failed == 0
