"""Prompts: small parameters that tell a frozen model what to attend to, chosen by the input, one file each."""

from lifelong.networks.prompts.base import Chosen, Prompts
from lifelong.networks.prompts.coda_prompt import CODAPrompt
from lifelong.networks.prompts.dual_prompt import DualPrompt
from lifelong.networks.prompts.l2p import L2P

__all__ = ["L2P", "CODAPrompt", "Chosen", "DualPrompt", "Prompts"]
