"""Any image network, with weights from a file."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lifelong.networks import Backbone


class Classifier(nn.Module):
    """Maps, their means, and a classifier of them."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3)
        self.fc = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.stem(x).mean((2, 3)))  # type: ignore[no-any-return]


class Flat(nn.Module):
    """One number for an image, without a dimension for it."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum((1, 2, 3))


class Tokens(nn.Module):
    """Patches of 4×4 pixels as tokens."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.unfold(x, 4, stride=4).transpose(1, 2)


def test_images_are_scaled_and_outputs_pooled() -> None:
    x, stem = torch.rand(2, 3, 8, 8), nn.Conv2d(3, 4, 3)
    net = Backbone(stem, mean=[0.1, 0.2, 0.3], std=[0.5], image_size=8)
    scaled = torch.stack([(x[:, c] - 0.1 * (c + 1)) / 0.5 for c in range(3)], 1)
    torch.testing.assert_close(net(x), stem(scaled).mean((2, 3)))
    tokens = Tokens()(x)
    torch.testing.assert_close(Backbone(Tokens(), image_size=8)(x), tokens.mean(1))
    torch.testing.assert_close(Backbone(Tokens(), image_size=8, pooling="first")(x), tokens[:, 0])
    assert torch.equal(Backbone(nn.Flatten(), image_size=8)(x), x.flatten(1))


def save(weights: Any, path: Path) -> str:
    if path.suffix == ".safetensors":
        pytest.importorskip("safetensors", reason="safetensors is not installed: pip install -e '.[vision]'")
        from safetensors.torch import save_file

        save_file(weights, path)
    else:
        torch.save(weights, path)
    return str(path)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_weights_come_from_a_file_and_the_classifier_goes(name: str, tmp_path: Path) -> None:
    trained, x = Classifier(), torch.rand(2, 3, 8, 8)
    path = save(trained.state_dict(), tmp_path / name)
    net = Backbone(Classifier(), weights=path, without="fc", image_size=8, n_outputs=2)
    torch.testing.assert_close(net.features(x), trained.stem(x).mean((2, 3)))
    assert (net.n_features, net(x).shape) == (4, (2, 2))
    torch.testing.assert_close(Backbone(Classifier(), weights=path, image_size=8)(x), trained(x))


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_weights_may_lie_beside_other_things(key: str, tmp_path: Path) -> None:
    trained, x = Classifier(), torch.rand(2, 3, 8, 8)
    path = save({key: trained.state_dict(), "epoch": 3}, tmp_path / "w.pth")
    torch.testing.assert_close(Backbone(Classifier(), weights=path, image_size=8)(x), trained(x))


def refusal(weights: Any = None, **settings: Any) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        Backbone(Classifier(), weights=weights, **({"image_size": 8} | settings))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_weights_of_another_network_are_named(tmp_path: Path) -> None:
    told = refusal(save(Classifier(5).state_dict(), tmp_path / "wide.pth"))
    assert "not those of Classifier: stem.weight is (5, 3, 3, 3) there and (4, 3, 3, 3) here" in told
    few = {name: w for name, w in Classifier().state_dict().items() if not name.startswith("fc")}
    assert "fc.weight is absent there and (10, 4) here" in refusal(save(few, tmp_path / "few.pth"))
    more = Classifier().state_dict() | {"more": torch.zeros(2)}
    assert "more is (2,) there and absent here" in refusal(save(more, tmp_path / "more.pth"))


def test_files_that_hold_no_weights_are_named(tmp_path: Path) -> None:
    assert f"finds no weights in {tmp_path / 'none.pth'}" in refusal(str(tmp_path / "none.pth"))
    (tmp_path / "damaged.pth").write_bytes(b"damaged")
    assert "damaged.pth cannot be read (" in refusal(str(tmp_path / "damaged.pth"))
    assert "whole.pth cannot be read (" in refusal(save(Classifier(), tmp_path / "whole.pth"))
    assert "has no weights by name" in refusal(save([torch.zeros(1)], tmp_path / "list.pth"))
    (tmp_path / "damaged.safetensors").write_bytes(b"damaged")
    told = refusal(str(tmp_path / "damaged.safetensors"))
    has_extra = importlib.util.find_spec("safetensors") is not None
    assert ("damaged.safetensors cannot be read (" if has_extra else "needs the package safetensors") in told


def test_settings_that_do_not_fit_are_named() -> None:
    assert "without is 'fb': Classifier has the modules stem, fc" in refusal(without="fb")
    assert "Backbone's mean has 2 values: give 1, or 3, one per channel" in refusal(mean=[0.1, 0.2])
    assert "Backbone's std is 0.0: it must be above 0" in refusal(std=[0.0])
    assert "Backbone cannot take images of 2×2 pixels" in refusal(image_size=2)
    with pytest.raises(ValueError, match=r"Flat returns \(2,\): vectors \(n, D\), tokens .* were expected"):
        Backbone(Flat())
