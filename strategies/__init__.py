"""Strategies against forgetting, one file each; list them in `strategies` by class path."""

from strategies.adapter_bank import AdapterBank
from strategies.ewc import EWC
from strategies.replay import Replay

__all__ = ["EWC", "AdapterBank", "Replay"]
