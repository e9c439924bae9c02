"""The bar names what is learnt and what is evaluated."""

from __future__ import annotations

import importlib.util
import io
import logging
import os
import re
import struct
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import lightning as L
import pytest
from lightning.pytorch.callbacks.progress.tqdm_progress import Tqdm

from lifelong.run import progress
from lifelong.run.progress import StreamProgress, is_watched, told_above_the_bar
from tests.toys import make_learner, module_of, toy_data


class Watched:
    """A bar that keeps its descriptions."""

    def __init__(self, told: list[str]) -> None:
        self.told, self.total, self.n, self.initial, self.disable = told, 0, 0, 0, False

    def set_description(self, text: str, refresh: bool = True) -> None:
        self.told.append(text)

    def __getattr__(self, name: str) -> object:
        return lambda *_, **__: None


def descriptions(n_domains: int, *, tested: bool = False, **data_settings: Any) -> list[str]:
    """What the bar says while a stream is learnt."""
    told: list[str] = []
    bar = StreamProgress()
    for kind in ("sanity", "train", "validation", "test"):
        setattr(bar, f"init_{kind}_tqdm", lambda: Watched(told))
    settings: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "accelerator": "cpu"}
    trainer = L.Trainer(**settings, callbacks=[bar], max_epochs=-1, num_sanity_val_steps=-1)
    data = toy_data(n_domains, steps_per_experience=1, **data_settings)
    module = module_of(make_learner("ProtoNet"))
    trainer.fit(module, data)
    if tested:
        trainer.test(module, data, verbose=False)
    return list(dict.fromkeys(re.sub(r", [\d:]+ left", "", text) for text in told))


@pytest.mark.filterwarnings("ignore")
def test_sparse_evaluations_count_the_domains_that_are_due() -> None:
    evaluated = [text for text in descriptions(3, evaluate_every=5) if text.startswith("evaluating")]
    assert evaluated == [
        "evaluating 1/2, domain 0",
        "evaluating 2/2, domain 1",
        "evaluating 1/2, domain 1",
        "evaluating 2/2, domain 2",
        "evaluating 1/3, domain 0",
        "evaluating 2/3, domain 1",
        "evaluating 3/3, domain 2",
    ]


@pytest.mark.filterwarnings("ignore")
def test_experiences_and_domains_are_named() -> None:
    assert descriptions(2, tested=True) == [
        "before learning 1/2, domain 0",
        "before learning 2/2, domain 1",
        "stream 1/2, domain 0",
        "evaluating 1/2, domain 0",
        "evaluating 2/2, domain 1",
        "stream 2/2, domain 1",
        "testing 1/2, domain 0",
        "testing 2/2, domain 1",
    ]


class Break(L.Callback):
    """End a run in the middle of its first experience, with a checkpoint."""

    def __init__(self, file: str) -> None:
        self.file = file

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if trainer.global_step == 2:
            trainer.save_checkpoint(self.file)
            raise KeyboardInterrupt


@pytest.mark.filterwarnings("ignore")
def test_a_run_that_goes_on_in_mid_experience_has_a_bar(tmp_path: Path) -> None:
    file, told = str(tmp_path / "middle.ckpt"), list[str]()
    settings: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "accelerator": "cpu", "max_epochs": -1}
    settings |= {"num_sanity_val_steps": 0}
    with suppress(KeyboardInterrupt, SystemExit):
        L.Trainer(**settings, enable_progress_bar=False, callbacks=[Break(file)]).fit(
            module_of(make_learner("ProtoNet")), toy_data(2, steps_per_experience=4)
        )
    bar = StreamProgress()
    watched = Watched(told)
    for kind in ("train", "validation"):
        setattr(bar, f"init_{kind}_tqdm", lambda: watched)
    trainer = L.Trainer(**settings, callbacks=[bar])
    trainer.fit(
        module_of(make_learner("ProtoNet")), toy_data(2, steps_per_experience=4), ckpt_path=file, weights_only=True
    )
    assert told[0].startswith("stream 1/2")
    assert trainer.global_step == 8


class Screen(io.StringIO):
    """A terminal of a program."""

    def isatty(self) -> bool:
        return True


def lines_on(screen: Screen) -> list[str]:
    """What a terminal shows in the end: a line that is written over counts as the last that was there."""
    return [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in screen.getvalue().split("\n")]


