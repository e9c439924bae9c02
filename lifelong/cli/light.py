"""Commands that need neither torch nor Lightning, and therefore start immediately."""

from __future__ import annotations

import importlib
import os
import sys
from argparse import ArgumentError
from collections.abc import Sequence

from lifelong.cli.nearest import unknown_option
from lifelong.cli.wrong_value import wrong_value

LIGHT = {"compare": "lifelong.cli.compare", "report": "lifelong.cli.report"}
"""Module of each command; its function of the same name runs the command, and ``COMMAND`` describes it."""


def run(command: str, args: Sequence[str]) -> None:
    """Run a command; a user's mistake is reported in one sentence, with exit code 1 (2 for wrong options).

    Args:
        command: one of ``LIGHT``.
        args: the command line after the command.
    """
    module = importlib.import_module(LIGHT[command])
    try:
        getattr(module, command)(args)
    except ArgumentError as error:
        options = module.COMMAND.make_parser().get_defaults().keys()
        answer = unknown_option(str(error), options) or wrong_value(str(error)) or f"{' '.join(str(error).split())};"
        print(f"error: {answer} python -m lifelong {command} --help lists every option", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:
        raise
    except (ValueError, OSError, RecursionError) as error:
        if os.environ.get("LIFELONG_TRACEBACK"):
            raise
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(1)
