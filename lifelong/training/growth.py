"""Growth of a checkpoint for a longer stream: rows for the classes that it does not know.

Shapes: ``C`` classes of the checkpoint's stream, ``D`` features.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lifelong.data.record import DomainRecord
from lifelong.data.sampling import generator
from lifelong.data.stream import Stream
from lifelong.learners.base import Learner
from lifelong.strategy import Chain

LENGTHS = ("T_max", "total_steps")
"""Names under which schedules store their number of steps."""


def check_domains(theirs: Iterable[Mapping[str, Any]], stream: Stream) -> None:
    """Refuse a checkpoint unless the stream begins with the domains that it has learnt, each with the same split.

    Args:
        theirs: records of the checkpoint's domains, as returned by :meth:`DomainRecord.to_dict`.
        stream: the stream on which the checkpoint is to be used.

    Raises:
        ValueError: naming the first domain that differs.
    """
    records = [DomainRecord.from_dict(record) for record in theirs]
    if not records:
        raise ValueError("the checkpoint keeps no record of its domains: another version of lifelong has written it")
    ours = {record.name: record for record in stream.records}
    for record in records:
        if record.name not in ours:
            raise ValueError(
                f"the checkpoint's stream has the domain {record.name!r}, and the stream here has not: give the same "
                "--data.sources and --data.unseen; python -m lifelong extend goes on where old data are gone"
            )
        if ours[record.name].fingerprint != record.fingerprint:
            raise ValueError(
                f"the domain {record.name!r} has another split or other classes here than where the checkpoint is "
                "from: give the same data, --data.split and --data.split_seed"
            )
    learnt = [record.name for record in records if record.is_learnt]
    if learnt != list(stream.domains[: len(learnt)]) or len(learnt) > stream.n_learnt:
        raise ValueError(
            f"the checkpoint has learnt {', '.join(learnt)} in this order, and the stream here begins with "
            f"{', '.join(stream.domains[: len(learnt)])}: keep the order, and give new sources after the old ones"
        )


def grow_heads(checkpoint: Mapping[str, Any], learner: Learner) -> bool:
    """Extend a learner's output layer to the outputs of a checkpoint and, if needed, those of the longer stream.

    Args:
        checkpoint: the checkpoint that is loaded next.
        learner: the learner, prepared for its stream.

    Returns:
        Whether the stream has more classes than the stream of the checkpoint.
    """
    grows = int(checkpoint["lifelong"]["n_classes"]) < learner.n_classes
    head = checkpoint["state_dict"].get("learner.network.head.weight", ())
    learner.grow(max(len(head), learner.n_classes if grows else 0))
    return grows


def lengthen(
    checkpoint: dict[str, Any], learner: Learner, strategies: Chain, parameters: Sequence[Tensor], seed: int
) -> None:
    """Add rows for new classes to the state in a checkpoint, in place.

    New rows of a linear layer are drawn from ``U(-1/√D, 1/√D)``, determined by the seed and the class number. Other
    state that a learner stores per class starts as in a new learner, and the optimizer's averages start at zero.

    Args:
        checkpoint: checkpoint of a shorter stream.
        learner: the learner, prepared for the longer stream.
        strategies: the strategies, which extend their own state.
        parameters: parameters of the optimizer, in its order.
        seed: seed of the run.
    """
    state = checkpoint["state_dict"]
    of_learner = _part(state, "learner.")
    old = {name: tensor.shape for name, tensor in of_learner.items() if isinstance(tensor, Tensor)}
    _lengthen_learner(of_learner, learner, seed)
    learner.load_state_dict(of_learner)
    of_strategies = _part(state, "strategies.")
    strategies.load_state_dict(of_strategies)
    strategies.extend(learner)
    state |= {f"learner.{name}": value for name, value in of_learner.items()}
    state |= {f"strategies.{name}": value for name, value in strategies.state_dict().items()}
    names = {id(parameter): name for name, parameter in learner.named_parameters()}
    shapes = [old.get(names.get(id(parameter), "")) for parameter in parameters]
    for schedule in checkpoint.get("lr_schedulers", []):
        for name in LENGTHS:
            schedule.pop(name, None)  # the new schedule has its own, for the longer stream
    for optimizer in checkpoint.get("optimizer_states", []):
        _lengthen_optimizer(optimizer, parameters, shapes)


def with_grown_heads(identity: Mapping[str, Any], learner: Learner) -> dict[str, Any]:
    """Return a checkpoint's identity with the shapes that its output layers have after growing.

    Args:
        identity: identity recorded in the checkpoint.
        learner: the learner, prepared for the longer stream.
    """
    shapes = dict(identity["shapes"])
    for name, parameter in learner.named_parameters():
        old = tuple(shapes.get(name, ()))
        is_head = name.startswith(("network.head.", "classifier."))
        if is_head and old[1:] == tuple(parameter.shape[1:]) and old and old[0] < len(parameter):
            shapes[name] = tuple(parameter.shape)
    return {**identity, "shapes": shapes}


def _part(state: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def _lengthen_learner(state: dict[str, Any], learner: Learner, seed: int) -> None:
    trained = dict(learner.named_parameters())
    for name, new in learner.state_dict().items():
        old = state.get(name)
        if not isinstance(old, Tensor) or old.dim() == 0 or old.shape[1:] != new.shape[1:] or len(old) >= len(new):
            continue
        rows = new[len(old) :].to(old.device, old.dtype)
        layer_name, _, kind = name.rpartition(".")
        layer = learner.get_submodule(layer_name)
        if name in trained and isinstance(layer, nn.Linear):
            rows = _drawn_rows(layer, kind, range(len(old), len(new)), seed).to(rows)
        state[name] = torch.cat([old, rows])


def _drawn_rows(layer: nn.Linear, kind: str, classes: Iterable[int], seed: int) -> Tensor:
    bound = 1 / math.sqrt(layer.in_features)
    rows = [generator(seed, "head", number).uniform(-bound, bound, layer.in_features + 1) for number in classes]
    drawn = torch.from_numpy(np.stack(rows))
    return drawn[:, -1] if kind == "bias" else drawn[:, :-1]


def _lengthen_optimizer(
    optimizer: Mapping[str, Any], parameters: Sequence[Tensor], shapes: Sequence[torch.Size | None]
) -> None:
    for number, state in optimizer.get("state", {}).items():
        parameter, shape = parameters[number], shapes[number]
        if shape is None or parameter.shape == shape:
            continue
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == shape:
                rows = value.new_zeros(len(parameter) - len(value), *value.shape[1:])
                state[name] = torch.cat([value, rows])
