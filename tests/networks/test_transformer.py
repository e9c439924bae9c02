"""A language model as a network, against transformers' own values, finite differences and the loop over tasks."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.episodic import EpisodicDataModule
from lifelong.compute.plan import mapping_by_rule
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.learners import MAML, NoAdaptation
from lifelong.networks import Transformer
from lifelong.text import FrozenEncoder, Tokens
from strategies import AdapterBank
from strategies.adapters.entry import add_entry
from tests.learners.exactness import check_finite_differences
from tests.text.tiny import TEXTS, VOCABULARY, needs_extra, save_model, transformers_own
from tests.text.words import Words
from tests.toys import AtEnd, fit, module_of

POOLING: Any = ("mean", "first")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def model(tmp_path: Path) -> str:
    return save_model(tmp_path / "model")


def tokens(model: str, length: int = 12) -> Tensor:
    return Tokens(model=model, max_length=length).encode(TEXTS)


def episode(n_tasks: int = 2, length: int = 6) -> Episode:
    """Two ways, one shot, two queries, of random tokens, some of them filling."""
    rng = torch.Generator().manual_seed(3)

    def part(n: int) -> tuple[Tensor, Tensor]:
        x = torch.randint(1, len(VOCABULARY), (n_tasks, 2 * n, length), generator=rng)
        x[:, 0, length // 2 :] = 0
        return x, torch.arange(2).repeat(n_tasks, n)

    return Episode(*part(1), *part(2), torch.ones(n_tasks), 2)


# -- one vector of a text ---------------------------------------------------------------------------------------------


@needs_extra
@pytest.mark.parametrize("pooling", POOLING)
@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "data2vec-text"])
def test_features_equal_the_frozen_encoders_and_transformers(kind: str, pooling: Any, tmp_path: Path) -> None:
    sizes = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32} if kind == "distilbert" else {}
    model = save_model(tmp_path / kind, kind, **sizes)
    for normalise in (False, True):
        net = Transformer(model=model, pooling=pooling, normalise=normalise)
        found = net(tokens(model)).detach()
        expected = FrozenEncoder(model=model, pooling=pooling, normalise=normalise).encode(TEXTS)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
        assert net.n_features == 16
        torch.testing.assert_close(net(tokens(model, 30)).detach(), found, atol=1e-5, rtol=1e-5)
    own = torch.stack([transformers_own(model, text, pooling) for text in TEXTS])
    torch.testing.assert_close(found, own / own.norm(dim=-1, keepdim=True), atol=1e-5, rtol=1e-5)


@needs_extra
@pytest.mark.parametrize("kind", ["roberta", "xlm-roberta", "camembert", "data2vec-text", "mpnet"])
def test_positions_are_counted_from_behind_the_filling_token(kind: str, tmp_path: Path) -> None:
    from transformers import AutoModel

    model = save_model(tmp_path / kind, kind, pad_token_id=1)
    x = torch.tensor([[2, 5, 8, 3], [2, 9, 3, 1]])
    with torch.no_grad():
        own = AutoModel.from_pretrained(model).eval()
        hidden = [own(input_ids=row[None, :n]).last_hidden_state[0] for row, n in zip(x, (4, 3), strict=True)]
    expected = torch.stack([h.mean(0) for h in hidden])
    torch.testing.assert_close(Transformer(model=model)(x).detach(), expected, atol=1e-5, rtol=1e-5)


SMALL_DECODER = {"num_key_value_heads": 2}
NEW_KINDS: dict[str, dict[str, Any]] = {
    "deberta-v2": {},
    "gpt2": {"pad_token_id": 0},
    "llama": SMALL_DECODER,
    "mistral": SMALL_DECODER,
    "qwen3": {**SMALL_DECODER, "head_dim": 8},
    "t5": {"d_model": 16, "d_kv": 8, "num_layers": 2, "num_heads": 2, "d_ff": 32},
}
"""Models that look at flags, look back alone, or are one half of an encoder and a decoder."""


@needs_extra
@pytest.mark.parametrize("kind", NEW_KINDS)
def test_models_of_other_kinds_embed_as_by_themselves(kind: str, tmp_path: Path) -> None:
    from transformers import AutoModel, AutoModelForTextEncoding

    model = save_model(tmp_path / kind, kind, **NEW_KINDS[kind])
    x = torch.tensor([[2, 5, 8, 3], [2, 9, 3, 0]])
    with torch.no_grad():
        own = (AutoModelForTextEncoding if kind == "t5" else AutoModel).from_pretrained(model).eval()
        hidden = [own(input_ids=row[None, :n]).last_hidden_state[0] for row, n in zip(x, (4, 3), strict=True)]
    expected = {"mean": torch.stack([h.mean(0) for h in hidden]), "last": torch.stack([h[-1] for h in hidden])}
    for pooling, features in expected.items():
        net = Transformer(model=model, pooling=pooling)  # type: ignore[arg-type]
        torch.testing.assert_close(net(x).detach(), features, atol=1e-5, rtol=1e-4)
        together = torch.func.vmap(lambda text, net=net: net(text[None])[0])(x)
        torch.testing.assert_close(together.detach(), features, atol=1e-5, rtol=1e-4)


@needs_extra
def test_the_pooler_is_the_models_own(model: str) -> None:
    from transformers import AutoModel

    x = torch.tensor([[2, 5, 8, 3]])
    with torch.no_grad():
        expected = AutoModel.from_pretrained(model).eval()(input_ids=x).pooler_output
    torch.testing.assert_close(Transformer(model=model, pooling="pooler")(x).detach(), expected)


@needs_extra
def test_a_pooling_that_a_model_has_not_is_refused(tmp_path: Path) -> None:
    decoder = save_model(tmp_path / "llama", "llama", **SMALL_DECODER)
    with pytest.raises(ValueError, match=r"first token of a model of the type llama sees no other: .*pooling last"):
        Transformer(model=decoder, pooling="first")
    with pytest.raises(ValueError, match=r"of the type llama has no pooler: set --model.network.pooling mean"):
        Transformer(model=decoder, pooling="pooler")


@needs_extra
def test_texts_beyond_a_window_are_refused(tmp_path: Path) -> None:
    net = Transformer(model=save_model(tmp_path, "mistral", sliding_window=20, **SMALL_DECODER))
    assert net(torch.ones(1, 20, dtype=torch.int64)).shape == (1, 16)
    with pytest.raises(
        ValueError, match=r"up to 21 tokens, but layers of the model \(mistral\) look back on 20: set max"
    ):
        net(torch.ones(1, 21, dtype=torch.int64))


@needs_extra
def test_there_is_no_dropout_in_training(model: str) -> None:
    net, x = Transformer(model=model, trained="lora").train(), tokens(model)
    assert torch.equal(net(x), net(x))
    assert not any(module.p for module in net.modules() if isinstance(module, torch.nn.Dropout))


@needs_extra
def test_a_head_is_linear_on_the_features(model: str) -> None:
    net, x = Transformer(model=model, n_outputs=3), tokens(model)
    assert torch.equal(net(x), net.head(net.features(x)))
    assert net(x).shape == (6, 3)


# -- inside a learner -------------------------------------------------------------------------------------------------


@needs_extra
@pytest.mark.parametrize("trained", ["all", "lora", "head"])
@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_vmap_over_tasks_equals_the_loop(kind: str, trained: Any, tmp_path: Path) -> None:
    net = Transformer(model=save_model(tmp_path / kind, kind), trained=trained, lora_rank=2, n_outputs=2)
    learner = MAML(net, n_inner_steps=2, inner_rate=0.05).double()
    assert mapping_by_rule(net, torch.device("cpu")) == "vmap"
    found = []
    for plan in ("vmap", "loop"):
        runner = TaskRunner(plan=plan)
        losses = runner.losses(learner, learner.meta_parameters(), episode())
        own = [p for p in net.parameters() if p.requires_grad]
        found.append((losses, torch.autograd.grad(losses.sum(), own, allow_unused=True)))
    torch.testing.assert_close(found[0], found[1], atol=1e-9, rtol=1e-7)


@needs_extra
@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_the_whole_meta_gradient_equals_finite_differences(kind: str, tmp_path: Path) -> None:
    net = Transformer(model=save_model(tmp_path / kind, kind, num_hidden_layers=1), n_outputs=2)
    # The keys' bias moves all scores of a query alike, which a softmax does not see.
    flat = [f"network.{n}" for n, _ in net.named_parameters() if n.endswith("key.bias")]
    check_finite_differences(MAML(net, n_inner_steps=2, inner_rate=0.05), episode(), flat)


@needs_extra
def test_meta_gradient_through_lora_equals_finite_differences(model: str) -> None:
    net = Transformer(model=model, trained="lora", lora_rank=2, n_outputs=2)
    for name, parameter in net.named_parameters():
        if ".lora_B." in name:
            parameter.data.normal_(0, 0.3)
    check_finite_differences(MAML(net, n_inner_steps=2, inner_rate=0.05), episode())


# -- what is trained --------------------------------------------------------------------------------------------------


@needs_extra
def test_lora_begins_as_the_frozen_model_and_alone_is_trained(model: str) -> None:
    net, x = Transformer(model=model, trained="lora", lora_rank=3, lora_alpha=6.0, n_outputs=2), tokens(model)
    torch.testing.assert_close(net.features(x), Transformer(model=model).features(x))
    trained = [name for name, p in net.named_parameters() if p.requires_grad]
    assert sorted(trained) == sorted(net.adapter_names)
    assert trained[-2:] == ["head.weight", "head.bias"]
    shapes = {tuple(p.shape) for name, p in net.named_parameters() if ".lora_A." in name}
    assert shapes == {(3, 16), (3, 32)}
    # Six linear layers in each of two: W + (α/r) B A.
    assert len(trained) == 2 * 12 + 2
    layer: Any = net.body.get_submodule("encoder.layer.0.output.dense")
    down, up = layer.lora_A["default"].weight, layer.lora_B["default"].weight
    up.data.normal_()
    h = torch.randn(2, 32)
    torch.testing.assert_close(layer(h), layer.base_layer(h) + 2.0 * h @ down.T @ up.T)


@needs_extra
def test_all_or_the_head_alone_is_trained(model: str) -> None:
    everything = Transformer(model=model, n_outputs=2)
    assert all(p.requires_grad for p in everything.parameters())
    assert everything.adapter_names == []
    head = Transformer(model=model, trained="head", n_outputs=2)
    assert [name for name, p in head.named_parameters() if p.requires_grad] == ["head.weight", "head.bias"]
    assert head.adapter_names == []


@needs_extra
def test_each_domain_has_its_lora_and_old_domains_stay(model: str) -> None:
    torch.manual_seed(0)
    net = Transformer(model=model, trained="lora", lora_rank=2, n_outputs=2)
    learner, bank = NoAdaptation(net), AdapterBank(n_signature_tasks=16)
    settings: dict[str, Any] = {"n_way": 2, "n_shot": 2, "n_query": 2, "eval_n_shot": 2, "eval_n_query": 2}
    settings |= {"split": (4, 4), "steps_per_experience": 20, "n_eval_tasks": 16}
    data = EpisodicDataModule([Words(Tokens(model=model, max_length=8))], fixed_ways=True, **settings)
    old = data.draw_for_evaluation("val", 0, range(16)).gather(torch.device("cpu"))
    seen: list[tuple[Tensor, ...]] = []

    def look() -> None:
        learner.eval()
        entry, params = bank.entries[0], learner.meta_parameters()
        with torch.no_grad():
            own = TaskRunner().rerouted(lambda p, *_: add_entry(p, entry)).outputs(learner, params, old)
            weights = torch.cat([p.flatten() for p in net.parameters()])
            seen.append((own, module.runner.outputs(learner, params, old), weights))
        learner.train()

    module = module_of(learner, [bank, AtEnd(look)], partial(torch.optim.AdamW, lr=0.02))
    evaluator = fit(module, data)
    (own, routed_alone, weights), (own_later, _, weights_later) = seen
    assert torch.equal(own, own_later)
    torch.testing.assert_close(own, routed_alone)
    assert torch.equal(weights, weights_later)
    assert {key.rpartition("-")[0].replace("-", ".") for key in bank.current} == set(net.adapter_names)
    assert any(value.abs().max() > 0 for value in bank.entries[1].values())
    scores, with_own = evaluator.matrix(), evaluator.matrix("AdapterBank/score_with_right_entry")
    assert (with_own[:, 0] == scores[0, 0]).all()
    assert np.isin(evaluator.matrix("AdapterBank/routing_accuracy")[1], (0, 1)).all()


# -- what is refused, in one sentence ---------------------------------------------------------------------------------


@needs_extra
def test_anything_but_tokens_is_refused(model: str) -> None:
    net = Transformer(model=model)
    for x in (torch.rand(2, 4), torch.ones(2, 3, 4, dtype=torch.int64)):
        with pytest.raises(
            ValueError, match=r"takes tokens \(texts, length\) as whole numbers, .*lifelong.text.Tokens"
        ):
            net(x)
    with pytest.raises(ValueError, match=r"up to 41 tokens, but the model \(bert\) takes 40: set max_length 40"):
        net(torch.ones(2, 41, dtype=torch.int64))


def test_training_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"trains nothing: give it a head \(--model\.network\.n_outputs\)"):
        Transformer(model="any", trained="head")


@needs_extra
@pytest.mark.parametrize(("kind", "settings"), [("gpt2", {}), ("mra", {}), ("nystromformer", {})])
def test_a_model_that_cannot_embed_a_whole_text_is_refused(kind: str, settings: dict[str, Any], tmp_path: Path) -> None:
    model = save_model(tmp_path / kind, kind, **settings)
    with pytest.raises(ValueError, match=rf"cannot ask a model of the type {kind} .*lifelong.text.FrozenEncoder$"):
        Transformer(model=model)


@needs_extra
def test_without_peft_a_sentence_names_the_extra(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    assert Transformer(model=model).n_features == 16
    with pytest.raises(ValueError, match=r"Transformer with trained: lora needs the package peft .*'\.\[text\]'$"):
        Transformer(model=model, trained="lora")
