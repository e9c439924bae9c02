from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lifelong.compute.runner import PlanName, TaskRunner
from lifelong.data.episode import Episode
from lifelong.learners import MAML, ProtoNet
from lifelong.networks import Timm
from lifelong.networks import timm as module
from tests.networks import fake_timm


def test_without_timm_a_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ValueError, match=r"needs the package timm .*pip install .*'\.\[timm\]'"):
        Timm(name="resnet18")


def test_a_timm_that_fails_on_import_is_the_same_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "timm.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.delitem(sys.modules, "timm", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"nms does not exist.*torchvision from the same index"):
        Timm(name="resnet18")


def test_the_model_is_made_without_a_classifier(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = fake_timm.install(monkeypatch)
    Timm(name="resnet", in_channels=1, image_size=16)
    Timm(name="vit", image_size=32, pretrained=True)
    assert asked == [
        {"name": "resnet", "pretrained": False, "in_chans": 1, "num_classes": 0},
        {"name": "vit", "pretrained": True, "in_chans": 3, "num_classes": 0, "img_size": 32},
    ]


def test_an_unknown_name_and_too_small_images_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_timm.install(monkeypatch)
    with pytest.raises(ValueError, match=r"'nonsense' \(Unknown model .*--model\.network\.name"):
        Timm(name="nonsense")
    with pytest.raises(ValueError, match="Timm cannot take images of 2×2 pixels"):
        Timm(name="some", image_size=2)
    with pytest.raises(ValueError, match=r"Timm takes .*\(3, 16, 16\).*\(1, 28, 28\).*in_channels 1 .*image_size 28"):
        Timm(name="some", image_size=16)(torch.zeros(2, 1, 28, 28))


def test_pretrained_weights_see_images_on_their_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_timm.install(monkeypatch)
    x = torch.rand(2, 3, 8, 8)
    plain, trained = (Timm(name="some", image_size=8, pretrained=pretrained).eval() for pretrained in (False, True))
    plain(x), trained(x)
    assert torch.equal(plain.body.seen, x)
    torch.testing.assert_close(trained.body.seen[:, 2], (x[:, 2] - 0.75) / 0.125)
    torch.testing.assert_close(trained.body.seen[:, 0], (x[:, 0] - 0.25) / 0.5)
    grey = Timm(name="some", image_size=8, pretrained=True, in_channels=1).eval()
    grey(x[:, :1])
    torch.testing.assert_close(grey.body.seen, (x[:, :1] - 0.5) / (0.875 / 3))
    assert not any("mean" in name and "running" not in name for name in trained.state_dict())


def test_weights_of_a_file_take_the_place_of_timms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = fake_timm.install(monkeypatch)
    torch.manual_seed(5)
    trained = fake_timm.Body(3).state_dict()
    torch.save(trained, tmp_path / "w.pth")
    before = torch.get_rng_state()
    net = Timm(name="some", image_size=8, weights=str(tmp_path / "w.pth"), n_outputs=None).eval()
    assert torch.equal(before, torch.get_rng_state())
    assert [(call["pretrained"], "pretrained_cfg_overlay" in call) for call in asked] == [(True, True), (False, False)]
    assert all(torch.equal(weight, trained[name]) for name, weight in net.body.state_dict().items())
    x = torch.rand(2, 3, 8, 8)
    net(x)
    torch.testing.assert_close(net.body.seen[:, 0], (x[:, 0] - 0.25) / 0.5)


def test_a_file_that_lacks_weights_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_timm.install(monkeypatch)
    lacking = {name: w for name, w in fake_timm.Body(3).state_dict().items() if name != "last.weight"}
    torch.save(lacking, tmp_path / "w.pth")
    with pytest.raises(ValueError, match=r"the weights in .*w\.pth have no last\.weight for Body: give --model"):
        Timm(name="some", image_size=8, weights=str(tmp_path / "w.pth"))
    with pytest.raises(ValueError, match=r"lifelong\.networks\.Timm finds no weights in .*none\.pth"):
        Timm(name="some", image_size=8, weights=str(tmp_path / "none.pth"))


def test_gradient_learners_refuse_running_statistics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake_timm.install(monkeypatch)
    net = Timm(name="some", image_size=8, n_outputs=5)
    assert int(net.body.stem[1].num_batches_tracked) == 0
    assert net.training
    with pytest.raises(ValueError, match="running statistics"):
        MAML(net)


def test_attention_is_not_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_timm.install(monkeypatch)
    monkeypatch.setattr(fake_timm.Body, "fused_attn", True, raising=False)
    assert Timm(name="some", image_size=8).body.fused_attn is False


# -- with the real package: .ci/timm -------------------------------------------------------------------------------


@pytest.fixture
def _real_timm() -> None:
    try:
        module._timm()
    except ValueError as missing:
        if os.environ.get("LIFELONG_TIMM") == "required":
            raise
        pytest.skip(str(missing))


def real(test: Callable[..., None]) -> Callable[..., None]:
    """Runs with the real package alone, whatever that warns of."""
    return pytest.mark.usefixtures("_real_timm")(pytest.mark.filterwarnings("ignore")(test))


@real
@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224", "mobilenetv3_small_050", "convnext_atto"])
def test_the_real_package_makes_features_and_our_head_outputs(name: str) -> None:
    net, x = Timm(name=name, in_channels=1, image_size=32, n_outputs=5).eval(), torch.rand(2, 1, 32, 32)
    assert net.features(x).shape == (2, net.n_features)
    assert torch.equal(net(x), net.head(net.features(x)))
    torch.testing.assert_close(net.features(x), net.body.forward_head(net.body.forward_features(x)))


@real
def test_the_real_package_refuses_an_unknown_name() -> None:
    with pytest.raises(ValueError, match="timm cannot make 'nonsense'"):
        Timm(name="nonsense")


@real
@pytest.mark.parametrize(("name", "mean"), [("resnet18", 0.485), ("vit_tiny_patch16_224", 0.5)])
def test_each_name_knows_the_scale_of_its_weights(name: str, mean: float) -> None:
    # The weights themselves would come from the net.
    assert module._scale(Timm(name=name, image_size=32).body, True, 3)[0][0].item() == pytest.approx(mean)


@real
@pytest.mark.parametrize("plan", ["loop", "vmap"])
@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "convnext_atto", "resnet50_gn"])
def test_second_order_where_norms_keep_no_statistics(name: str, plan: PlanName) -> None:
    network = Timm(name=name, in_channels=1, image_size=32, n_outputs=2)
    learner = MAML(network, n_inner_steps=1, inner_rate=0.01)
    y = torch.arange(2).repeat(2, 1)
    batch = Episode(torch.rand(2, 2, 1, 32, 32), y, torch.rand(2, 2, 1, 32, 32), y, torch.ones(2), 2)
    TaskRunner(plan=plan).losses(learner, learner.meta_parameters(), batch).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@real
