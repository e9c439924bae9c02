"""A frozen model with prompts: what it computes, against transformers without them, and what is trained."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from lifelong.networks import L2P, CODAPrompt, DualPrompt, PromptedTransformer, Transformer
from lifelong.networks.prefix_attention import prefixes
from lifelong.networks.prompts import Prompts
from tests.networks.test_adapters import inputs, save
from tests.networks.tiny_models import save_vision_model
from tests.text.tiny import needs_extra, save_model

pytestmark = needs_extra
PROMPTS: dict[str, Callable[[], Prompts]] = {
    "L2P": lambda: L2P(n_prompts=4, n_chosen=2, length=3),
    "DualPrompt": lambda: DualPrompt(n_experiences=2, general_layers=[0], expert_layers=[1], expert_length=4),
    "CODAPrompt": lambda: CODAPrompt(n_experiences=2, n_components=6, length=4, layers=[0, 1]),
}
KINDS = ("bert", "vit", "dinov2", "clip_vision_model")
every = pytest.mark.parametrize("name", PROMPTS)
every_kind = pytest.mark.parametrize("kind", KINDS)


def network(kind: str, name: str, folder: Path, **settings: Any) -> PromptedTransformer:
    """The same network each time, in its first experience, with prompts large enough to matter."""
    torch.manual_seed(0)
    net = PromptedTransformer(model=save(kind, folder), prompts=PROMPTS[name](), **({"n_outputs": 5} | settings))
    with torch.no_grad():
        for p in net.prompts.parameters():
            p.normal_()
    net.prompts.begin(0)
    return net


@every
@every_kind
def test_prompts_and_head_alone_get_gradients(kind: str, name: str, tmp_path: Path) -> None:
    net = network(kind, name, tmp_path)
    x = inputs(net)
    (net(x).square().sum() + net.prompts.penalty(net.query(x)).sum()).backward()
    moved = {name for name, p in net.named_parameters() if p.grad is not None and p.grad.any()}
    others = {f"prompts.{name}" for name in net.prompts.frozen()}
    assert moved == set(net.adapter_names) - others
    assert all(name.startswith(("prompts.", "head.")) for name in net.adapter_names)


@every
@every_kind
def test_an_input_chooses_for_itself_whatever_its_batch(kind: str, name: str, tmp_path: Path) -> None:
    net = network(kind, name, tmp_path)
    x = inputs(net)
    torch.testing.assert_close(net(x)[[2]], net(x[[2]]))
    assert torch.equal(net(x), net.head(net.features(x)))
    assert net.features(x).shape == (4, 16)


@every
@every_kind
def test_the_query_is_the_model_without_prompts(kind: str, name: str, tmp_path: Path) -> None:
    net = network(kind, name, tmp_path)
    plain = Transformer(model=save(kind, tmp_path), pooling="first")
    x = inputs(net)
    torch.testing.assert_close(net.query(x), plain(x).detach(), atol=1e-5, rtol=1e-5)
    assert not net.query(x).requires_grad
    assert not torch.allclose(net.features(x), net.query(x), atol=1e-3)


@every
@every_kind
def test_parameters_of_each_task_equal_the_loop_under_vmap(kind: str, name: str, tmp_path: Path) -> None:
    net = network(kind, name, tmp_path).double()
    x = inputs(net)
    tasks = torch.stack([x, x.flip(0)])
    tasks = tasks.double() if tasks.is_floating_point() else tasks
    params = {n: torch.stack([p, 1.1 * p]).detach() for n, p in net.named_parameters() if n in net.adapter_names}

    def loss(params: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(net, params, (x,)).square().mean()

    together = vmap(grad(loss))(params, tasks)
    for task in range(2):
        alone = grad(loss)({n: p[task] for n, p in params.items()}, tasks[task])
        for n, gradient in alone.items():
            torch.testing.assert_close(together[n][task], gradient, atol=1e-7, rtol=1e-5)


@every_kind
def test_l2p_is_the_mean_over_the_prompts_places(kind: str, tmp_path: Path) -> None:
    net = network(kind, "L2P", tmp_path)
    x, seen = inputs(net), []
    tokens = net.prompts(net.query(x)).tokens
    assert tokens is not None
    net.body.embeddings.register_forward_hook(lambda _, i, output: seen.append(output))  # type: ignore[union-attr]
    body: Any = net.body

    def keep(_: Any, given: Any, output: Any) -> None:
        seen.append(output.last_hidden_state)

    body.register_forward_hook(keep)
    features = net.features(x)
    *_, hidden = seen
    assert hidden.shape[1] == seen[0].shape[1] + 6
    torch.testing.assert_close(features, hidden[:, :6].mean(1))


@pytest.mark.parametrize("kind", ["bert", "vit"])
def test_a_prefix_is_like_a_token_that_nothing_is_asked_of(kind: str, tmp_path: Path) -> None:
    """A prefix of a layer's own keys and values, once more, only doubles what is attended to: nothing changes."""
    net = network(kind, "CODAPrompt", tmp_path)
    x, given = inputs(net), {}
    for layer in net.layers:
        projections: Any = layer
        key = projections.key if kind == "bert" else projections.k_proj
        value = projections.value if kind == "bert" else projections.v_proj
        for part, module in (("key", key), ("value", value)):
            module.register_forward_hook(
                lambda _, i, output, layer=layer, part=part: given.setdefault((layer, part), output)
            )
    plain = net.query(x)
    again = {layer: (given[layer, "key"], given[layer, "value"]) for layer in net.layers}
    with prefixes(again):
        torch.testing.assert_close(net.query(x), plain, atol=1e-5, rtol=1e-5)
    half = {layer: (k[:, :1], v[:, :1]) for layer, (k, v) in again.items()}
    with prefixes(half):
        assert not torch.allclose(net.query(x), plain, atol=1e-3)


