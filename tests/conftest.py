import pytest
import torch


def pytest_configure(config: pytest.Config) -> None:
    # Lightning asks torch's pytree in a way that newer torch versions deprecate.
    config.addinivalue_line("filterwarnings", "ignore:.*LeafSpec.*:FutureWarning")


@pytest.fixture(autouse=True)
def _deterministic() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
