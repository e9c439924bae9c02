from __future__ import annotations

import pytest
import torch

from lifelong.training.stream_module import StreamModule
from tests.control.driving import QUICK, trained
from tests.control.points import Points


@pytest.fixture(scope="session")
def maml() -> tuple[Points, StreamModule, object]:
    """A MAML that knows all families of points."""
    source = Points()
    torch.set_num_threads(1)
    return source, *trained(source, "MAML", **QUICK)
