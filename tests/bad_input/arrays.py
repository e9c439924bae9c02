"""Files of arrays: ``.npz`` and ``.pt``."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.bad_input.case import FEW_SHOT, MLP, QUIET, Case

BASE = (*MLP, "--model.network.n_inputs=4", *QUIET, *FEW_SHOT)
X = np.random.default_rng(0).random((40, 4), dtype=np.float32)
Y = np.arange(40) % 4


def with_one(array: np.ndarray, value: float) -> np.ndarray:
    changed = array.copy()
    changed[19, 1] = value
    return changed


def saved(**arrays: Any) -> Callable[[], None]:
    return lambda: np.savez("d.npz", **arrays)


def header(shape: tuple[int, ...], kind: str = "<f4", data: bytes = b"") -> Callable[[], None]:
    """Write an archive whose array ``x`` says that it has another shape than its bytes have."""

    def write() -> None:
        x, y = io.BytesIO(), io.BytesIO()
        np.lib.format.write_array_header_1_0(x, {"descr": kind, "fortran_order": False, "shape": shape})
        np.lib.format.write_array(y, Y)
        with zipfile.ZipFile("d.npz", "w") as archive:
            archive.writestr("x.npy", x.getvalue() + data)
            archive.writestr("y.npy", y.getvalue())

    return write


def cut(n_bytes: int) -> None:
    np.savez("d.npz", x=X, y=Y)
    with Path("d.npz").open("r+b") as file:
        file.truncate(n_bytes)


def zipped(**members: str) -> None:
    with zipfile.ZipFile("d.npz", "w") as archive:
        for name, text in members.items():
            archive.writestr(f"{name}.npy", text)


class Code:
    """Would run code when it is loaded."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("run by a file",)


def torch_saved(content: Any, n_bytes: int | None = None) -> Callable[[], None]:
    def write() -> None:
        torch.save(content, "d.pt")
        if n_bytes is not None:
            with Path("d.pt").open("r+b") as file:
                file.truncate(n_bytes)

    return write


def tensors(**changed: Any) -> dict[str, Any]:
    return {"x": torch.from_numpy(X), "y": torch.from_numpy(Y)} | changed


def _case(
    name: str, make: Callable[[], object] | None, *words: str, file: str = "d.npz", named: str | None = None
) -> Case:
    given = f"--data.sources=[{{class_path: Tensors, init_args: {{path: {file}}}}}]"
    return Case(f"{Path(file).suffix[1:]} {name}", (given,), (named or file, *words), make, base=BASE)


