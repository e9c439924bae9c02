"""What is trained of a pre-trained model: every kind of model with every way of training it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from lifelong.compute.plan import takes_vmap
from lifelong.networks import Transformer
from lifelong.training.making import make
from lifelong.utilities.recording import record
from tests.networks.tiny_models import Images, save_vision_model
from tests.text.tiny import needs_extra, save_model
from tests.toys import fit, module_of

pytestmark = needs_extra
KINDS = ("bert", "llama", "vit", "dinov2", "clip_vision_model")
WITHOUT_VMAP = ("LoHaConfig",)
"""Methods of peft that draw random numbers in every pass."""
WAYS = ("all", "lora", "head", "IA3Config", "OSFConfig")


def save(kind: str, folder: Path) -> str:
    if kind == "llama":
        return save_model(folder, kind, num_key_value_heads=2)
    return save_model(folder, kind) if kind == "bert" else save_vision_model(folder, kind)


def network(kind: str, way: str, folder: Path, **settings: Any) -> Transformer:
    """The same network each time, with five outputs; ``way`` is what is trained, or a class of peft."""
    import peft

    torch.manual_seed(0)
    how: dict[str, Any] = {"trained": way} if not way.endswith("Config") else {"peft": getattr(peft, way)()}
    return Transformer(model=save(kind, folder), **({"n_outputs": 5, "lora_rank": 2} | how | settings))


def inputs(net: Transformer, n: int = 4) -> Tensor:
    rng = torch.Generator().manual_seed(1)
    if net.input_shape is None:
        return torch.randint(1, 20, (n, 6), generator=rng)
    return torch.rand(n, *net.input_shape, generator=rng)


def trained(net: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach() for name, p in net.named_parameters() if p.requires_grad}


every = pytest.mark.parametrize("way", WAYS)
every_kind = pytest.mark.parametrize("kind", KINDS)


@every
@every_kind
def test_the_output_is_the_head_of_the_features(kind: str, way: str, tmp_path: Path) -> None:
    net = network(kind, way, tmp_path)
    x = inputs(net)
    features = net.features(x)
    assert features.shape == (4, net.n_features)
    assert torch.equal(net(x), net.head(features))
    torch.testing.assert_close(net(x[[2]]), net(x)[[2]])


@every
@every_kind
def test_what_is_trained_gets_a_gradient_and_nothing_else(kind: str, way: str, tmp_path: Path) -> None:
    net = network(kind, way, tmp_path)
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(2):  # the first factor of a product of which the other is zero has none at first
        optimizer.zero_grad()
        net(inputs(net)).square().sum().backward()
        optimizer.step()
    moved = {name for name, p in net.named_parameters() if not torch.equal(p, before[name])}
    assert {"head.weight", "head.bias"} <= moved <= trained(net).keys()
    assert way in ("all", "head") or moved == set(net.adapter_names) == trained(net).keys()
    assert (net.adapter_names == []) is (way in ("all", "head"))


@every
@every_kind
def test_parameters_of_each_task_equal_the_loop_under_vmap(kind: str, way: str, tmp_path: Path) -> None:
    net = network(kind, way, tmp_path).double()
    assert takes_vmap(net)
    x = inputs(net)
    tasks = torch.stack([x, x.flip(0)])
    tasks = tasks.double() if tasks.is_floating_point() else tasks
    params = {name: torch.stack([p + 0.1, 0.5 * p]) for name, p in trained(net).items()}

    def loss(params: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(net, params, (x,)).square().mean()

    together = vmap(grad(loss))(params, tasks)
    for task in range(2):
        alone = grad(loss)({name: p[task] for name, p in params.items()}, tasks[task])
        for name, gradient in alone.items():
            torch.testing.assert_close(together[name][task], gradient, atol=1e-9, rtol=1e-7)


@every
@every_kind
def test_adapters_begin_as_the_model(kind: str, way: str, tmp_path: Path) -> None:
    net = network(kind, way, tmp_path)
    plain = network(kind, "all", tmp_path)
    torch.testing.assert_close(net.features(inputs(net)), plain.features(inputs(net)))


@every
@every_kind
def test_a_killed_training_goes_on_bit_for_bit(kind: str, way: str, tmp_path: Path) -> None:
    def step(net: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor) -> None:
        optimizer.zero_grad()
        net(x).square().sum().backward()
        optimizer.step()

    whole = network(kind, way, tmp_path)
    x = inputs(whole)
    optimizer = torch.optim.Adam(whole.parameters(), lr=0.01)
    step(whole, optimizer, x)
    file = io.BytesIO()
    torch.save([whole.state_dict(), optimizer.state_dict()], file)
    file.seek(0)
    step(whole, optimizer, x.flip(0))
    resumed = network(kind, way, tmp_path)
    state, optimizer_state = torch.load(file, weights_only=True)
    resumed.load_state_dict(state)
    optimizer = torch.optim.Adam(resumed.parameters(), lr=0.01)
    optimizer.load_state_dict(optimizer_state)
    step(resumed, optimizer, x.flip(0))
    assert all(
        torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    )


# -- half precision -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["lora", "head", "IA3Config"])
@every_kind
def test_a_frozen_model_in_halves_has_precise_features(kind: str, way: str, tmp_path: Path) -> None:
    half, full = (network(kind, way, tmp_path, dtype=dtype) for dtype in ("bfloat16", "float32"))
    x = inputs(half)
    assert {p.dtype for name, p in half.named_parameters() if not p.requires_grad} == {torch.bfloat16}
    assert {p.dtype for p in trained(half).values()} == {torch.float32}
    assert half.features(x).dtype == half(x).dtype == torch.float32
    torch.testing.assert_close(half.features(x), full.features(x), atol=0.1, rtol=0.1)
    half(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in half.parameters() if p.requires_grad)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize(
    ("way", "dtype"), [("all", "float32"), ("lora", "float32"), ("lora", "bfloat16"), ("IA3Config", "bfloat16")]
)
def test_a_stream_is_learnt_in_every_precision(way: str, dtype: str, precision: Any, tmp_path: Path) -> None:
    from datamodules.examples import ExampleDataModule
    from lifelong.learners import Classifier

    net = network("vit", way, tmp_path, n_outputs=8, dtype=dtype)
    settings: dict[str, Any] = {"batch_size": 4, "steps_per_experience": 2, "split": (0.2, 0.2)}
    data = ExampleDataModule([Images(2)], n_eval_examples=4, **settings)
    before = {name: p.clone() for name, p in trained(net).items()}
    evaluator = fit(module_of(Classifier(net)), data, precision=precision)
    assert evaluator.matrix().shape[:2] == (2, 2)
    assert any(not torch.equal(p, before[name]) for name, p in trained(net).items())


def test_a_model_trained_whole_in_halves_is_refused() -> None:
    with pytest.raises(ValueError, match=r"more digits than bfloat16 has: set --model.network.trained lora"):
        Transformer(model="any", dtype="bfloat16")


# -- any method of peft -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["LNTuningConfig", "LoHaConfig", "HiraConfig", "DeloraConfig", "BeftConfig", "HRAConfig"]
)
@pytest.mark.parametrize("kind", ["bert", "vit"])
def test_other_methods_are_trained_too(kind: str, name: str, tmp_path: Path) -> None:
    net = network(kind, name, tmp_path)
    net(inputs(net)).square().sum().backward()
    assert any(p.grad is not None and p.grad.any() for n, p in net.body.named_parameters() if p.requires_grad)
    assert takes_vmap(net) is (name not in WITHOUT_VMAP)


def test_a_config_of_peft_is_recorded_and_made_again(tmp_path: Path) -> None:
    import peft

    config = peft.IA3Config(target_modules=["fc2", "k_proj"], feedforward_modules=["fc2"])
    net = Transformer(model=save_vision_model(tmp_path), peft=config, n_outputs=2)
    unrecorded: list[str] = []
    plain = record(net, "network", unrecorded)
    settings = {"target_modules": ["fc2", "k_proj"], "feedforward_modules": ["fc2"]}
    assert plain["init_args"]["peft"] == {"class_path": "peft.IA3Config", "init_args": settings}
    assert unrecorded == []
    again: Any = make(nn.Module, "network", {"network": plain}, "network")
    assert again.adapter_names == net.adapter_names


def test_each_domain_has_its_adapters_of_any_method(tmp_path: Path) -> None:
    from datamodules.episodic import EpisodicDataModule
    from lifelong.learners import NoAdaptation
    from strategies import AdapterBank

    net = network("vit", "IA3Config", tmp_path, n_outputs=4)
    bank = AdapterBank(n_signature_tasks=4)
    sizes: dict[str, Any] = {"n_way": 4, "n_shot": 1, "n_query": 1, "steps_per_experience": 3, "n_eval_tasks": 4}
    data = EpisodicDataModule([Images(2)], fixed_ways=True, split=(4, 4), **sizes)
    fit(module_of(NoAdaptation(net), [bank]), data)
    assert {key.rpartition("-")[0].replace("-", ".") for key in bank.current} == set(net.adapter_names)
    assert any(value.abs().max() > 0 for value in bank.entries[1].values())


def test_the_config_given_is_left_as_it_is(tmp_path: Path) -> None:
    import peft

    config = peft.LoraConfig(r=2)
    Transformer(model=save_vision_model(tmp_path), peft=config)
    assert config.target_modules is None


@pytest.mark.parametrize(
    ("make_config", "words"),
    [
        (
            lambda peft: peft.PrefixTuningConfig(num_virtual_tokens=2),
            "peft cannot put the adapters of PrefixTuningConfig",
        ),
        (
            lambda peft: peft.LoraConfig(target_modules=["nowhere"]),
            "LoraConfig into ViTModel .*nowhere.*target_modules",
        ),
        (lambda peft: peft.LoraConfig(inference_mode=True), "trains nothing of ViTModel: leave inference_mode out"),
        (
            lambda peft: peft.LoraRuntimeConfig(),
            "--model.network.peft is a LoraRuntimeConfig: give it a config of peft",
        ),
    ],
)
def test_a_config_that_cannot_work_is_refused(make_config: Any, words: str, tmp_path: Path) -> None:
    import peft

    with pytest.raises(ValueError, match=words):
        Transformer(model=save_vision_model(tmp_path), peft=make_config(peft))


def test_two_ways_of_training_are_refused() -> None:
    import peft

    with pytest.raises(ValueError, match=r"peft chooses what is trained, and so does --model.network.trained lora"):
        Transformer(model="any", trained="lora", peft=peft.IA3Config())
