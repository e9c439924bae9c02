"""Check the options of ``fit`` without creating any objects."""

from __future__ import annotations

from argparse import ArgumentError
from collections.abc import Sequence

from lifelong.cli.parser import make_parser, parse
from lifelong.cli.parser_sentence import parser_sentence
from lifelong.run.options import check_seed
from lifelong.utilities import plugins


def check_fit_options(options: Sequence[str]) -> None:
    """Refuse options that ``fit`` does not have, and values of a wrong type.

    Args:
        options: options, as after ``python -m lifelong fit``.

    Raises:
        ValueError: naming the option, in one sentence.

    Example:
        >>> check_fit_options(["--config", "split_mnist", "--optimizer.lr", "0.1"])
    """
    plugins.load()
    try:
        check_seed(parse("fit", options).config.seed)
    except ArgumentError as error:
        known = make_parser("fit").get_defaults().keys()
        listing = "python -m lifelong fit --help.all lists every option"
        raise ValueError(parser_sentence(str(error), known, options, listing)) from error
