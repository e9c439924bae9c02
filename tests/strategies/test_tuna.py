from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.data.episode import Episode
from lifelong.evaluation.evaluator import Evaluator
from lifelong.learners import Classifier
from lifelong.networks import MLP
from lifelong.networks.heads import apply_embedding
from lifelong.training.stream_module import StreamModule
from strategies import EASE, TUNA
from strategies.adapters.answers import entropy
from strategies.adapters.entry import Entry, add_entry, differences, empty_entry, squared_projections, stacked
from tests.strategies.test_adapter_bank_on_examples import apart, evaluated, respond
from tests.toys import fit, make_classifier, make_learner, module_of, toy_examples

RNG = torch.Generator().manual_seed(0)


def learnt(tuna: TUNA, n: int = 3) -> tuple[StreamModule, Evaluator]:
    module = module_of(make_classifier(), [tuna])
    return module, fit(module, toy_examples("class", n))


def random_entry(template: Entry) -> Entry:
    return {key: torch.randn(value.shape, generator=RNG) for key, value in template.items()}


@pytest.mark.parametrize("kind", ["vector", "image"])
def test_projections_equal_those_of_the_full_differences(kind: str) -> None:
    learner = make_learner("ProtoNet", kind)
    params, template = learner.meta_parameters(), empty_entry(learner.network, rank=2)
    entry, *others = (random_entry(template) for _ in range(4))
    expected = torch.zeros(())
    for other in others:
        for name, theirs in differences(params, other).items():
            ours = differences(params, entry)[name]
            expected = expected + (ours * theirs).sum().square() / theirs.square().sum()
    torch.testing.assert_close(squared_projections(entry, stacked(others)), expected)


def test_an_orthogonal_or_empty_entry_costs_nothing() -> None:
    template = empty_entry(make_learner("ProtoNet").network, rank=1)
    others = stacked([random_entry(template), template])
    assert squared_projections(template, others) == 0
    one = {"w-up": torch.tensor([[1.0], [0.0]]), "w-down": torch.tensor([[1.0, 0.0]])}
    two = {"w-up": torch.tensor([[1.0], [0.0]]), "w-down": torch.tensor([[0.0, 1.0]])}
    assert squared_projections(one, stacked([two])) == 0
    assert squared_projections(one, stacked([one])) == 1


def test_the_penalty_holds_entries_apart() -> None:
    found = []
    for strength in (0.0, 100.0):
        tuna = TUNA(rank=1, orthogonality=strength)
        learnt(tuna)
        found.append(float(squared_projections(tuna.entries[2], stacked(tuna.entries[:2]))))
    assert found[1] < 0.1 * found[0]


def test_one_experience_is_answered_as_by_fine_tuning() -> None:
    plain, data = module_of(make_classifier()), toy_examples("class", 1)
    module, evaluator = learnt(TUNA(), 1)
    assert (evaluator.matrix() == fit(plain, data).matrix()).all()
    outputs = plain.runner.outputs(plain.learner, plain.learner.meta_parameters(), evaluated(data))
    torch.testing.assert_close(respond(module, evaluated(data)), outputs.log_softmax(-1).detach())


