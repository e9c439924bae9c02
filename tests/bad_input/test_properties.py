"""Whatever is given, the answer is what was asked for or one sentence, and never anything else."""

from __future__ import annotations

import csv
import io
import math
import re
import warnings
from argparse import ArgumentError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from datamodules.mnist import read_idx
from datamodules.tensors import Tensors
from lifelong.cli.main import option_sentence
from lifelong.cli.parser import parse
from lifelong.data.checked import checked
from lifelong.data.domain import Domain
from lifelong.run.options import RunOptions
from lifelong.text.table import read_table
from lifelong.utilities.checkpoint_file import read_checkpoint, write_checkpoint
from lifelong.utilities.plain_yaml import read_yaml
from lifelong.vision.decoding import decode_image
from tests.bad_input.bounds import NOT_IN_RANGES, OTHERS, PLUG_INS, SETTINGS, Setting, numbers
from tests.command_line import TINY

pytest.importorskip("hypothesis", reason="hypothesis is in the extra dev")
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
quick = settings(
    derandomize=True,
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
HAVE_NO_RANGE = {"HuggingFace", "Learn2LearnTasks", "Dynamics", "Rooms", "MetaOptNet", "Learn2Learn", "FashionMNIST"}
"""Plug-ins that need a package, a robot or a file to be made; the corpus tries some of them."""
ANYTHING = st.one_of(
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([math.nan, math.inf, -math.inf, 0, -1, 1, 2, 0.5, True, "1", [1]]),
)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text("abc é:#-[]{}*&!'\"\n", max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)
CELL = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\x00\r"), max_size=12)


def refused(error: Exception, *names: Path | str) -> None:
    """A refusal is one line that names what it is about."""
    sentence = str(error)
    assert "\n" not in sentence.strip()
    for name in names:
        assert str(name) in sentence


# -- settings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: f"{s.kind}.{s.name}")
@quick
@given(value=ANYTHING)
def test_a_number_is_refused_exactly_outside_its_range(setting: Setting, value: Any) -> None:
    if not setting.holds(value):
        with pytest.raises(ValueError, match=rf"{setting.name} is |{setting.name} {re.escape(str(value))}"):
            setting.make(**{setting.name: value})
    elif abs(value) <= 8:  # larger ones are right, and take memory
        setting.make(**{setting.name: value})


@pytest.mark.parametrize("kind", sorted(PLUG_INS.keys() - HAVE_NO_RANGE))
def test_every_number_of_a_plug_in_has_a_range(kind: str) -> None:
    known = {setting.name for setting in SETTINGS if setting.kind == kind}
    assert {name for name in numbers(kind) if (kind, name) not in NOT_IN_RANGES} <= known
    assert not known or kind in PLUG_INS or kind in OTHERS


# -- the command line ---------------------------------------------------------------------------------------------

NAMES = ["seed", "data.n_way", "data.split", "model", "model.temperature", "model.network.hidden", "strategies"]
NAMES += [
    "optimizer.lr",
    "lr_scheduler",
    "trainer.max_epochs",
    "trainer.callbacks",
    "runner.chunk",
    "run.name",
    "nothing",
]


@settings(quick, max_examples=30)
@given(name=st.sampled_from(NAMES), value=st.text("abcEWC019 .,:[]{}'\"-_*&\n=", max_size=12))
@example(name="model", value="{class_path: }")
@example(name="strategies", value="[{class_path: EWC, init_args: [1]}]")
@example(name="trainer.callbacks", value="[[]]")
def test_any_value_of_an_option_is_parsed_or_one_sentence(name: str, value: str) -> None:
    try:
        parse("fit", [*TINY, f"--{name}={value}"])
    except ArgumentError as error:
        refused(ValueError(option_sentence(str(error))))
    except ValueError as error:
        refused(error)


@quick
@given(name=st.text(max_size=20))
@example(name="..")
@example(name="a/b")
@example(name="[a]")
def test_a_run_name_is_one_folder_or_refused(name: str, tmp_path: Path) -> None:
    try:
        options = RunOptions(root=str(tmp_path), name=name)
    except ValueError as error:
        refused(error, "--run.name")
        return
    folder = Path(options.root) / str(options.name)
    folder.mkdir(exist_ok=True)
    assert folder.resolve().parent == tmp_path.resolve()
    assert list(tmp_path.glob(name)) == [folder]


# -- files --------------------------------------------------------------------------------------------------------


def mutated(data: bytes, place: int, value: int, end: int) -> bytes:
    """The bytes with one of them changed, and the last ones cut off."""
    changed = bytearray(data)
    changed[place % len(data)] = value
    return bytes(changed[: len(data) - end % len(data)])


MUTATION = {"place": st.integers(0, 10**6), "value": st.integers(0, 255), "end": st.just(0) | st.integers(0, 10**6)}


@quick
@given(data=st.binary(max_size=200), **MUTATION)
def test_any_bytes_are_an_image_or_one_sentence(data: bytes, place: int, value: int, end: int, tmp_path: Path) -> None:
    stream, path = io.BytesIO(), tmp_path / "a.png"
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(stream, format="PNG")
    for content in (data, mutated(stream.getvalue(), place, value, end)):
        path.write_bytes(content)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert decode_image(path, 4, 3).shape == (3, 4, 4)
        except ValueError as error:
            refused(error, path)


@quick
@given(data=st.binary(max_size=60), **MUTATION)
def test_any_bytes_are_an_idx_file_or_one_sentence(
    data: bytes, place: int, value: int, end: int, tmp_path: Path
) -> None:
    path = tmp_path / "images"
    whole = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2, *range(8)])
    for content in (data, mutated(whole, place, value, end)):
        path.write_bytes(content)
        try:
            assert read_idx(path).dtype == np.uint8
        except ValueError as error:
            refused(error, path)