@every
def test_a_copy_has_prompts_of_its_own(name: str, tmp_path: Path) -> None:
    net = network("vit", name, tmp_path)
    x = inputs(net)
    other = copy.deepcopy(net)
    before = net(x)
    assert torch.equal(other(x), before)
    with torch.no_grad():
        for p in other.prompts.parameters():
            p.normal_()
    assert torch.equal(net(x), before)
    assert not torch.allclose(other(x), before)


@every
def test_a_frozen_model_in_halves_has_precise_prompts(name: str, tmp_path: Path) -> None:
    half, full = (network("vit", name, tmp_path, dtype=dtype) for dtype in ("bfloat16", "float32"))
    x = inputs(half)
    assert half(x).dtype == torch.float32
    torch.testing.assert_close(half.features(x), full.features(x), atol=0.3, rtol=0.1)
    assert {p.dtype for p in half.prompts.parameters()} == {torch.float32}


@every
def test_prompts_learn_what_the_head_alone_cannot(name: str, tmp_path: Path) -> None:
    def learnt(trained: str) -> float:
        net = network("vit", name, tmp_path, n_outputs=2)
        x = torch.rand(24, 3, 16, 16, generator=torch.Generator().manual_seed(4))
        y = torch.arange(24) % 2  # of noise
        own = [p for n, p in net.named_parameters() if n.startswith(trained) and p.requires_grad]
        optimizer = torch.optim.Adam(own, lr=0.02)
        for _ in range(40):
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    assert learnt("") < 0.8 * learnt("head.")


# -- what is refused, in one sentence -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["swin", "convnext"])
def test_a_model_that_attends_otherwise_is_refused(kind: str, tmp_path: Path) -> None:
    model = save_vision_model(tmp_path, kind, size=32 if kind == "convnext" else 16)
    with pytest.raises(ValueError, match=rf"cannot give prompts to a model of the type {kind}, which attends in a way"):
        PromptedTransformer(model=model, prompts=PROMPTS["CODAPrompt"](), n_outputs=2, pooling="mean")


def test_keys_that_heads_share_are_refused(tmp_path: Path) -> None:
    model = save_model(tmp_path, "llama", num_key_value_heads=1)
    with pytest.raises(ValueError, match=r"cannot give prompts to a model of the type llama"):
        PromptedTransformer(model=model, prompts=PROMPTS["CODAPrompt"](), n_outputs=2, pooling="last")


def test_a_model_without_a_place_for_vectors_is_refused(tmp_path: Path) -> None:
    model = save_model(tmp_path, "llama", num_key_value_heads=2)
    with pytest.raises(ValueError, match=r"cannot put L2P into a model of the type llama .*take one such as bert"):
        PromptedTransformer(model=model, prompts=PROMPTS["L2P"](), n_outputs=2, pooling="last")
    net = PromptedTransformer(model=model, prompts=PROMPTS["CODAPrompt"](), n_outputs=2, pooling="last")
    assert net.eval()(torch.ones(1, 3, dtype=torch.int64)).shape == (1, 2)
