"""Packing rows of scores into a few arrays for checkpoints and files; cells that were not evaluated take no space."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lifelong.evaluation.intervals import Scores, ma, plain, ragged


def pack(rows: Sequence[Scores]) -> dict[str, np.ndarray]:
    """Pack rows ``(D, n)`` of equal shape.

    Returns:
        Arrays by name: ``shape`` (rows, domains), ``n_units`` of each domain, the indices ``cells`` ``(c, 2)`` of the
        evaluated cells, and their ``scores`` ``(c, n)``.

    Example:
        >>> packed = pack([np.array([[0.5, 1.0], [np.nan, np.nan]])])
        >>> packed["cells"].tolist(), packed["scores"].tolist()
        ([[0, 0]], [[0.5, 1.0]])
    """
    values = np.stack([plain(row) for row in rows])
    cells = np.argwhere(~np.isnan(values).all(-1))
    return {
        "shape": np.array(values.shape[:2]),
        "n_units": np.asarray(ma.count(rows[0], axis=-1)),
        "cells": cells,
        "scores": values[tuple(cells.T)],
    }


def unpack(packed: Mapping[str, np.ndarray]) -> list[Scores]:
    """Restore the rows that :func:`pack` packed.

    Example:
        >>> unpack(pack([np.array([[0.5, 1.0], [np.nan, np.nan]])]))[0].tolist()
        [[0.5, 1.0], [nan, nan]]
    """
    shape, n_units, cells, scores = (packed[name] for name in ("shape", "n_units", "cells", "scores"))
    values = np.full((*shape, n_units.max()), np.nan)
    values[tuple(cells.T)] = scores
    return [ragged([units[:n] for units, n in zip(row, n_units, strict=True)]) for row in values]
