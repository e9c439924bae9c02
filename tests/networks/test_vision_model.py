"""A vision model of transformers as a network, against transformers' own values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.learners import MAML
from lifelong.networks import Transformer
from lifelong.networks.vision_model import _scale
from tests.networks.tiny_models import DEVIATION, MEAN, save_preprocessor, save_vision_model
from tests.text.tiny import needs_extra

VITS = ("vit", "dinov2", "dinov2_with_registers", "clip_vision_model", "deit")
N_BEFORE = {
    "vit": 1,
    "dinov2": 1,
    "dinov2_with_registers": 5,
    "clip_vision_model": 1,
    "deit": 2,
    "siglip_vision_model": 0,
}


def images(n: int = 3, size: int = 16) -> Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(2))


def transformers_own(folder: str, x: Tensor) -> Any:
    """The output of transformers alone for images with values from 0 to 1."""
    from transformers import AutoModel

    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, DEVIATION))
    with torch.no_grad():
        return AutoModel.from_pretrained(folder).eval()(pixel_values=(x - mean) / deviation)


@needs_extra
@pytest.mark.parametrize("kind", [*VITS, "siglip_vision_model"])
def test_features_equal_transformers_own(kind: str, tmp_path: Path) -> None:
    model, x = save_vision_model(tmp_path, kind), images()
    own = transformers_own(model, x)
    expected = {"mean": own.last_hidden_state[:, N_BEFORE[kind] :].mean(1), "pooler": own.pooler_output}
    if N_BEFORE[kind]:
        expected["first"] = own.last_hidden_state[:, 0]
    for pooling, features in expected.items():
        how: Any = {"pooling": pooling}
        net = Transformer(model=model, **how)
        assert (net.input_shape, net.n_features) == ((3, 16, 16), 16)
        torch.testing.assert_close(net(x).detach(), features, atol=1e-5, rtol=1e-5)
        unit = Transformer(model=model, normalise=True, **how)(x).detach()
        torch.testing.assert_close(unit, features / features.norm(dim=-1, keepdim=True), atol=1e-5, rtol=1e-5)


@needs_extra
@pytest.mark.parametrize("kind", ["convnext", "resnet"])
def test_features_of_maps_are_their_mean_over_places(kind: str, tmp_path: Path) -> None:
    model, x = save_vision_model(tmp_path, kind, size=64), images(size=64)
    own = transformers_own(model, x)
    net = Transformer(model=model).eval()
    torch.testing.assert_close(net(x).detach(), own.last_hidden_state.mean((2, 3)), atol=1e-5, rtol=1e-5)
    pooler = Transformer(model=model, pooling="pooler").eval()
    torch.testing.assert_close(pooler(x).detach(), own.pooler_output.flatten(1), atol=1e-5, rtol=1e-5)


@needs_extra
def test_features_of_merged_patches_are_their_mean(tmp_path: Path) -> None:
    model, x = save_vision_model(tmp_path, "swin"), images()
    expected = transformers_own(model, x).last_hidden_state.mean(1)
    torch.testing.assert_close(Transformer(model=model)(x).detach(), expected, atol=1e-5, rtol=1e-5)


@needs_extra
def test_the_image_tower_of_a_model_of_both_is_taken(tmp_path: Path) -> None:
    from transformers import CLIPConfig, CLIPModel

    from tests.networks.tiny_models import SIZES

    text = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "vocab_size": 9,
    }
    text |= {"bos_token_id": 1, "eos_token_id": 2, "max_position_embeddings": 8}
    torch.manual_seed(0)
    config = CLIPConfig(text_config=text, vision_config=SIZES, projection_dim=8)
    config.save_pretrained(tmp_path)
    both = CLIPModel(config).eval()
    both.save_pretrained(tmp_path)
    save_preprocessor(tmp_path, size={"shortest_edge": 20}, crop_size={"height": 16, "width": 16}, do_center_crop=True)
    x = images()
    net = Transformer(model=str(tmp_path), pooling="pooler")
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, DEVIATION))
    with torch.no_grad():
        own = both.vision_model(pixel_values=(x - mean) / deviation).pooler_output
    torch.testing.assert_close(net(x).detach(), own, atol=1e-5, rtol=1e-5)
    assert net.input_shape == (3, 16, 16)


@needs_extra
@pytest.mark.parametrize("kind", ["vit", "dinov2", "clip_vision_model"])
def test_positions_are_interpolated_to_another_size(kind: str, tmp_path: Path) -> None:
    model = save_vision_model(tmp_path, kind)
    net = Transformer(model=model, image_size=24)
    assert net.input_shape == (3, 24, 24)
    assert net(images(size=24)).shape == (3, 16)
    same = Transformer(model=model, image_size=16)
    torch.testing.assert_close(same(images()), Transformer(model=model)(images()))


def test_values_are_scaled_as_the_preprocessor_does() -> None:
    pixels = torch.tensor([0.0, 51.0, 255.0])
    for how in (
        {"image_mean": [0.5], "image_std": [0.25]},
        {"image_mean": [0.5], "image_std": [0.25], "rescale_factor": 1 / 127.5},
        {"image_mean": [100.0], "image_std": [50.0], "do_rescale": False},
        {"do_normalize": False},
        {},
    ):
        mean, deviation = _scale(dict(how), 1)
        values = pixels * how.get("rescale_factor", 1 / 255) if how.get("do_rescale", True) else pixels
        expected = (values - how.get("image_mean", [0.0])[0]) / how.get("image_std", [1.0])[0]  # type: ignore[index]
        torch.testing.assert_close((pixels / 255 - mean[0]) / deviation[0], expected)


def episode() -> Episode:
    """Two tasks of two ways, with one example each to learn from and one to be judged on."""
    rng = torch.Generator().manual_seed(3)

    def part() -> tuple[Tensor, Tensor]:
        return torch.rand(2, 2, 3, 16, 16, generator=rng), torch.arange(2).repeat(2, 1)

    return Episode(*part(), *part(), torch.ones(2), 2)


@needs_extra
@pytest.mark.parametrize("kind", ["vit", "dinov2", "clip_vision_model"])
def test_the_meta_gradient_equals_the_slope_along_it(kind: str, tmp_path: Path) -> None:
    net = Transformer(model=save_vision_model(tmp_path, kind), pooling="first", n_outputs=2)
    learner, runner = MAML(net, n_inner_steps=2, inner_rate=0.05).double(), TaskRunner()
    params, batch = learner.meta_parameters(), episode().to(torch.float64)
    used = [name for name, p in params.items() if p.requires_grad]
    loss = runner.losses(learner, params, batch).mean()
    gradients = torch.autograd.grad(loss, [params[name] for name in used], allow_unused=True)
    moves = {name: g for name, g in zip(used, gradients, strict=True) if g is not None}
    length = torch.stack([g.square().sum() for g in moves.values()]).sum().sqrt()
    sides, step = [], 1e-4  # their softmax is in single precision
    for sign in (1, -1):
        moved = params | {name: params[name].detach() + sign * step * g / length for name, g in moves.items()}
        sides.append(runner.losses(learner, moved, batch).mean().item())
    assert (sides[0] - sides[1]) / (2 * step) == pytest.approx(length.item(), rel=1e-3)


@needs_extra
@pytest.mark.parametrize("kind", VITS)
def test_vmap_over_tasks_equals_the_loop(kind: str, tmp_path: Path) -> None:
    net = Transformer(model=save_vision_model(tmp_path, kind), trained="lora", lora_rank=2, n_outputs=2)
    learner = MAML(net, n_inner_steps=2, inner_rate=0.05).double()
    batch = episode()
    found = []
    for plan in ("vmap", "loop"):
        losses = TaskRunner(plan=plan).losses(learner, learner.meta_parameters(), batch)  # type: ignore[arg-type]
        own = [p for p in net.parameters() if p.requires_grad]
        found.append((losses, torch.autograd.grad(losses.sum(), own, allow_unused=True)))
    torch.testing.assert_close(found[0], found[1], atol=1e-9, rtol=1e-7)


# -- what is refused, in one sentence -----------------------------------------------------------------------------


@needs_extra
def test_other_images_are_refused(tmp_path: Path) -> None:
    net = Transformer(model=save_vision_model(tmp_path))
    words = r"takes images of shape \(3, 16, 16\) with real values from 0 to 1, but the data has .*image_size 16"
    for x in (torch.rand(2, 3, 20, 20), torch.rand(2, 1, 16, 16), torch.ones(2, 3, 16, 16, dtype=torch.uint8)):
        with pytest.raises(ValueError, match=words):
            net(x)


@needs_extra
def test_a_model_without_a_preprocessor_is_refused(tmp_path: Path) -> None:
    model = save_vision_model(tmp_path)
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(ValueError, match=r"has no preprocessor_config.json that can be read .*image processor"):
        Transformer(model=model)


@needs_extra
@pytest.mark.parametrize(
    ("kind", "size", "settings", "words"),
    [
        ("siglip_vision_model", 16, {"pooling": "first"}, "no first vector of the whole image: .*pooling mean"),
        ("convnext", 32, {"pooling": "first"}, "no first vector of the whole image: .*pooling mean"),
        ("vit", 16, {"pooling": "last"}, "has no pooling last: set pooling mean or first"),
        ("resnet", 32, {"trained": "head", "n_outputs": 2}, "keep running statistics.*--model.network.trained all"),
        ("swin", 16, {"image_size": 2}, r"cannot take images of shape \(3, 2, 2\) .*image_size"),
    ],
)
def test_what_a_model_has_not_is_refused(
    kind: str, size: int, settings: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=words):
        Transformer(model=save_vision_model(tmp_path, kind, size), **settings)


@needs_extra
def test_a_size_that_nobody_names_is_asked_for(tmp_path: Path) -> None:
    model = save_vision_model(tmp_path, "resnet")
    how = json.loads((tmp_path / "preprocessor_config.json").read_text())
    how.pop("size")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(how))
    with pytest.raises(ValueError, match=r"says how large images are: set --model.network.image_size"):
        Transformer(model=model)
    assert Transformer(model=model, image_size=32).input_shape == (3, 32, 32)
