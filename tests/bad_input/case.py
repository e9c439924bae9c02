"""One bad input: what is given, and what its one sentence must say."""

from __future__ import annotations

import contextlib
import io
import os
import re
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lifelong.cli.main import main
from tests.command_line import QUIET, TINY, TINY_DATA, TINY_MODEL

LONGEST_SENTENCE = 900
"""Characters; some sentences list the configs that there are."""
LONGEST_SECONDS = 20.0
"""What hangs, or fills the memory first, takes longer."""
ONE_EXPERIENCE = ("--trainer.max_epochs=1", "--data.steps_per_experience=2")
MLP = ("--model=ProtoNet", "--model.network=MLP", "--model.network.hidden=[8]", "--model.network.n_outputs=4")
FEW_SHOT = ("--data=EpisodicDataModule", "--data.n_way=2", "--data.n_shot=1", "--data.n_query=1")
FEW_SHOT += ("--data.n_eval_tasks=2", "--data.split=[0.3, 0.3]", *ONE_EXPERIENCE)


@dataclass(frozen=True)
class Case:
    """Describe a bad input.

    Args:
        name: of the case, for its test.
        options: of the command, after those of ``base``.
        words: each must be in the sentence: the file, the option, the way out.
        make: makes the files in the current folder.
        command: that they are given to.
        base: the options that are right.
    """

    name: str
    options: tuple[str, ...]
    words: tuple[str, ...]
    make: Callable[[], object] | None = None
    command: str = "fit"
    base: tuple[str, ...] = (*TINY, *ONE_EXPERIENCE)


@dataclass(frozen=True)
class Answer:
    """Hold what a bad input was answered with.

    Args:
        code: the exit code.
        lines: of the sentence: all that stands on the standard error from ``error: `` on.
        traceback: what was raised in place of a sentence.
        seconds: that it took.
    """

    code: int
    lines: tuple[str, ...]
    traceback: str | None
    seconds: float


def answer(case: Case, folder: Path) -> Answer:
    """Give a bad input to the command line, in this process and in a folder of its own."""
    errors, raised, code = io.StringIO(), None, 0
    with _inside(folder), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(errors):
        if case.make is not None:
            case.make()
        started = time.monotonic()
        try:
            main([case.command, *case.base, *case.options])
        except SystemExit as stop:
            code = int(stop.code or 0)
        except BaseException:
            raised = traceback.format_exc()
        seconds = time.monotonic() - started
    lines = errors.getvalue().splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith("error: ")), len(lines))
    return Answer(code, tuple(line for line in lines[start:] if line.strip()), raised, seconds)


def problems(case: Case, given: Answer) -> list[str]:
    """Return what is wrong with an answer; nothing where it is one sentence that says all it must."""
    if given.traceback is not None:
        return [f"a traceback: {given.traceback}"]
    if given.code == 0:
        return ["it is accepted"]
    found = []
    if len(given.lines) != 1:
        found.append(f"{len(given.lines)} lines in place of one: {given.lines}")
    sentence = " ".join(given.lines)
    found += [f"{word!r} is not in {sentence!r}" for word in case.words if word not in sentence]
    if len(sentence) > LONGEST_SENTENCE:
        found.append(f"{len(sentence)} characters: {sentence}")
    if re.search(r"Traceback|0x[0-9a-f]{8}|<class '|Namespace\(|NestedArg|typing\.|Parser key", sentence):
        found.append(f"words of Python's in {sentence!r}")
    if given.seconds > LONGEST_SECONDS:
        found.append(f"{given.seconds:.0f} seconds")
    return found


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before, variables = Path.cwd(), dict(os.environ)
    os.chdir(folder)
    os.environ["LIFELONG_CACHE"] = str(folder / "cache")
    os.environ.pop("LIFELONG_RUN_FOLDER", None)
    try:
        yield
    finally:
        os.chdir(before)
        os.environ.clear()
        os.environ.update(variables)


def options(name: str, *values: str, words: tuple[str, ...] = ()) -> list[Case]:
    """Make a case for each value of an option, whose sentence names the option and the value."""
    last = name.rpartition(".")[2]
    return [
        Case(f"{name}={value}"[:80], (f"--{name}={value}",), (last, *([value] if value else ["empty"]), *words))
        for value in values
    ]


def of_class(place: str, kind: str, name: str, value: str, *more: str) -> Case:
    """Make a case of one setting of a plug-in, whose sentence names the setting."""
    setting = f"{{class_path: {kind}, init_args: {{{name}: {value}}}}}"
    given = f"--{place}=[{setting}]" if place in ("strategies", "trainer.callbacks") else f"--{place}={setting}"
    return Case(f"{kind}.{name}={value}", (given,), (name.rpartition(".")[2], *more))


__all__ = ["FEW_SHOT", "MLP", "ONE_EXPERIENCE", "QUIET", "TINY", "TINY_DATA", "TINY_MODEL", "Answer", "Case"]
__all__ += ["answer", "of_class", "options", "problems"]
