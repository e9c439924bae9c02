"""The parser's error messages, in one sentence."""

from __future__ import annotations

from collections.abc import Iterable

from lifelong.cli.nearest import unknown_class, unknown_option
from lifelong.cli.wrong_value import wrong_value

LISTING = ("Does not validate", "Subtypes:", "Errors:", "Given value", "Expected a <class 'NoneType'>")
"""Beginnings of the lines in which the parser lists everything that it tried."""


def parser_sentence(message: str, options: Iterable[str], args: Iterable[str], listing: str) -> str:
    """Return the parser's error message, without its list of everything that it tried.

    Args:
        message: error message of the parser.
        options: the names of all options.
        args: the command line.
        listing: text that says where all options are listed.

    Example:
        >>> parser_sentence("Unrecognized arguments: --xyzzy", ["seed"], ["--xyzzy"], "--help lists every option")
        'there is no option --xyzzy; --help lists every option'
    """
    answer = unknown_option(message, options, args) or wrong_value(message) or unknown_class(message)
    if answer is not None:
        return answer if "python -m lifelong" in answer else f"{answer} {listing}"
    lines = [line.strip().removeprefix("- ") for line in message.splitlines()]
    kept = [line for line in lines if line and not line.startswith(LISTING)]
    return f"{' '.join(kept)}; {listing}"