@pytest.mark.parametrize("align", [False, True])
def test_answers_are_the_mean_of_the_surest_and_the_fused(align: bool) -> None:
    tuna = TUNA(rank=1, align=align, frozen_from_start=True)
    module, _ = learnt(tuna)
    params, batch = module.learner.meta_parameters(), evaluated(toy_examples("class", 3), 1)
    assert batch.classes is not None
    full = [differences(params, entry) for entry in tuna.entries]
    merged = {}
    for name in full[0]:
        values = torch.stack([f[name] for f in full])
        sign = values.sum(0).sign()
        merged[name] = sign * (values * sign).clamp_min(0).amax(0)

    rules = [torch.cat(column).float() for column in zip(*tuna.gaussians.linear_rule(), strict=True)] if align else []

    def ask(changed: dict[str, Tensor]) -> Tensor:
        network = {name.removeprefix("network."): p for name, p in changed.items()}
        logits = torch.func.functional_call(module.learner.network, network, (batch.query_x[:, 0],))
        if align:
            features = apply_embedding(module.learner.network, changed, batch.query_x[:, 0])
            logits = features / features.norm(dim=1, keepdim=True) @ rules[0].T + rules[1]
        return logits.gather(1, batch.classes).softmax(-1).detach()  # type: ignore[no-any-return, arg-type]

    specific = torch.stack([ask(add_entry(params, entry)) for entry in tuna.entries])
    surest = specific[entropy(specific.log()).argmin(0), torch.arange(len(batch))]
    universal = ask({name: p + merged.get(name, 0) for name, p in params.items()})
    torch.testing.assert_close(respond(module, batch)[:, 0].exp(), (surest + universal) / 2, rtol=1e-4, atol=1e-5)


def test_all_classes_so_far_compete_for_every_entry() -> None:
    tuna = TUNA(rank=1)
    module, evaluator = learnt(tuna)
    assert tuna.known(module.learner).all()
    right = evaluator.matrix("TUNA/score_with_right_entry")
    assert torch.from_numpy(right[0, 1:]).isnan().all()
    assert torch.from_numpy(right[2]).isfinite().all()


def test_an_answer_does_not_depend_on_the_batch() -> None:
    data = apart(shift=1.0)
    module = module_of(make_classifier(), [TUNA()])
    fit(module, data)
    batch = Episode.cat([evaluated(data, domain) for domain in range(3)])
    whole = respond(module, batch)
    rows = torch.randperm(len(batch), generator=torch.Generator().manual_seed(0))
    for some in (rows, rows[:5], rows[:1]):
        torch.testing.assert_close(respond(module, batch.take(some)), whole[some], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("classes", ["seen", "current"])
def test_it_keeps_what_fine_tuning_forgets(classes: Any) -> None:
    data = apart(shift=1.0, steps_per_experience=150, classes=classes)
    plain = fit(module_of(make_classifier()), data).results
    tuna = fit(module_of(make_classifier(), [TUNA()]), data).results
    assert tuna.metrics["forgetting"].value < plain.metrics["forgetting"].value - 0.1
    assert tuna.matrix[2].mean() > plain.matrix[2].mean()


def test_a_head_is_aligned_by_class_means_in_its_own_embeddings() -> None:
    tuna, data = TUNA(rank=1, frozen_from_start=True), toy_examples("class", 3)
    module = module_of(make_classifier(), [tuna])
    fit(module, data)
    for number in range(3):
        stretch = data.stream.experiences[number]
        drawn = data.draw(stretch, "signature", range(sum(len(p) for p in stretch.pools)))
        batch = drawn.gather(torch.device("cpu"))
        assert batch.classes is not None
        y = batch.classes.gather(1, batch.query_y)[:, 0]
        changed = add_entry(module.learner.meta_parameters(), tuna.entries[number])
        with torch.no_grad():
            features = apply_embedding(module.learner.network, changed, batch.query_x[:, 0])
        for c, mean in zip(tuna.classes[number].tolist(), tuna.gaussians.means[number], strict=True):
            torch.testing.assert_close(mean, F.normalize(features[y == c], dim=1).mean(0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", [TUNA, EASE])
def test_a_linear_head_alone_needs_no_entries(make: Any) -> None:
    torch.manual_seed(0)
    module = module_of(Classifier(MLP(n_inputs=4, hidden=[], n_outputs=12)), [make()])
    evaluator = fit(module, apart(shift=1.0))
    again = module_of(Classifier(MLP(n_inputs=4, hidden=[], n_outputs=12)), [make()])
    again.learner.prepare(12)
    again.load_state_dict(module.state_dict())
    batch = evaluated(apart(shift=1.0), 1)
    assert torch.equal(respond(again, batch), respond(module, batch))
    assert evaluator.results.matrix[2].mean() > 0.5