def test_a_metric_learner_takes_running_statistics() -> None:
    learner = ProtoNet(Timm(name="resnet18", in_channels=1, image_size=32)).eval()
    y = torch.arange(2).repeat(2, 1)
    batch = Episode(torch.rand(2, 2, 1, 32, 32), y, torch.rand(2, 2, 1, 32, 32), y, torch.ones(2), 2)
    assert TaskRunner().losses(learner, learner.meta_parameters(), batch).isfinite().all()


@real
@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224"])
def test_the_real_package_loads_a_file_and_adapts_it(name: str, tmp_path: Path) -> None:
    import timm

    torch.manual_seed(3)
    sized = {"img_size": 64} if name.startswith("vit") else {}
    trained = timm.create_model(name, num_classes=7, **sized).eval()
    torch.save(trained.state_dict(), tmp_path / "w.pth")
    mean, deviation = module._scale(trained, True, 3)
    x = torch.rand(2, 3, 64, 64)
    net = Timm(name=name, image_size=64, weights=str(tmp_path / "w.pth")).eval()
    scaled = (x - mean.view(3, 1, 1)) / deviation.view(3, 1, 1)
    with torch.no_grad():
        expected = trained.forward_head(trained.forward_features(scaled), pre_logits=True)
        torch.testing.assert_close(net(x), expected, atol=1e-4, rtol=1e-4)
        assert (
            Timm(name=name, image_size=32, in_channels=1, weights=str(tmp_path / "w.pth"))(x[:, :1, ::2, ::2]).ndim == 2
        )
    torch.save(timm.create_model("mobilenetv3_small_050").state_dict(), tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth have no .* for |timm cannot make"):
        Timm(name=name, image_size=64, weights=str(tmp_path / "other.pth"))