@quick
@given(**MUTATION)
def test_any_archive_is_arrays_or_one_sentence(place: int, value: int, end: int, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.zeros((4, 2), dtype=np.float32), y=np.arange(4) % 2)
    path.write_bytes(mutated(path.read_bytes(), place, value, end))
    try:
        domains = Tensors(path=str(path)).domains()
    except ValueError as error:
        refused(error, path)
    else:
        assert all(torch.isfinite(domain.x).all() for domain in domains if domain.x.is_floating_point())


@quick
@given(
    kind=st.sampled_from(["f2", "f4", "f8", "u1", "u2", "i4", "i8", "c8", "?", "U3", "S3", "M8[s]", "O"]),
    shape=st.lists(st.integers(0, 4), max_size=4),
    n_labels=st.integers(0, 5),
    label=st.integers(-3, 2**63 - 1),
    number=st.floats(allow_nan=True, allow_infinity=True),
)
def test_any_array_is_a_domain_or_one_sentence(
    kind: str, shape: list[int], n_labels: int, label: int, number: float
) -> None:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = np.zeros(shape).astype(kind)
        if kind in ("f2", "f4", "f8") and x.size:
            x.reshape(-1)[-1] = number
    y = np.full(n_labels, label)
    try:
        domains = Tensors(x=x, y=y).domains()
    except ValueError as error:
        refused(error, "Tensors")
        return
    for domain in domains:
        assert checked(domain, "Tensors").x.dtype in (torch.float16, torch.float32, torch.uint8, torch.int64)
        assert torch.isfinite(domain.x.float()).all()
        assert len(domain.y) == len(x) > 0


@quick
@given(y=st.lists(st.integers(-3, 3), min_size=1, max_size=5), n_names=st.integers(0, 3))
def test_labels_without_a_name_are_refused(y: list[int], n_names: int) -> None:
    domain = Domain("toy", torch.zeros(len(y), 2), np.array(y), [str(number) for number in range(n_names)])
    if all(-1 <= label < n_names for label in y):
        assert checked(domain, "Toy").y is domain.y
    else:
        with pytest.raises(ValueError, match=r"Toy: the domain 'toy' has the label -?\d and"):
            checked(domain, "Toy")


# -- texts --------------------------------------------------------------------------------------------------------


@quick
@given(text=st.text(max_size=80), suffix=st.sampled_from([".csv", ".tsv", ".json", ".jsonl"]))
@example(text="[" * 100_000, suffix=".json")
def test_any_text_is_a_table_or_one_sentence(text: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        table = read_table(path)
    except ValueError as error:
        refused(error, path)
    else:
        assert len(table.rows) == len(table.lines) > 0


@quick
@given(rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=5))
def test_a_table_gives_back_what_was_written(rows: list[tuple[str, str]], tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("text", "label"), *rows])
    assert [(row["text"], row["label"]) for row in read_table(path).rows] == rows


@quick
@given(text=st.text("ab: -[]{}&*!#'\"\n\t%@", max_size=60))
@example(text="a: &a [*a]")
@example(text="[" * 20_000)
def test_any_text_is_yaml_or_one_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    try:
        read_yaml(path)
    except ValueError as error:
        refused(error, path)


@quick
@given(value=PLAIN)
def test_yaml_gives_back_what_was_written(value: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(yaml.safe_dump(value, allow_unicode=True), encoding="utf-8")
    assert read_yaml(path) == value


@quick
@given(width=st.integers(1, 5), depth=st.integers(1, 40))
def test_aliases_are_counted_before_they_are_written_out(width: int, depth: int, tmp_path: Path) -> None:
    path, repeat = tmp_path / "a.yaml", ", "
    lines = ["a0: &a0 x"] + [f"a{i}: &a{i} [{repeat.join([f'*a{i - 1}'] * width)}]" for i in range(1, depth)]
    path.write_text("\n".join(lines))
    sizes = [1]
    for _ in range(1, depth):
        sizes.append(1 + width * sizes[-1])
    if 1 + depth + sum(sizes) > 100_000:
        with pytest.raises(ValueError, match="aliases"):
            read_yaml(path)
    else:
        assert len(read_yaml(path)) == depth


# -- checkpoints --------------------------------------------------------------------------------------------------


@quick
@given(**MUTATION)
def test_a_changed_checkpoint_is_never_read_as_another(place: int, value: int, end: int, tmp_path: Path) -> None:
    path, weight = tmp_path / "last.ckpt", torch.arange(64.0)
    write_checkpoint({"state_dict": {"learner.w": weight}}, path)
    path.write_bytes(mutated(path.read_bytes(), place, value, end))
    try:
        content = read_checkpoint(path)
    except ValueError as error:
        refused(error, path)
    else:
        assert torch.equal(content["state_dict"]["learner.w"], weight)
