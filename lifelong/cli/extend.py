"""``python -m lifelong extend RUN``: add experiences to a finished run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lifelong.cli.parser import Parsed, option_value, parse
from lifelong.run.extension import Learnt, check_extends, longer_sources
from lifelong.run.last import last_run
from lifelong.run.mirror import local_run

FOREIGN = ("run.name", "run.root", "run.resume", "ckpt_path")
"""Options of the run folder and the checkpoint, which the extended run determines."""
USAGE = "python -m lifelong extend runs/name --data.sources+=…"


def parse_extension(args: Sequence[str]) -> tuple[Parsed, str]:
    """Parse the command line after ``extend``: a run, and options that override its config.

    ``--data.sources+=…`` adds sources to those of the run. ``--data.sources=…`` lists the sources whose data are
    available; the run then continues without the data of the others.

    Args:
        args: the run (a folder or ``last``) and options.

    Returns:
        The options of the longer stream, and the checkpoint to continue from.

    Raises:
        ValueError: when no run is named, or there is nothing to learn.
    """
    folder, options = find_run(args), list(args[1:])
    saved = folder / "config.yaml"
    for name in FOREIGN:
        if option_value(options, name) is not None:
            raise ValueError(f"extend goes on in the run folder from its newest checkpoint: leave --{name} out")
    parsed = parse("extend", options, saved)
    check_extends(bool(parsed.kept_config()["data"]["init_args"].get("joint")), folder)
    learnt = Learnt(folder)
    given, old = _sources(parsed), _sources(parse("extend", [], saved))
    sources = longer_sources(old, given, learnt, folder)
    if sources != given:
        parsed = parse("extend", [*options, f"--data.sources={json.dumps(sources)}"], saved)
    return parsed, learnt.checkpoint


def find_run(args: Sequence[str]) -> Path:
    """Return the folder of the run to extend.

    Args:
        args: the run (a folder or ``last``) and options.

    Raises:
        ValueError: when no run is named, or its folder has no config.
    """
    if not args or args[0].startswith("-"):
        raise ValueError(f"extend goes on with a run, and none is named: {USAGE}, or last for the newest below runs/")
    folder = last_run() if args[0] == "last" else local_run(args[0])
    if not (saved := folder / "config.yaml").is_file():
        raise ValueError(f"{folder} is no run folder: there is no {saved}; {USAGE}")
    return folder


def _sources(parsed: Parsed) -> list[dict[str, Any]]:
    sources: list[dict[str, Any]] = parsed.kept_config()["data"]["init_args"]["sources"]
    return sources
