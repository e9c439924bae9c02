"""Strategies against forgetting, one per file; name them by class path in the `strategies` setting."""

from strategies.adapter_bank import AdapterBank
from strategies.agem import AGEM
from strategies.der import DER
from strategies.ease import EASE
from strategies.er_ace import ERACE
from strategies.ewc import EWC
from strategies.gdumb import GDumb
from strategies.gem import GEM
from strategies.icarl import ICaRL
from strategies.lwf import LwF
from strategies.mas import MAS
from strategies.memory.budget import Budget
from strategies.osf import OSF
from strategies.packnet import PackNet
from strategies.prompt_pool import PromptPool
from strategies.replay import Replay
from strategies.si import SI
from strategies.tuna import TUNA
from strategies.weight_averaging import WeightAveraging

__all__ = [
    "AGEM",
    "DER",
    "EASE",
    "ERACE",
    "EWC",
    "GEM",
    "MAS",
    "OSF",
    "SI",
    "TUNA",
    "AdapterBank",
    "Budget",
    "GDumb",
    "ICaRL",
    "LwF",
    "PackNet",
    "PromptPool",
    "Replay",
    "WeightAveraging",
]
