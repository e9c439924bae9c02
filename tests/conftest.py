import pytest
import torch


def pytest_configure(config: pytest.Config) -> None:
    # Lightning asks torch's pytree in a way that newer torch versions deprecate.
    config.addinivalue_line("filterwarnings", "ignore:.*LeafSpec.*:FutureWarning")


@pytest.fixture(autouse=True)
def _deterministic() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _without_plotly(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the 5 MB of plotly's script out of the pages that runs write, but where pages are tested."""
    if "pages" not in request.path.parts:
        monkeypatch.setattr("lifelong.pages.page.plotly_script", lambda: "/* plotly.js */")
