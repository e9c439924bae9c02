"""A network with the weights of an earlier run, for any learner."""

from __future__ import annotations

import copy
import logging
from typing import Any

from torch import Tensor, nn

from lifelong.networks.frozen import HEAD, Frozen
from lifelong.utilities.checkpoint_file import read_checkpoint
from lifelong.utilities.recorded import record_as

log = logging.getLogger(__name__)

PREFIX = "learner.network."
"""Prefix of the names of a learner's network parameters in a checkpoint."""


def FromCheckpoint(network: nn.Module, path: str, frozen: bool = False) -> nn.Module:
    """Return the network itself, with the weights that a learner's network had in the checkpoint of a run.

    This is a function, not a wrapper class, so learners and strategies find the network's attributes (its features, its
    head, the names of its parameters) in their usual places.

    The two runs may use different learners, for example ProtoNet and then Classifier. A head (the module ``head``) that
    the checkpoint lacks, or has in another shape, keeps its initial weights, and a log message says so. On the command
    line::

        --model.network lifelong.networks.FromCheckpoint --model.network.path runs/NAME/checkpoints/last.ckpt
        --model.network.network lifelong.networks.Conv4 --model.network.network.n_outputs 10

    Args:
        network: a network with the settings of the earlier run; only its head may differ.
        path: path of the checkpoint. It must remain there for the new run to be resumed or tested.
        frozen: freeze everything except the head: no gradients, and always in evaluation mode.

    Raises:
        ValueError: when the checkpoint does not exist, was not written by lifelong, or its weights do not fit the
            network.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import torch
        >>> file = Path(tempfile.mkdtemp()) / "last.ckpt"
        >>> state = {"learner.network.weight": torch.ones(2, 3), "learner.network.bias": torch.zeros(2)}
        >>> torch.save({"state_dict": state}, file)
        >>> FromCheckpoint(nn.Linear(3, 2), str(file))(torch.ones(1, 3)).tolist()
        [[3.0, 3.0]]
    """
    arguments = {"network": copy.copy(network), "path": path, "frozen": frozen}
    theirs, ours = _weights(path), network.state_dict()
    fitting = {name: w for name, w in theirs.items() if name in ours and ours[name].shape == w.shape}
    for name in {**ours, **theirs}:
        if name not in fitting and not name.startswith(HEAD):
            raise ValueError(
                f"the network does not fit the weights in {path}: {name} is {_shape(theirs, name)} there and "
                f"{_shape(ours, name)} here; give --model.network.network what config.yaml in that run's folder says"
            )
    _tell_of_head(network, theirs, fitting, path)
    network.load_state_dict(ours | fitting)
    without_weights = arguments["network"]
    if frozen:
        without_weights = copy.copy(Frozen(network))
    record_as(network, FromCheckpoint, arguments, without_state=without_weights)
    return network


def _weights(path: str) -> dict[str, Tensor]:
    try:
        state = read_checkpoint(path)["state_dict"]
    except ValueError as error:
        raise ValueError(f"--model.network.path: {error}") from error
    if any(name.startswith("network.") for name in state):
        raise ValueError(
            f"the checkpoint {path} was written by an earlier version, which this one cannot read: run it again"
        )
    weights = {name.removeprefix(PREFIX): w for name, w in state.items() if name.startswith(PREFIX)}
    if not weights:
        raise ValueError(f"the checkpoint {path} has no weights of a network: give --model.network.path another")
    return weights


def _shape(weights: dict[str, Tensor], name: str) -> Any:
    return tuple(weights[name].shape) if name in weights else "absent"


def _tell_of_head(network: nn.Module, theirs: dict[str, Tensor], fitting: dict[str, Tensor], path: str) -> None:
    ours = network.state_dict()
    for name in {**ours, **theirs}:
        if name not in fitting:
            end = "starts anew" if name in ours else "is left out"
            log.warning(
                "the head of %s %s: %s is %s in %s and %s here",
                type(network).__name__,
                end,
                name,
                _shape(theirs, name),
                path,
                _shape(ours, name),
            )
            return
