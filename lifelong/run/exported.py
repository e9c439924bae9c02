"""Models exported for other programs, by ONNX or ``torch.export``, with their class names and preprocessing.

Shapes: ``M`` queries, ``N`` classes, ``*X`` one input.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.utilities.extras import imported
from lifelong.utilities.files import as_json, write_json, write_whole

FORMATS = {"onnx": ".onnx", "torch": ".pt2"}
"""File extension of each format."""
KEY = "lifelong"
"""Key of the model's description in both kinds of file; ``<file>.json`` next to them contains the same."""
CLOSE = 1e-4
"""Largest allowed difference of a probability from the original model's."""
WHO = "export"


def export(graph: nn.Module, probe: Tensor, about: Mapping[str, Any], path: Path) -> Path:
    """Export a model for other programs, and check that the exported model gives the same predictions.

    Args:
        graph: maps inputs ``(M, *X)`` to probabilities ``(M, N)``.
        probe: ``(M, *X)``, at least two inputs on which the answers are compared.
        about: class names and preprocessing.
        path: a new file whose name ends in ``.onnx`` or ``.pt2``.

    Returns:
        The path of the file. ``<file>.json`` next to it describes the model.

    Raises:
        ValueError: when the file exists already, the extra is missing, or the model cannot be exported.
    """
    beside = path.with_name(f"{path.name}.json")
    if path.suffix not in FORMATS.values():
        raise ValueError(f"{path} ends in neither .onnx nor .pt2: name a file of one of these formats")
    for file in (path, beside):
        if file.exists():
            raise ValueError(f"{file} is there already, and is not replaced: name another file")
    if not hasattr(torch.export, "default_decompositions"):
        raise ValueError(f"export needs torch 2.6 or newer, and {torch.__version__} is installed: update it")
    if path.suffix == ".onnx":
        for package in ("onnx", "onnxscript", "onnxruntime"):  # checked before minutes are spent
            imported(package, WHO, "export")
    content = {**about, "input": _describe("x", probe), "output": {"name": "probabilities"}}
    content["output"]["shape"] = ["batch", len(about["classes"])]
    said = json.dumps(as_json(content), allow_nan=False)
    program = traced(graph, probe)
    writer = _write_onnx if path.suffix == ".onnx" else _write_torch
    write_whole(path, lambda part: writer(part, program, graph, probe, said))
    write_json(beside, content)
    return path


def traced(graph: nn.Module, probe: Tensor) -> torch.export.ExportedProgram:
    """Return the exported program of a graph, with a dynamic batch size.

    Raises:
        ValueError: when its computation depends on the values of the query.
    """
    batch = torch.export.Dim("batch", min=1)
    try:
        with _quiet(), torch.no_grad():
            program = torch.export.export(graph, (probe[:2],), dynamic_shapes=({0: batch},), strict=False)
    except Exception as error:  # tracing raises whatever the code of a network or a strategy raises
        raise ValueError(
            "the model cannot be exported, as its computation depends on the query (such as a bank that routes each "
            f"example) or is not supported by torch.export ({_first_line(error)}): predict with lifelong.load"
        ) from error
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # contains paths of this machine
    return program


def _write_torch(file: Path, program: torch.export.ExportedProgram, graph: nn.Module, probe: Tensor, said: str) -> None:
    with _quiet(), file.open("wb") as opened:
        torch.export.save(program, opened, extra_files={f"{KEY}.json": said})
    with _quiet():
        loaded = torch.export.load(io.BytesIO(file.read_bytes())).module()
    _compare(graph, probe, loaded)


def _write_onnx(file: Path, program: torch.export.ExportedProgram, graph: nn.Module, probe: Tensor, said: str) -> None:
    onnx, onnxruntime = imported("onnx", WHO, "export"), imported("onnxruntime", WHO, "export")
    try:
        with _quiet():
            plain = program.run_decompositions(_without_distances())
            made = torch.onnx.export(
                plain, dynamo=True, verbose=False, input_names=["x"], output_names=["probabilities"]
            )
    except Exception as error:  # many kinds of error, for operations that ONNX lacks
        raise ValueError(
            f"the model has an operation that ONNX cannot express ({_first_line(error)}): export it by --format torch "
            "(a file that ends in .pt2)"
        ) from error
    assert made is not None
    model = made.model_proto
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    for node in model.graph.node:
        del node.metadata_props[:]  # contains paths of this machine and names of modules
    onnx.helper.set_model_props(model, {KEY: said})
    onnx.save_model(model, str(file))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    _compare(graph, probe, lambda x: torch.from_numpy(session.run(None, {"x": x.numpy()})[0]))


def _compare(graph: nn.Module, probe: Tensor, other: Any) -> None:
    with torch.no_grad():
        for n in {1, len(probe)}:
            difference = float((graph(probe[:n]) - other(probe[:n])).abs().max())
            if not difference <= CLOSE:
                raise ValueError(
                    f"the exported program predicts differently (a probability by {difference:.1g}), so it was not "
                    "written: predict with lifelong.load"
                )


def _without_distances() -> dict[Any, Any]:
    """Return decompositions of distances into operations that ONNX has."""

    def cdist(a: Tensor, b: Tensor, p: float, mode: int | None) -> Tensor:
        assert p == 2
        return (a[..., :, None, :] - b[..., None, :, :]).square().sum(-1).sqrt()

    table: dict[Any, Any] = torch.export.default_decompositions()
    table[torch.ops.aten._cdist_forward.default] = cdist
    return table


def _describe(name: str, probe: Tensor) -> dict[str, Any]:
    return {"name": name, "shape": ["batch", *probe.shape[1:]], "type": str(probe.dtype).removeprefix("torch.")}


def _first_line(error: BaseException) -> str:
    text = str(error.__cause__ or error).strip() or type(error).__name__
    return text.splitlines()[0][:160].rstrip(".: ")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress what torch's exporters print and warn about, such as internals and a missing torchvision."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            with contextlib.redirect_stdout(io.StringIO()):
                yield
    finally:
        logging.disable(before)
