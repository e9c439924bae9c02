"""Files of options, and what is kept in the cache."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from tests.bad_input.case import QUIET, Case

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}, *a{i}, *a{i}]\n" for i in range(30))
DEEP = "[" * 20_000 + "]" * 20_000


def _case(name: str, content: str | bytes | Callable[[], object], *words: str, command: str = "fit") -> Case:
    def write() -> None:
        if callable(content):
            content()
        else:
            Path("a.yaml").write_bytes(content.encode() if isinstance(content, str) else content)

    return Case(f"config {name} {command}", ("--config=a.yaml",), words, write, command, tuple(QUIET))


def _beside(name: str, content: str, *words: str) -> Case:
    """A case of what a config says after one that is right."""

    def write() -> None:
        Path("a.yaml").write_text(content)

    return Case(f"config {name}", ("--config=a.yaml",), words, write, base=("--config=default", *QUIET))


def _resumed() -> None:
    Path("runs/b/checkpoints").mkdir(parents=True)
    Path("runs/b/checkpoints/last.ckpt").write_text("hello")
    Path("runs/b/config.yaml").write_text("- a\n- b\n")


CASES = [
    Case("config missing", ("--config=nowhere.yaml",), ("nowhere.yaml", "list configs"), base=()),
    Case("config of no name", ("--config=nowhere",), ("nowhere", "list configs"), base=()),
    Case("config of before", ("--config=image_folder",), ("image_folder is my_photos now", "--config my"), base=()),
    Case("config empty name", ("--config=",), ("there is no config", "list configs"), base=()),
    Case("config of a run", ("--ckpt_path=runs/b/checkpoints/last.ckpt",), ("config.yaml",), _resumed, base=()),
    _case("a pipe", lambda: os.mkfifo("a.yaml"), "a.yaml", "give the path of a file"),
    _case("a folder", lambda: Path("a.yaml").mkdir(), "a.yaml", "give the path of a file"),
    _case("empty", "", "a.yaml", "it must be a mapping"),
    _case("a text", "hello", "a.yaml", "it must be a mapping"),
    _case("a list", "[a, b]", "a.yaml", "it must be a mapping"),
    _case("names that are numbers", "1: 2", "a.yaml", "it must be a mapping"),
    _case("an open bracket", "model: [", "a.yaml", "line 1", "correct it"),
    _case("a tab", "model:\n\tclass_path: MAML", "a.yaml", "line 2", "correct it"),
    _case("two colons", "model: a: b", "a.yaml", "line 1", "correct it"),
    _case("a tag of Python", "model: !!python/object/apply:os.mkdir [run]", "a.yaml", "correct it"),
    _case("an unknown alias", "model: *nothing", "a.yaml", "undefined alias", "correct it"),
    _case("an alias of itself", "model: &a [*a]", "a.yaml", "contains itself", "correct it"),
    _case("a bomb of aliases", BOMB, "a.yaml", "aliases", "at most 100000"),
    _case("a bomb of aliases", BOMB, "a.yaml", "aliases", command="test"),
    _case("nested deeply", f"model: {DEEP}", "a.yaml", "nested too deeply", "fewer levels"),
    _case("5 MB", "model: " + "x" * (5 << 20), "a.yaml", "bytes", "at most"),
    _case("latin-1", b"model: \xe9t\xe9", "a.yaml", "correct it"),
    _case("zero bytes", bytes(100), "a.yaml", "correct it"),
    _case("an image", b"\x89PNG\r\n\x1a\n", "a.yaml", "correct it"),
    _beside("an unknown option", "nothing: 1", "--nothing", "help"),
    _beside("an unknown option of the Trainer", "trainer: {nothing: 1}", "--trainer.nothing"),
    _beside("a value of another type", "trainer: {max_epochs: many}", "--trainer.max_epochs is many", "a whole number"),
    _beside("a value out of range", "runner: {chunk: 0}", "--runner.chunk is 0"),
    _beside("an old name", "seed_everything: 1", "seed_everything is now seed"),
    _beside("an old class", "model: {class_path: lifelong.learners.ridge.R2D2}", "lifelong.learners.R2D2"),
    _beside("run no mapping", "run: 3", "--run is 3", "a group of options"),
    _beside("trainer no mapping", "trainer: 3", "--trainer is 3", "a group of options"),
    _beside("checkpoint no mapping", "checkpoint: [1]", "--checkpoint is [1]"),
    _beside("a class without a name", "lr_scheduler: {init_args: {step_size: 2}}", "lr_scheduler"),
    _beside("options of no class", "strategies: [{init_args: {strength: 2}}]", "strategies"),
    _beside("a strategy that is a number", "strategies: [3]", "strategies"),
    _beside("a name with a line break", f"run: {{name: {json.dumps(chr(97) + chr(10))}}}", "--run.name"),
]
