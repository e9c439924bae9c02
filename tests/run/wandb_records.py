"""Reading what Weights & Biases has written offline."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BLOCK, HEADER, FILE_HEADER = 32768, 7, 7
"""Bytes of a block and of a chunk's header, as in LevelDB's log format, and of what the file begins with."""
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def records_of(folder: Path) -> list[Any]:
    """The records of the only ``.wandb`` file in the folder of an offline run."""
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = folder.glob("*.wandb")
    return [Record.FromString(payload) for payload in _payloads(file.read_bytes())]


def offline_runs(folder: Path) -> list[Path]:
    """The folders of the offline runs of a run folder, the oldest first."""
    return sorted((folder / "wandb").glob("offline-run-*"), key=lambda path: path.name.rpartition("-")[0])


def history_of(records: list[Any]) -> list[dict[str, Any]]:
    """The rows that were logged."""
    rows = [record.history for record in records if record.WhichOneof("record_type") == "history"]
    return [{item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in row.item} for row in rows]


def axes_of(records: list[Any]) -> dict[str, str]:
    """The axis of each metric, or pattern of metrics, that was defined."""
    metrics = [record.metric for record in records if record.WhichOneof("record_type") == "metric"]
    return {metric.name or metric.glob_name: metric.step_metric for metric in metrics}


def config_of(records: list[Any]) -> dict[str, Any]:
    """The config, with what was updated later."""
    config: dict[str, Any] = {}
    for record in records:
        kind = record.WhichOneof("record_type")
        updates = record.run.config.update if kind == "run" else record.config.update if kind == "config" else ()
        config |= {item.key or item.nested_key[0]: json.loads(item.value_json) for item in updates}
    return config


def run_of(records: list[Any]) -> Any:
    """The run itself."""
    return next(record.run for record in records if record.WhichOneof("record_type") == "run")


def _payloads(content: bytes) -> Iterator[bytes]:
    assert content[:4] == b":W&B"
    place, part = FILE_HEADER, b""
    while place + HEADER <= len(content):
        if (left := BLOCK - place % BLOCK) < HEADER:  # what is too short for a header is padding
            place += left
            continue
        _, size, kind = struct.unpack("<IHB", content[place : place + HEADER])
        chunk, place = content[place + HEADER : place + HEADER + size], place + HEADER + size
        part = chunk if kind in (FULL, FIRST) else part + chunk
        if kind in (FULL, LAST):
            yield part
