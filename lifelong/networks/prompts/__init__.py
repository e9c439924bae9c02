"""Prompt methods: small trained parameters, selected by the input, that steer the attention of a frozen model."""

from lifelong.networks.prompts.base import Chosen, Prompts
from lifelong.networks.prompts.coda_prompt import CODAPrompt
from lifelong.networks.prompts.dual_prompt import DualPrompt
from lifelong.networks.prompts.l2p import L2P

__all__ = ["L2P", "CODAPrompt", "Chosen", "DualPrompt", "Prompts"]