NOT_TOLD = "save tensors or arrays anew"
NUMPY = [
    _case("uint16", saved(x=(X * 999).astype("u2"), y=Y), "astype('float32')", file="d.npz", named="d"),
    _case("int32", saved(x=(X * 999).astype("i4"), y=Y), "astype('float32')", file="d.npz", named="d"),
    _case("strings", saved(x=X.astype(str), y=Y), "x of type", "floats or whole numbers"),
    _case("dates", saved(x=X.astype("M8[s]"), y=Y), "x of type datetime64[s]"),
    _case("objects", saved(x=X.astype(object), y=Y), "holds objects"),
    _case("complex", saved(x=X.astype(complex), y=Y), "complex128"),
    _case("booleans", saved(x=X > 0.5, y=Y), "bool"),
    _case("one NaN", saved(x=with_one(X, np.nan), y=Y), "nan", "example 19", "at [1]", "correct it"),
    _case("one infinity", saved(x=with_one(X, np.inf), y=Y), "inf", "example 19", "correct it"),
    _case("one NaN in double", saved(x=with_one(X.astype("f8"), np.nan), y=Y), "nan", "example 19"),
    _case("one NaN in half", saved(x=with_one(X.astype("f2"), np.nan), y=Y), "nan", "example 19"),
    _case("too large for single", saved(x=with_one(X.astype("f8"), 1e300), y=Y), "1e+300", "example 19"),
    _case("label 2**40", saved(x=X, y=np.where(Y == 3, 2**40, Y)), "1099511627776", "numpy.unique"),
    _case("label 10**8", saved(x=X, y=np.where(Y == 3, 10**8, Y)), "100000000", "numpy.unique"),
    _case("label of 64 bits", saved(x=X, y=np.where(Y == 3, 2**63 + 5, Y.astype("u8"))), "9223372036854775813"),
    _case("label -1", saved(x=X, y=Y - 1), "the class -1", "count y from 0"),
    _case("labels of floats", saved(x=X, y=Y.astype(float)), "y of type float64", "whole numbers"),
    _case("labels of strings", saved(x=X, y=Y.astype(str)), "y of type", "whole numbers"),
    _case("too few labels", saved(x=X, y=Y[:10]), "40 inputs", "one for each"),
    _case("labels in two dimensions", saved(x=X, y=Y[:, None]), "(40, 1)", "one for each"),
    _case("no example", saved(x=X[:0], y=Y[:0]), "no example"),
    _case("no numbers", saved(x=X[:, :0], y=Y), "(40, 0)", "hold no numbers"),
    _case("images of 0x0", saved(x=np.zeros((40, 1, 0, 0), "u1"), y=Y), "(40, 1, 0, 0)", "hold no numbers"),
    _case("no y", saved(x=X), "no 'y'", "add it"),
    _case("no x", saved(y=Y), "no 'x'", "add it"),
    _case("a scalar", saved(x=np.float32(3), y=Y), "shape ()"),
    _case("domains of floats", saved(x=X, y=Y, domain=Y / 2), "domain of type float64"),
    _case("too few class names", saved(x=X, y=Y, class_names=np.array(["a"])), "class_names", "name all"),
    _case("class names of no list", saved(x=X, y=Y, class_names=np.array("a")), "class_names", "one name for each"),
    _case("in_test of integers", saved(x=X, y=Y, in_test=Y), "in_test", "booleans"),
    _case("a header of 3 TB", header((10**9, 800)), "needs 3200000000000", NOT_TOLD),
    _case("a header of 2**70", header((2**70, 4)), "needs", NOT_TOLD),
    _case("a header without data", header((40, 4)), "0 bytes", NOT_TOLD),
    _case("a negative header", header((-40, 4)), NOT_TOLD),
    _case("raw bytes", header((40, 4), "|V4", bytes(640)), "x of type |V4"),
    _case("empty", lambda: Path("d.npz").touch(), NOT_TOLD),
    _case("text", lambda: Path("d.npz").write_text("x,y\n1,2\n"), NOT_TOLD),
    _case("cut", lambda: cut(300), NOT_TOLD),
    _case("an archive of text", lambda: zipped(x="hello"), NOT_TOLD),
    _case("an empty archive", lambda: zipped(), "no 'x'"),
    _case("a folder", lambda: Path("d.npz").mkdir(), "is not there", "set path"),
    _case("a pipe", lambda: os.mkfifo("d.npz"), "is not there", "set path"),
    _case("missing", None, "is not there", "set path"),
    _case("a link to itself", lambda: Path("d.npz").symlink_to("d.npz"), "is not there"),
    Case(
        "npz one example of each class",
        ("--data.sources=[{class_path: Tensors, init_args: {path: d.npz}}]",),
        ("class '0' of d", "--data.n_shot", "--data.split"),
        saved(x=X[:4], y=Y[:4]),
        base=BASE,
    ),
    Case(
        "npz numbers near the largest",
        ("--data.sources=[{class_path: Tensors, init_args: {path: d.npz}}]",),
        ("the loss became nan", "experience 1", "step 1", "scale the inputs"),
        saved(x=X * np.float32(1e38), y=Y),
        base=BASE,
    ),
    _case("of another kind", lambda: Path("d.txt").write_text("x"), ".npz", file="d.txt"),
]
TORCH = [
    _case("a list", torch_saved([1, 2]), "a list", "the keys x and y", file="d.pt"),
    _case("code", torch_saved(tensors(x=Code())), "could run code", file="d.pt"),
    _case("a text as x", torch_saved(tensors(x="abc")), "x of type str", file="d.pt"),
    _case("rows of two lengths", torch_saved(tensors(x=[[1.0, 2.0], [3.0]])), "x of type list", file="d.pt"),
    _case("sparse", torch_saved(tensors(x=torch.from_numpy(X).to_sparse())), "sparse", file="d.pt"),
    _case("without data", torch_saved(tensors(x=torch.empty(40, 4, device="meta"))), "meta", file="d.pt"),
    _case("class names of a number", torch_saved(tensors(class_names=5)), "class_names", file="d.pt"),
    _case("text", lambda: Path("d.pt").write_text("hello"), "d.pt is damaged", file="d.pt"),
    _case("empty", lambda: Path("d.pt").touch(), "d.pt is damaged", file="d.pt"),
    _case("cut", torch_saved(tensors(), 700), "d.pt is damaged", file="d.pt"),
    _case("one NaN", torch_saved(tensors(x=torch.from_numpy(with_one(X, np.nan)))), "nan", "19", file="d.pt"),
    _case("missing", None, "is not there", file="d.pt"),
]

CASES = [*NUMPY, *TORCH]
