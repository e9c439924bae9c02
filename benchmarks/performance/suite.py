"""Common parts of all suites: settings, timing, and results stored as JSON lines."""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Literal, Protocol

import torch

from benchmarks.performance.layout import Row, load, spread
from lifelong.compute.measuring import device_name

ROOT = Path(__file__).parents[2]
Precision = Literal["fp32", "tf32", "bf16"]
Say = Callable[[str], None]
"""Prints what is being measured."""


@dataclass(frozen=True)
class Settings:
    """Settings of a measurement.

    Args:
        device: device of the training.
        quick: measure less, to test that everything runs; the results are not stored.
        only: measure only rows whose names contain one of these words. If empty, measure all.
        precision: precision of matrix products and convolutions, for all contenders: ``fp32``, ``tf32`` on a GPU's
            tensor cores, or ``bf16`` under autocast.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    quick: bool = False
    only: Sequence[str] = ()
    precision: Precision = "fp32"

    def autocast(self) -> torch.autocast:
        """Return the context of one step; each step needs a new one, because autocast caches converted weights."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def wants(self, name: str) -> bool:
        """Return whether a row of this name is measured."""
        return not self.only or any(word in name for word in self.only)

    @property
    def trainer(self) -> dict[str, Any]:
        """Return the device as arguments of Lightning's Trainer."""
        accelerator = "gpu" if self.device.type == "cuda" else "cpu"
        return {"accelerator": accelerator, "devices": 1 if self.device.index is None else [self.device.index]}


class Suite(Protocol):
    """A module of this package with one type of measurements."""

    def measure(self, settings: Settings, say: Say) -> Iterable[Row]:
        """Measure row by row."""


def alternate(
    contenders: Mapping[str, Callable[[], object]], *, device: torch.device, repetitions: int = 5, seconds: float = 0.2
) -> dict[str, list[float]]:
    """Time all contenders alternately, in reverse order every second time; return seconds per call.

    Args:
        contenders: functions by name; each is called once as a warm-up.
        device: device that is synchronised before and after.
        repetitions: number of measurements per contender.
        seconds: duration of a measurement, which repeats calls to reach it.
    """
    calls, times = {}, {name: [0.0][:0] for name in contenders}
    for name, call in contenders.items():
        call()
        calls[name] = max(1, round(seconds / max(_seconds(call, 1, device), 1e-9)))
    for repetition in range(repetitions):
        for name in list(contenders)[:: 1 if repetition % 2 == 0 else -1]:
            times[name].append(_seconds(contenders[name], calls[name], device))
    return times


def _seconds(call: Callable[[], object], n: int, device: torch.device) -> float:
    since = now(device)
    for _ in range(n):
        call()
    return (now(device) - since) / n


def now(device: torch.device) -> float:
    """Return the time in seconds after the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> list[float]:
    """Return the spread of the ratios of measurements from the same round."""
    return spread([a / b for a, b in zip(numerators, denominators, strict=True)])


def set_precision(precision: Precision) -> None:
    """Allow tf32 for float32 products and convolutions if it is selected."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"


def machine(device: torch.device) -> Row:
    """Return the conditions besides the code on which results depend."""
    return {
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "date": date.today().isoformat(),
        "command": " ".join(["python -m benchmarks", *sys.argv[1:]]),
    }


def save(path: Path, rows: Iterable[Row], device: torch.device) -> list[Row]:
    """Replace rows of the same setup in a file, or append them, each with its machine; return all rows of the file."""
    fresh = {row["setup"]: rounded(row | {"machine": machine(device)}) for row in rows}
    kept = [fresh.pop(row["setup"], row) for row in (load(path) if path.is_file() else [])]
    kept += fresh.values()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in kept), encoding="utf-8")
    part.replace(path)
    return kept


def rounded(value: Any) -> Any:
    """Round all numbers of a row to five significant digits.

    Example:
        >>> rounded({"seconds": [0.123456789]})
        {'seconds': [0.12346]}
    """
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
