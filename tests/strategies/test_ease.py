from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lifelong.data.episode import Episode
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.networks.heads import apply_embedding
from lifelong.training.stream_module import StreamModule
from strategies import EASE
from strategies.ease import map_prototypes
from tests.strategies.test_adapter_bank_on_examples import apart, evaluated, respond
from tests.toys import fit, make_classifier, module_of, toy_examples


def learnt(ease: EASE, data: StreamDataModule) -> StreamModule:
    module = module_of(make_classifier(), [ease])
    fit(module, data)
    return module


def train_examples(data: StreamDataModule, experience: int) -> tuple[Tensor, Tensor]:
    """All training inputs of an experience and their classes."""
    stretch = data.stream.experiences[experience]
    batch = data.draw(stretch, "signature", range(sum(len(p) for p in stretch.pools))).gather(torch.device("cpu"))
    assert batch.classes is not None
    return batch.query_x[:, 0], batch.classes.gather(1, batch.query_y)[:, 0]


def subspace(module: StreamModule, ease: EASE, number: int, x: Tensor) -> Tensor:
    module.eval()
    params = ease.with_entry(module.learner.meta_parameters(), number)
    with torch.no_grad():
        return apply_embedding(module.learner.network, params, x)


def test_one_experience_is_answered_by_plain_prototypes() -> None:
    ease, data = EASE(), toy_examples("class", 1)
    module = learnt(ease, data)
    x, y = train_examples(data, 0)
    features = subspace(module, ease, 0, x)
    means = torch.stack([features[y == c].mean(0) for c in range(4)])
    batch = evaluated(data)
    queries = subspace(module, ease, 0, batch.query_x[:, 0])
    expected = F.cosine_similarity(queries[:, None], means[None], dim=-1)
    torch.testing.assert_close(respond(module, batch)[:, 0], expected, rtol=1e-4, atol=1e-5)
    with torch.no_grad():  # the first subspace is the trunk's own
        torch.testing.assert_close(features, module.learner.network.features(x))  # type: ignore[operator, union-attr]


def test_prototypes_are_class_means_wherever_data_was_at_hand() -> None:
    for frozen in (True, False):
        ease, data = EASE(rank=1, frozen_from_start=frozen), toy_examples("class", 3)
        module = learnt(ease, data)
        assert ease.prototypes.shape == (12, 3, 8)
        assert ease.owners.tolist() == [0] * 4 + [1] * 4 + [2] * 4
        for experience in range(3):
            x, y = train_examples(data, experience)
            for number in range(experience + 1):
                features = subspace(module, ease, number, x)
                for c in range(4 * experience, 4 * experience + 4):
                    row = ease.prototypes[ease.numbers == c][0, number]
                    torch.testing.assert_close(row, features[y == c].mean(0), rtol=1e-4, atol=1e-5)


def test_old_classes_are_mapped_by_similarity_where_both_are() -> None:
    old, new = torch.randn(5, 2, 3), torch.randn(4, 3, 3)
    owners = torch.tensor([0, 0, 1, 1, 0])
    for row, mapped in enumerate(map_prototypes(old, owners, new)):
        own = int(owners[row])
        weights = [math.exp(float(F.cosine_similarity(old[row, own], n[own], dim=0))) for n in new]
        expected = sum(w * n[2] for w, n in zip(weights, new, strict=True)) / sum(weights)
        torch.testing.assert_close(mapped, expected)


def test_mapped_prototypes_are_those_that_the_ensemble_keeps() -> None:
    ease, data = EASE(rank=1), toy_examples("class", 2)
    learnt(ease, data)
    first, new = ease.prototypes[:4, :1], ease.prototypes[4:]
    expected = map_prototypes(first, torch.zeros(4, dtype=torch.int64), new)
    torch.testing.assert_close(ease.prototypes[:4, 1], expected)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 1.0])
def test_answers_are_reweighted_cosines(alpha: float) -> None:
    ease, data = EASE(rank=1, alpha=alpha), toy_examples("class", 3)
    module = learnt(ease, data)
    batch = evaluated(data, 1)
    assert batch.classes is not None
    expected = torch.zeros(len(batch), 12)
    for number in range(3):
        queries = subspace(module, ease, number, batch.query_x[:, 0])
        for place, c in enumerate(ease.numbers.tolist()):
            weight = 1.0 if ease.owners[place] == number else alpha
            expected[:, c] += weight * F.cosine_similarity(queries, ease.prototypes[place, number][None], dim=-1)
    expected = expected.gather(1, batch.classes)
    torch.testing.assert_close(respond(module, batch)[:, 0], expected, rtol=1e-4, atol=1e-5)


def test_an_answer_does_not_depend_on_the_batch() -> None:
    data = apart(shift=1.0)
    module = learnt(EASE(), data)
    batch = Episode.cat([evaluated(data, domain) for domain in range(3)])
    whole = respond(module, batch)
    rows = torch.randperm(len(batch), generator=torch.Generator().manual_seed(0))
    for some in (rows, rows[:5], rows[:1]):
        torch.testing.assert_close(respond(module, batch.take(some)), whole[some], rtol=1e-4, atol=1e-5)


def test_classes_that_come_again_have_several_prototypes() -> None:
    ease, data = EASE(rank=1), toy_examples("class", 2, cumulative=True)
    module = learnt(ease, data)
    assert ease.numbers.tolist() == [*range(4), *range(8)]
    assert ease.owners.tolist() == [0] * 4 + [1] * 8
    x, y = train_examples(data, 1)
    features = subspace(module, ease, 1, x)
    rows = ease.prototypes[ease.numbers == 0]
    torch.testing.assert_close(rows[1, 1], features[y == 0].mean(0), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(rows[0, 1], rows[1, 1])


def test_the_nearest_prototype_of_a_class_answers() -> None:
    ease, data = EASE(rank=1, alpha=0.5), toy_examples("domain", 3)
    module = learnt(ease, data)
    batch = evaluated(data, 0)
    n_classes = len(set(ease.numbers.tolist()))
    assert len(ease.numbers) == 3 * n_classes
    scores = torch.zeros(len(batch), len(ease.numbers))
    for number in range(3):
        queries = subspace(module, ease, number, batch.query_x[:, 0])
        for place in range(len(ease.numbers)):
            weight = 1.0 if ease.owners[place] == number else 0.5
            scores[:, place] += weight * F.cosine_similarity(queries, ease.prototypes[place, number][None], dim=-1)
    expected = torch.stack([scores[:, ease.numbers == c].amax(1) for c in range(n_classes)], 1)
    torch.testing.assert_close(respond(module, batch)[:, 0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("classes", ["seen", "current"])
def test_it_keeps_what_fine_tuning_forgets(classes: Any) -> None:
    data = apart(shift=1.0, steps_per_experience=150, classes=classes)
    plain = fit(module_of(make_classifier()), data).results
    ease = fit(module_of(make_classifier(), [EASE()]), data).results
    assert ease.metrics["forgetting"].value < plain.metrics["forgetting"].value - 0.1
    assert ease.matrix[2].mean() > plain.matrix[2].mean() + 0.1
