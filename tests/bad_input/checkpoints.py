"""Checkpoints that are none, damaged, or of something else."""

from __future__ import annotations

import functools
import gzip
import os
import pickle
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.bad_input.case import TINY, Case, answer

FILE = Path("runs/b/checkpoints/last.ckpt")
HEAD = "learner.network.head.weight"
Change = Callable[[dict[str, Any]], object]


@functools.cache
def whole() -> bytes:
    """Return the checkpoint of a run on tiny data."""
    options = ("--run.name=b", "--trainer.max_epochs=1", "--data.steps_per_experience=2")
    with tempfile.TemporaryDirectory() as folder:
        assert answer(Case("right", options, (), base=(*TINY,)), Path(folder)).code == 0
        return (Path(folder) / FILE).read_bytes()


class Code:
    """Would run code when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("run by a file",)


def changed(change: Change) -> Callable[[], None]:
    def write() -> None:
        FILE.parent.mkdir(parents=True)
        FILE.write_bytes(whole())
        content = torch.load(FILE, weights_only=True)
        change(content)
        torch.save(content, FILE)

    return write


def placed(make: Callable[[Path], object]) -> Callable[[], None]:
    def write() -> None:
        FILE.parent.mkdir(parents=True)
        make(FILE)

    return write


def flipped(path: Path) -> None:
    data = bytearray(whole())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "b")


def arrays(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, x=1)


def _case(name: str, make: Callable[[Path], object], *words: str, command: str = "fit") -> Case:
    options = (f"--ckpt_path={FILE}",)
    return Case(f"checkpoint {name} {command}", options, (str(FILE), "give", *words), placed(make), command, (*TINY,))


def _changed(name: str, change: Change, *words: str, commands: str = "fit validate test predict") -> list[Case]:
    options = (f"--ckpt_path={FILE}",)
    return [
        Case(f"checkpoint {name} {command}", options, ("give", *words), changed(change), command, (*TINY,))
        for command in commands.split()
    ]


def _trunk(name: str, make: Callable[[Path], object] | None, *words: str) -> list[Case]:
    write = None if make is None else placed(make)
    trunk = f"--strategies=[{{class_path: AdapterBank, init_args: {{trunk: {FILE}}}}}]"
    network = ("--model.network=FromCheckpoint", f"--model.network.path={FILE}", "--model.network.network=MLP")
    base = ("--model=ProtoNet", *TINY[5:])
    return [
        Case(f"trunk {name}", (trunk,), ("AdapterBank's trunk", str(FILE), *words), write, base=(*TINY,)),
        Case(f"network {name}", network, ("--model.network.path", str(FILE), *words), write, base=base),
    ]


def give(content: Any) -> Callable[[Path], object]:
    return lambda path: torch.save(content, path)


FOREIGN = {"epoch": 1, "global_step": 3, "pytorch-lightning_version": "2.6.0", "loops": {}, "callbacks": {}}
FOREIGN |= {"state_dict": {"w": torch.ones(1)}, "optimizer_states": [], "lr_schedulers": []}
NAN = torch.full((8, 16), torch.nan)
CASES = [
    _case("empty", Path.touch, "it is empty"),
    _case("empty", Path.touch, "it is empty", command="test"),
    _case("text", lambda path: path.write_text("hello"), "no archive"),
    _case("text", lambda path: path.write_text("hello"), "no archive", command="validate"),
    _case("cut", lambda path: path.write_bytes(whole()[:3000]), "its end is missing"),
    _case("cut", lambda path: path.write_bytes(whole()[:3000]), "its end is missing", command="predict"),
    _case("of zero bytes", lambda path: path.write_bytes(bytes(10_000)), "no archive"),
    _case("with a flipped byte", flipped, "damaged"),
    _case("a folder", Path.mkdir, "is not there"),
    _case("a pipe", os.mkfifo, "is not there"),
    _case("a link to itself", lambda path: path.symlink_to(path.name), "is not there"),
    _case("a pickle", lambda path: path.write_bytes(pickle.dumps({"a": 1})), "no archive"),
    _case("arrays of numpy", arrays, "damaged or none"),
    _case("an archive of text", zipped, "damaged or none"),
    _case("a packed one", lambda path: path.write_bytes(gzip.compress(whole())), "no archive"),
    _case("a list", give([1]), "not written by lifelong"),
    _case("a tensor", give(torch.ones(1)), "not written by lifelong"),
    _case("bare weights", give({"w": torch.ones(1)}), "not written by lifelong"),
    _case("code", give({"state_dict": {"a": Code()}}), "could run code"),
    *(
        found
        for command in ("fit", "validate", "test", "predict")
        for found in (
            _case("weights alone", give({"state_dict": {"w": torch.ones(1)}}), "not written by", command=command),
            _case("another project's", give(FOREIGN), "not written by", "it has no lifelong", command=command),
        )
    ),
    *_changed("lifelong a text", lambda c: c.update(lifelong="x"), str(FILE), "it has no lifelong"),
    *_changed("without version", lambda c: c.pop("pytorch-lightning_version"), str(FILE), "version"),
    *_changed("without a weight", lambda c: c["state_dict"].pop(HEAD), HEAD, "--ckpt_path"),
    *_changed("with a weight more", lambda c: c["state_dict"].update(x=torch.ones(1)), '"x"', "--ckpt_path"),
    *_changed("another shape", lambda c: c["state_dict"].update({HEAD: torch.ones(1)}), HEAD, "--ckpt_path"),
    *_changed("a text as weight", lambda c: c["state_dict"].update({HEAD: "x"}), HEAD, "--ckpt_path"),
    *_changed("NaN", lambda c: c["state_dict"].update({HEAD: NAN}), HEAD, "not finite", commands="fit test"),
    *(
        found
        for part in ("loops", "callbacks", "optimizer_states", "lr_schedulers", "global_step", "epoch")
        for found in _changed(f"without {part}", lambda c, part=part: c.pop(part), part, str(FILE), commands="fit")  # type: ignore[misc]
    ),
    *_trunk("missing", None, "is not there"),
    *_trunk("text", lambda path: path.write_text("hello"), "no archive"),
    *_trunk("empty", Path.touch, "it is empty"),
    *_trunk("a folder", Path.mkdir, "is not there"),
    *_trunk("a list", give([1]), "not written by lifelong"),
]