def in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Called in a test, and no fixture: pytest puts its own stdout in place after those."""
    shown = Screen()
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setenv("COLUMNS", "80")
    return shown


@contextmanager
def terminal(n_columns: int) -> Iterator[tuple[TextIO, list[bytes]]]:
    """A real terminal of so many columns, and what is written to it."""
    for name in ("pty", "fcntl", "termios"):
        pytest.importorskip(name)
    import fcntl
    import termios

    reader, writer = os.openpty()
    fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, n_columns, 0, 0))
    written: list[bytes] = []

    def read() -> None:
        with suppress(OSError):  # its other end is closed
            while part := os.read(reader, 4096):
                written.append(part)

    thread = threading.Thread(target=read)
    thread.start()
    with open(writer, "w", encoding="utf-8") as shown:
        yield shown, written
    thread.join()
    os.close(reader)


@pytest.mark.filterwarnings("ignore")
def test_all_evaluations_to_come_count() -> None:
    bar = StreamProgress()
    settings: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "accelerator": "cpu"}
    trainer = L.Trainer(**settings, callbacks=[bar], max_epochs=-1, num_sanity_val_steps=0)
    trainer.fit(module_of(make_learner("ProtoNet")), toy_data(5, steps_per_experience=2, evaluate_every=3))
    assert bar._left is not None
    assert bar._left.rows == [8 * n for n in (2, 2, 5, 2, 5)]


class Fails(L.Callback):
    """Raise in the middle of an experience or of an evaluation."""

    def __init__(self, where: str) -> None:
        self.where = where

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        if self.where == "training" and trainer.global_step == 6:
            raise ValueError("reason")

    def on_validation_batch_start(self, trainer: L.Trainer, *_: Any) -> None:
        if self.where == ("before learning" if trainer.sanity_checking else "evaluating"):
            raise ValueError("reason")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("where", ["before learning", "training", "evaluating"])
def test_an_error_stands_below_a_closed_bar(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = in_a_terminal(monkeypatch)
    settings: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "accelerator": "cpu"}
    settings["enable_model_summary"] = False
    bar = StreamProgress()
    trainer = L.Trainer(**settings, callbacks=[bar, Fails(where)], max_epochs=-1, num_sanity_val_steps=-1)
    with pytest.raises(ValueError, match="reason"):
        trainer.fit(module_of(make_learner("ProtoNet")), toy_data(2, steps_per_experience=10))
    print("error: reason")
    assert "error: reason" in lines_on(screen)


@pytest.mark.filterwarnings("ignore")
def test_lightnings_own_labels_never_show(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = in_a_terminal(monkeypatch)
    settings: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "accelerator": "cpu"}
    settings["enable_model_summary"] = False
    trainer = L.Trainer(**settings, callbacks=[StreamProgress()], max_epochs=-1, num_sanity_val_steps=-1)
    module, data = module_of(make_learner("ProtoNet")), toy_data(2, steps_per_experience=10)
    trainer.fit(module, data)
    trainer.test(module, data, verbose=False)
    trainer.predict(module, data)
    shown = screen.getvalue()
    assert "stream 1/2" in shown
    assert "evaluating 1/2, domain 0:" in shown
    assert "predicting 2/2, domain 1:" in shown
    assert re.findall("Sanity|DataLoader|Epoch|Training|Validation|Predicting", shown) == []


@pytest.mark.filterwarnings("ignore")
def test_twenty_long_names_fit_in_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "accelerator": "cpu"}
    settings["enable_model_summary"] = False
    data = toy_data(20, steps_per_experience=6)
    names = tuple(f"a rather long name of a domain, number {number}" for number in range(20))
    stream = data.load()
    experiences = tuple(replace(e, name=names[e.index]) for e in stream.experiences)
    data._stream = replace(stream, domains=names, experiences=experiences)
    monkeypatch.setenv("COLUMNS", "80")
    with terminal(80) as (shown, parts):
        monkeypatch.setattr(sys, "stdout", shown)
        trainer = L.Trainer(**settings, callbacks=[StreamProgress()], max_epochs=-1, num_sanity_val_steps=-1)
        trainer.fit(module_of(make_learner("ProtoNet")), data)
        monkeypatch.undo()
    text = b"".join(parts).decode().replace("\x1b[A", "")
    written = re.split(r"[\r\n]", text)
    assert max(map(len, written)) <= 80
    bars = [part for part in written if part.startswith("stream ")]
    assert any(
        re.match(r"stream 3/20, \d+:\d\d left, a r.*….*2: +\d+%.* 5/6, loss=[\d.]+, score=[\d.]+$", b) for b in bars
    )
    assert len([part for part in bars if "20/20" in part]) > 0


def test_lines_that_are_told_meanwhile_are_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = in_a_terminal(monkeypatch)
    log = logging.getLogger("lifelong")
    handler = logging.StreamHandler(screen)
    log.addHandler(handler)
    try:
        with told_above_the_bar():
            bar = Tqdm(total=10, file=screen, desc="stream 1/2", bar_format=StreamProgress.BAR_FORMAT)
            bar.update(3)
            log.warning("tasks are run all at once")
            bar.write("experience 1/2 learnt")
            bar.close()
    finally:
        log.removeHandler(handler)
    lines = lines_on(screen)
    assert "tasks are run all at once" in lines
    assert "experience 1/2 learnt" in lines


def test_a_bar_is_shown_to_whom_it_may_concern(monkeypatch: pytest.MonkeyPatch) -> None:
    in_a_terminal(monkeypatch)
    assert StreamProgress().refresh_rate == 5, "in a terminal"
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    assert not is_watched(), "where a kernel is imported and not running"
    assert StreamProgress().is_disabled, "in a file"
    shell = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))  # type: ignore[arg-type]
    assert StreamProgress().refresh_rate == 5, "in a notebook"


def test_notebooks_have_their_own_kind_of_bar() -> None:
    # Lightning takes tqdm's widget where ipywidgets is there, and its text where it is not.
    has_widgets = importlib.util.find_spec("ipywidgets") is not None
    module = "tqdm.asyncio" if has_widgets else "tqdm.std"
    assert Tqdm.__mro__[1].__module__.startswith(("tqdm.auto", module))
    assert issubclass(StreamProgress, progress.TQDMProgressBar)
    assert "{bar}" in StreamProgress.BAR_FORMAT, "what a notebook puts its widget in the place of"
