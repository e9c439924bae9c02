"""The adapter bank on streams of labelled examples, where an example is routed by itself."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from datamodules.examples import ExampleDataModule
from lifelong.data.episode import Episode
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.evaluation.evaluator import Evaluator
from lifelong.learners import Classifier, NearestClassMean
from lifelong.networks import MLP, Conv4
from lifelong.training.stream_module import StreamModule
from strategies import AdapterBank
from tests.strategies.test_adapter_bank import WithAdapters
from tests.toys import AtEnd, FewClasses, fit, make_classifier, module_of, same, toy_examples, weights

SCENARIOS = ["class", "domain", "task"]
ROUTERS = ["signature", "entropy", "average", "fused"]
MOMENTUM = partial(torch.optim.AdamW, lr=0.02, weight_decay=0.1)


def learnt(bank: AdapterBank, data: StreamDataModule, **settings: Any) -> tuple[StreamModule, Evaluator]:
    module = module_of(settings.pop("learner", None) or make_classifier(), [bank], **settings)
    return module, fit(module, data)


def apart(scenario: Any = "class", shift: float = 8.0, **settings: Any) -> ExampleDataModule:
    """Labelled examples of three domains that lie far from each other."""
    defaults: dict[str, Any] = {"batch_size": 16, "steps_per_experience": 60, "split": (0.25, 0.2)}
    return ExampleDataModule([FewClasses(3, shift=shift)], scenario=scenario, **(defaults | settings))


def evaluated(data: StreamDataModule, domain: int = 0) -> Episode:
    n = data.n_eval_units("val", domain)
    return data.draw_for_evaluation("val", domain, range(n)).gather(torch.device("cpu"))


def respond(module: StreamModule, batch: Episode) -> Tensor:
    module.eval()
    with torch.no_grad():
        params = module.learner.meta_parameters()
        answer = module.strategies.respond(module.learner, params, batch, runner=module.runner)
    assert answer is not None
    return answer


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_trunk_old_entries_and_old_rows_never_move_again(scenario: str) -> None:
    bank, learner = AdapterBank(rank=1), make_classifier()
    trunks: list[dict[str, Tensor]] = []
    fit(
        module_of(learner, [bank, AtEnd(lambda: trunks.append(weights(learner)))], MOMENTUM),
        toy_examples(scenario, 3),
    )
    for name, first in trunks[0].items():
        if ".head." not in name:
            assert torch.equal(first, trunks[2][name])
    if scenario != "domain":  # where experiences share the rows, each entry has its own
        assert torch.equal(trunks[0]["network.head.weight"][:4], trunks[2]["network.head.weight"][:4])
        assert torch.equal(trunks[1]["network.head.bias"][4:8], trunks[2]["network.head.bias"][4:8])
    for number, rows in enumerate(bank.heads.of_entries):
        classes = bank.classes[number]
        assert torch.equal(rows["network.head.weight"], trunks[number]["network.head.weight"][classes])
    assert all(v.abs().max() == 0 for k, v in bank.entries[0].items() if not k.endswith("down"))
    assert any(v.abs().max() > 0 for k, v in bank.entries[1].items() if not k.endswith("down"))
    assert not same(bank.entries[1], bank.entries[2])


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_one_experience_is_answered_as_by_fine_tuning(scenario: str, router: Any, temperature: float) -> None:
    data, plain = toy_examples(scenario, 1), module_of(make_classifier())
    module, evaluator = learnt(AdapterBank(router=router, temperature=temperature), data)
    assert (evaluator.matrix() == fit(plain, data).matrix()).all()
    outputs = plain.runner.outputs(plain.learner, plain.learner.meta_parameters(), evaluated(data))
    torch.testing.assert_close(respond(module, evaluated(data)), outputs.log_softmax(-1).detach())


@pytest.mark.parametrize("scenario", ["class", "domain"])
def test_domains_far_apart_are_routed_to_their_entries(scenario: str) -> None:
    _, evaluator = learnt(AdapterBank(), apart(scenario))
    routed = evaluator.matrix("AdapterBank/routing_accuracy")
    assert (routed[-1] == 1).all()
    assert (evaluator.matrix("AdapterBank/score_with_right_entry")[-1] == evaluator.matrix()[-1]).all()
    for row in range(3):
        assert torch.from_numpy(routed[row, row + 1 :]).isnan().all()


@pytest.mark.parametrize("router", ["signature", "entropy"])
def test_ways_lead_to_their_entry_in_the_task_scenario(router: Any) -> None:
    _, evaluator = learnt(AdapterBank(router=router), toy_examples("task", 3))
    for row in range(3):
        assert (evaluator.matrix("AdapterBank/routing_accuracy")[row, : row + 1] == 1).all()
        right = evaluator.matrix("AdapterBank/score_with_right_entry")[row, : row + 1]
        assert (right == evaluator.matrix()[row, : row + 1]).all()
        assert (right == evaluator.matrix()[row, : row + 1]).all()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_old_experiences_are_answered_with_their_entry_as_ever(scenario: str) -> None:
    _, evaluator = learnt(AdapterBank(rank=1), toy_examples(scenario, 3))
    right = evaluator.matrix("AdapterBank/score_with_right_entry")
    for domain in range(3):
        for row in range(domain, 3):
            assert (right[row, domain] == right[domain, domain]).all()


@pytest.mark.parametrize("router", ROUTERS)
@pytest.mark.parametrize("temperature", [0.0, 2.0])
def test_an_answer_does_not_depend_on_the_batch(router: Any, temperature: float) -> None:
    data = apart(shift=1.0)
    module, _ = learnt(AdapterBank(router=router, temperature=temperature), data)
    batch = Episode.cat([evaluated(data, domain) for domain in range(3)])
    whole = respond(module, batch)
    rows = torch.randperm(len(batch), generator=torch.Generator().manual_seed(0))
    for some in (rows, rows[:5], rows[:1]):
        torch.testing.assert_close(respond(module, batch.take(some)), whole[some], rtol=1e-4, atol=1e-5)


def test_a_frozen_trunk_trains_an_entry_in_the_first_experience() -> None:
    learner, bank = make_classifier(), AdapterBank(frozen_from_start=True)
    before = weights(learner)
    fit(module_of(learner, [bank], MOMENTUM), toy_examples("class", 2))
    after = weights(learner)
    assert all(torch.equal(before[name], after[name]) for name in before if ".head." not in name)
    assert torch.equal(before["network.head.weight"][8:], after["network.head.weight"][8:])  # of no experience
    assert any(v.abs().max() > 0 for k, v in bank.entries[0].items() if not k.endswith("down"))


def test_a_linear_head_alone_has_entries_too() -> None:
    torch.manual_seed(0)
    learner = Classifier(MLP(n_inputs=4, hidden=[], n_outputs=12))
    module, evaluator = learnt(AdapterBank(), apart("domain"), learner=learner)
    assert (evaluator.matrix("AdapterBank/routing_accuracy")[-1] == 1).all()
    again = module_of(Classifier(MLP(n_inputs=4, hidden=[], n_outputs=12)), [AdapterBank()])
    again.learner.prepare(4)
    again.load_state_dict(module.state_dict())
    batch = evaluated(apart("domain"), 1)
    assert torch.equal(respond(again, batch), respond(module, batch))


def test_adapters_of_a_network_are_its_entries() -> None:
    class LongerHead(WithAdapters):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(8, 8)

        def features(self, x: Tensor) -> Tensor:
            return (self.body(x) + self.side(x)).relu()

    torch.manual_seed(0)
    learner, bank = Classifier(LongerHead()), AdapterBank()
    body = learner.network.body.weight.clone()
    _, evaluator = learnt(bank, toy_examples("class", 2), learner=learner)
    assert set(bank.entries[1]) == {"side-weight-full"}
    assert bank.entries[1]["side-weight-full"].any()
    assert torch.equal(learner.network.body.weight, body)
    assert evaluator.matrix().shape[:2] == (2, 2)


def test_a_shared_head_starts_where_its_source_ended() -> None:
    for start in ("zero", "nearest"):
        bank, learner = AdapterBank(start=start), make_classifier()  # type: ignore[arg-type]
        begun: list[Tensor] = []

        class Watch(AtEnd):
            def begin(self, learner: Any, visit: Any, *, runner: Any) -> None:
                begun.append(learner.network.head.weight.detach().clone())  # noqa: B023

        fit(module_of(learner, [bank, Watch(lambda: None)]), apart("domain"))
        source = {"zero": 0, "nearest": 1}[start]
        assert torch.equal(begun[2][:4], bank.heads.of_entries[source]["network.head.weight"])


def test_the_bank_keeps_what_fine_tuning_forgets() -> None:
    data = apart(shift=1.0, steps_per_experience=150)
    plain = fit(module_of(make_classifier()), data).results.matrix
    for router in ("signature", "entropy"):
        bank = learnt(AdapterBank(router=router), data)[1].results.matrix  # type: ignore[arg-type]
        assert bank[2, 0] > plain[2, 0] + 0.3
        assert bank[2].mean() > plain[2].mean() + 0.2


def test_bytes_of_an_entry_do_not_grow_with_the_stream() -> None:
    sizes: list[int] = []
    bank = AdapterBank(rank=1)
    fit(module_of(make_classifier(), [bank, AtEnd(lambda: sizes.append(bank.memory_bytes()))]), toy_examples("class"))
    assert sizes[2] - sizes[1] == sizes[1] - sizes[0] > 0


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("router", "few_shot"), [("support_loss", False), ("entropy", True), ("fused", True)])
def test_a_router_of_another_kind_of_stream_is_refused(router: Any, few_shot: bool) -> None:
    from tests.toys import make_learner

    learner = make_learner() if few_shot else make_classifier()
    with pytest.raises(ValueError, match=f"router {router} is not made for .*choose signature"):
        module_of(learner, [AdapterBank(router=router)])


@pytest.mark.parametrize(
    ("learner", "words"),
    [
        (lambda: Classifier(nn.Linear(4, 12)), "wrap it in lifelong.networks.WithHead"),
        (lambda: Classifier(Conv4(n_filters=8, norm="batch", image_size=16, n_outputs=12)), "norm group, layer or"),
        (
            lambda: NearestClassMean(MLP(n_inputs=4, hidden=[8], n_outputs=12), train_embedding=True),
            "set --model Classifier",
        ),
    ],
)
def test_learners_that_cannot_answer_alone_are_refused(learner: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        module_of(learner(), [AdapterBank()])
