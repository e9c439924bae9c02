"""Entries answer labelled examples one by one, as the sum over entries says."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from strategies.adapters.answers import EntryAnswers
from tests.toys import make_classifier

RNG = torch.Generator().manual_seed(0)
KNOWN = torch.tensor([[True, True, False, False, False], [False, False, True, True, False]])
WAYS = torch.tensor([[0, 1, 2, 3], [2, 3, -1, -1], [1, 4, -1, -1], [4, -1, -1, -1]])
"""All known classes; those of the second entry; one of the first and an unknown one; an unknown one."""
DISTANCES = torch.tensor([[1.0, 0.0, 7.0, 3.0], [0.5, 2.0, 0.0, 4.0]])


def asked(rows: Tensor | slice = slice(None)) -> EntryAnswers:
    """Entries that shift the head's bias, asked about four examples."""
    learner = make_classifier(n_outputs=5)
    learner.prepare(5)
    x, y = torch.linspace(-1, 1, 16).reshape(4, 1, 4), torch.zeros(4, 1, dtype=torch.int64)
    batch = Episode(x[:, :0], y[:, :0], x, y, torch.ones(4), 4, WAYS).take(rows)
    params = learner.meta_parameters()
    shifts = torch.tensor([[0.0, 1.0, 2.0, -1.0, 0.5], [1.0, -1.0, 0.0, 2.0, 0.0]])

    def ask(number: int, some: Episode) -> Tensor:
        shifted = params | {"network.head.bias": params["network.head.bias"] + shifts[number]}
        with torch.no_grad():
            return TaskRunner().outputs(learner, shifted, some)[:, 0]

    return EntryAnswers(batch, ask, KNOWN)


def by_hand(number: int, row: int) -> list[float]:
    """``p(c | e, x)`` over the ways that the entry knows, in a loop."""
    logits = dict(zip(WAYS[row].tolist(), asked().ask(number, asked().batch)[row].tolist(), strict=True))
    ways = [c for c in WAYS[row].tolist() if c >= 0]
    knows = [c for c in ways if KNOWN[number, c]] or ways
    total = sum(math.exp(logits[c]) for c in knows)
    return [math.exp(logits[c]) / total if c in knows else 0.0 for c in WAYS[row].tolist()]


def close(found: Tensor, expected: list[list[float]]) -> None:
    torch.testing.assert_close(found.exp().detach(), torch.tensor(expected))


def test_an_entry_answers_among_the_ways_that_it_knows() -> None:
    for number in range(2):
        close(asked().of_entry(number), [by_hand(number, row) for row in range(4)])


def test_an_entry_takes_part_where_it_knows_a_way() -> None:
    assert asked().able.tolist() == [[True, False, True, True], [True, True, False, True]]


def test_at_temperature_zero_the_nearest_entry_answers() -> None:
    answers = asked()
    best = answers.best(DISTANCES)
    assert best.tolist() == [1, 1, 0, 0]  # the second and third example's ways leave no choice
    close(answers.of_best(best), [by_hand(number, row) for row, number in enumerate([1, 1, 0, 0])])


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_above_zero_answers_are_a_mixture(temperature: float) -> None:
    able, expected = asked().able, []
    for row in range(4):
        weights = [math.exp(-float(DISTANCES[e, row]) / temperature) if able[e, row] else 0.0 for e in range(2)]
        parts = [[w * p for p in by_hand(e, row)] for e, w in enumerate(weights)]
        expected.append([sum(of_way) / sum(weights) for of_way in zip(*parts, strict=True)])
    close(asked().mixed(DISTANCES, temperature), expected)


def test_entropies_are_those_of_the_known_ways() -> None:
    entropies = asked().entropies().detach()
    for number in range(2):
        for row in range(4):
            expected = -sum(p * math.log(p) for p in by_hand(number, row) if p > 0)
            assert float(entropies[number, row]) == pytest.approx(expected, abs=1e-6)


def test_other_examples_of_the_batch_change_nothing() -> None:
    whole = asked()
    reference = whole.of_best(whole.best(DISTANCES)), whole.mixed(DISTANCES, 1.0), whole.entropies().T
    for rows in ([3, 1, 0, 2], [2], [0, 3]):
        some = asked(torch.tensor(rows))
        distances = DISTANCES[:, rows]
        found = some.of_best(some.best(distances)), some.mixed(distances, 1.0), some.entropies().T
        for one, other in zip(reference, found, strict=True):
            torch.testing.assert_close(one[rows], other, rtol=1e-5, atol=1e-6)


def test_each_entry_is_asked_about_its_own_examples_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, sizes = asked(), []
    of_entry = EntryAnswers.of_entry

    def count(self: EntryAnswers, number: int, rows: Tensor | None = None) -> Tensor:
        sizes.append((number, len(self.batch) if rows is None else int(rows.sum())))
        return of_entry(self, number, rows)

    monkeypatch.setattr(EntryAnswers, "of_entry", count)
    answers.of_best(torch.tensor([1, 0, 1, 1]))
    assert sizes == [(0, 1), (1, 3)]
