"""Episodic streams: which tasks are drawn, for training and for evaluation."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch

from lifelong.data.episode import Episode
from tests.datamodules.drawn import CPU, inputs, loader
from tests.toys import AtEnd, fit, make_learner, toy_data


def test_two_ranks_together_draw_the_tasks_of_one() -> None:
    data = toy_data()
    whole = torch.cat(inputs(loader(data, 1)))
    first, second = (inputs(loader(data, 1, rank, 2)) for rank in (0, 1))
    shared = [torch.stack([a, b], 1).flatten(0, 1) for a, b in zip(first, second, strict=True)]
    assert len(whole) == 16
    assert torch.equal(torch.cat(shared), whole)


def test_seed_moves_training_tasks_and_not_evaluation() -> None:
    one, two = toy_data(seed=0), toy_data(seed=1)
    assert not torch.equal(torch.cat(inputs(loader(one))), torch.cat(inputs(loader(two))))
    for a, b in zip(one.val_dataloader(), two.val_dataloader(), strict=True):
        assert torch.equal(torch.cat(inputs(a)), torch.cat(inputs(b)))


def test_evaluation_tasks_come_from_their_part_and_domain() -> None:
    data = toy_data(shift=100.0)
    val, test = ([torch.cat(inputs(part)) for part in made] for made in (data.val_dataloader(), data.test_dataloader()))
    for part in (val, test):
        assert [round(x.mean().item() / 100) for x in part] == [0, 1]
    rows = {tuple(x.tolist()) for x in val[0].flatten(0, 1)}
    assert not rows & {tuple(x.tolist()) for x in test[0].flatten(0, 1)}
    assert not rows & {tuple(x.tolist()) for x in torch.cat(inputs(loader(data))).flatten(0, 1)}


def test_evaluation_shape_may_differ() -> None:
    data = toy_data(eval_n_way=2, eval_n_shot=1, eval_n_query=3)
    batch: Episode = next(iter(data.val_dataloader()[0])).gather(CPU)
    assert (batch.n_way, batch.support_x.shape[1], batch.query_x.shape[1]) == (2, 2, 6)


def test_joint_spends_the_steps_of_the_stream() -> None:
    data, ends = toy_data(3, joint=True), []
    assert data.steps_per_experience == 12
    evaluator = fit(make_learner(), data, [AtEnd(lambda: ends.append(1))])
    assert len(ends) == 1
    assert evaluator.matrix().shape == (1, 3, 8)


def test_cumulative_experiences_draw_from_all_domains_so_far() -> None:
    data = toy_data(3, cumulative=True, shift=100.0)
    assert data.steps_per_experience == toy_data(3).steps_per_experience
    for experience in range(3):
        means = torch.cat(inputs(loader(data, experience))).mean((1, 2)) / 100
        assert set(means.round().long().tolist()) == set(range(experience + 1))
    assert fit(make_learner(), data).matrix().shape == (3, 3, 8)


@pytest.mark.parametrize(("asked", "length"), [(-1, 3), (2, 2), (9, 3)])
def test_the_stream_is_the_length_of_the_run(asked: int, length: int) -> None:
    assert len(fit(make_learner(), toy_data(3, steps_per_experience=1), max_epochs=asked).matrix()) == length


def test_evaluation_tasks_beyond_the_asked_number_are_dropped() -> None:
    assert fit(make_learner(), toy_data(1, n_eval_tasks=6)).matrix().shape == (1, 1, 6)


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_evaluation_in_other_batches_has_the_same_tasks(at_once: int) -> None:
    learner = make_learner("MAML")
    few, many = toy_data(1, n_eval_tasks=7), toy_data(1, n_eval_tasks=7, eval_tasks_per_batch=at_once)
    assert [len(x) for x in inputs(many.val_dataloader()[0])] == [min(at_once, 7)] * -(-7 // at_once)
    scores = [fit(deepcopy(learner), data).matrix() for data in (few, many)]
    np.testing.assert_allclose(scores[0], scores[1])
    with pytest.raises(ValueError, match="eval_tasks_per_batch is 0"):
        toy_data(eval_tasks_per_batch=0)


def test_settings_out_of_range_and_small_parts_are_named() -> None:
    with pytest.raises(ValueError, match="tasks_per_batch is 0"):
        toy_data(tasks_per_batch=0)
    with pytest.raises(ValueError, match=r"class 'c\d+' of domain 0 \(train\) has 12 examples.*need 13"):
        toy_data(n_shot=11).load()
    with pytest.raises(ValueError, match=r"domain 0 \(val\) has 2 classes"):
        toy_data(split=(2, 3)).load()
