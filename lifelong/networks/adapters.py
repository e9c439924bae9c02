"""Adapters of the package peft inside a frozen model: only these parameters are trained."""

from __future__ import annotations

import copy
import warnings
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from lifelong.utilities.extras import imported


class AdapterConfig(Protocol):
    """Describe adapters: any ``peft.PeftConfig`` of a method that can be injected into a model."""

    def to_dict(self) -> dict:  # type: ignore[type-arg]  # peft's annotation, which the command line compares
        """Return the settings."""


def add_lora(body: nn.Module, rank: int, alpha: float, who: str) -> None:
    """Add a low-rank update ``W + (α/r) B A`` to every linear layer of a frozen model.

    Args:
        body: the model.
        rank: ``r``.
        alpha: ``α``.
        who: name of the caller, for error messages.

    Raises:
        ValueError: when the package peft is missing.
    """
    peft = imported("peft", f"{who} with trained: lora", "text")
    # All linear layers by name, because peft's "all-linear" requires its wrapper around the model.
    peft.inject_adapter_in_model(peft.LoraConfig(r=rank, lora_alpha=alpha, target_modules=_linear_layers(body)), body)


def add_adapters(body: nn.Module, config: AdapterConfig, who: str) -> None:
    """Inject the adapters of a config into a frozen model; by default, into all its linear layers.

    Args:
        body: the model.
        config: a peft config.
        who: name of the caller, for error messages.

    Raises:
        ValueError: when peft is missing, cannot inject this method, or the method trains no parameters.
    """
    peft = imported("peft", f"{who} with --model.network.peft", "text")
    kind = type(config).__name__
    if not isinstance(config, peft.PeftConfig):
        raise ValueError(f"--model.network.peft is a {kind}: give it a config of peft, such as peft.IA3Config")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Unsupported layer type")  # norm layers, which LNTuning is made for
            peft.inject_adapter_in_model(_with_targets(config, body, peft), body)
    except Exception as error:  # each method raises its own type for unsupported layers
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(
            f"peft cannot put the adapters of {kind} into {type(body).__name__} ({reason}): set "
            "--model.network.peft.target_modules, or take another method, such as peft.IA3Config"
        ) from error
    if not any(p.requires_grad for p in body.parameters()):
        raise ValueError(f"{kind} trains nothing of {type(body).__name__}: leave inference_mode out of its settings")


def maps_adapters(network: nn.Module, x: Tensor) -> bool:
    """Return whether ``vmap`` can map a network and its gradient over its trainable parameters.

    Args:
        network: a network with adapters.
        x: an input.
    """
    trained = {name: p.detach() for name, p in network.named_parameters() if p.requires_grad}
    pairs = {name: torch.stack([p, p]) for name, p in trained.items()}

    def total(params: dict[str, Tensor], x: Tensor) -> Tensor:
        return torch.func.functional_call(network, params, (x,)).sum()  # type: ignore[no-any-return]

    try:
        torch.func.vmap(torch.func.grad(total))(pairs, torch.stack([x, x]))
    except Exception:  # each method raises its own type
        return False
    return True


def _with_targets(config: Any, body: nn.Module, peft: Any) -> Any:
    """Return a copy of a config with target layers, because injection modifies it and it may name none."""
    config = copy.deepcopy(config)
    if getattr(config, "target_modules", "") is not None:
        return config
    if isinstance(config, peft.LNTuningConfig):
        config.target_modules = [name for name, part in body.named_modules() if isinstance(part, nn.LayerNorm)]
        return config
    config.target_modules = _linear_layers(body)
    if getattr(config, "feedforward_modules", "") is None:
        config.feedforward_modules = []
    return config


def _linear_layers(body: nn.Module) -> list[str]:
    return [name for name, module in body.named_modules() if isinstance(module, nn.Linear)]
