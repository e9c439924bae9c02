"""Runs that are to be extended, and what they are extended by."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bad_input.case import TINY, Case, answer

FOLDER = Path("runs/b")
FILES = ("config.yaml", "checkpoints/last.ckpt")


@functools.cache
def finished() -> tuple[bytes, ...]:
    """Return what a finished run is extended from: its config and its checkpoint."""
    options = ("--run.name=b", "--data.steps_per_experience=2")
    with tempfile.TemporaryDirectory() as folder:
        assert answer(Case("right", options, (), base=(*TINY,)), Path(folder)).code == 0
        return tuple((Path(folder) / FOLDER / name).read_bytes() for name in FILES)


def run(change: Callable[[], object] | None = None) -> Callable[[], None]:
    """A finished run, and one change of it."""

    def write() -> None:
        (FOLDER / "checkpoints").mkdir(parents=True)
        for name, content in zip(FILES, finished(), strict=True):
            (FOLDER / name).write_bytes(content)
        if change is not None:
            change()

    return write


def _case(name: str, options: str, *words: str, make: Callable[[], object] | None = None) -> Case:
    return Case(f"extend {name}", tuple(options.split("|")) if options else (), words, make, "extend", ())


CONFIG, CHECKPOINT = (FOLDER / name for name in FILES)
NOTHING = "{class_path: Glyphs, init_args: {n_classes: 0}}"
CASES = [
    _case("nothing", "", "none is named", "runs/name"),
    _case("an option alone", "--seed=1", "none is named", "runs/name"),
    _case("a run that is not there", "nowhere", "nowhere is no run folder", "config.yaml"),
    _case("the last of none", "last", "last found no", "path"),
    _case(
        "an empty folder", "runs/b", "runs/b is no run folder", "config.yaml", make=lambda: FOLDER.mkdir(parents=True)
    ),
    _case("without a checkpoint", "runs/b", "whole checkpoint", make=run(CHECKPOINT.unlink)),
    _case("a text as checkpoint", "runs/b", "whole checkpoint", make=run(lambda: CHECKPOINT.write_text("hello"))),
    _case("a broken config", "runs/b", str(CONFIG), "correct it", make=run(lambda: CONFIG.write_text("["))),
    _case("a text as config", "runs/b", str(CONFIG), "a mapping", make=run(lambda: CONFIG.write_text("hello"))),
    _case("half a config", "runs/b", "--model.network", make=run(lambda: CONFIG.write_text("model: ProtoNet"))),
    _case("an unknown source", "runs/b|--data.sources+=Nothing", "no class Nothing", make=run()),
    _case(
        "a source of nothing",
        "runs/b|--data.sources+={class_path: Glyphs, init_args: {n_classes: 0}}",
        "n_classes is 0",
        make=run(),
    ),
    _case("an unknown option", "runs/b|--nothing=1", "--nothing", make=run()),
    _case("a seed of letters", "runs/b|--seed=x", "--seed is x", make=run()),
]
