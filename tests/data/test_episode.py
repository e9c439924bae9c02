import pytest
import torch

from lifelong.data.episode import Episode
from tests.toys import random_episode


def test_examples_and_labels_must_fit_together() -> None:
    x, y = torch.zeros(2, 4, 3), torch.zeros(2, 4).long()
    with pytest.raises(ValueError, match=r"2 tasks has query_x of shape \(2, 4, 3\) and query_y of shape \(2, 3\)"):
        Episode(x, y, x, y[:, :3], torch.ones(2), 2)
    with pytest.raises(ValueError, match="an episode of 3 tasks has support_x"):
        Episode(x, y, x, y, torch.ones(3), 2)


def test_classes_are_the_ways_own_numbers_unless_they_are_given() -> None:
    x, y = torch.zeros(2, 4, 3), torch.zeros(2, 4).long()
    assert Episode(x, y, x, y, torch.ones(2), 3).tasks().classes.tolist() == [[0, 1, 2]] * 2
    assert Episode(x, y, x, y.float(), torch.ones(2), 0).tasks().classes.tolist() == [[0]] * 2
    given = torch.tensor([[7, 8, 9], [4, 5, 6]])
    both = Episode.cat([Episode(x, y, x, y, torch.ones(2), 3, given), Episode(x, y, x, y, torch.ones(2), 3)])
    assert both.tasks().classes.tolist() == [[7, 8, 9], [4, 5, 6], [0, 1, 2], [0, 1, 2]]


def test_cat_keeps_order_and_weights() -> None:
    a, b = random_episode(n_tasks=2, seed=1), random_episode(n_tasks=3, seed=2)
    b = b.weighted(2)
    both = Episode.cat([a, b])
    assert len(both) == 5
    assert both.weight.tolist() == [1, 1, 2, 2, 2]
    assert torch.equal(both.query_x[:2], a.query_x)
    assert torch.equal(both.support_x[2:], b.support_x)


@pytest.mark.parametrize("other", [{"n_way": 4}, {"n_shot": 3}, {"n_query": 1}, {"kind": "image"}])
def test_cat_refuses_other_shapes(other: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="tasks of different shapes cannot be joined"):
        Episode.cat([random_episode(), random_episode(**other)])  # type: ignore[arg-type]


def test_to_converts_real_numbers_only_and_clone_shares_nothing() -> None:
    batch = random_episode()
    double = batch.to(torch.float64)
    assert double.support_x.dtype == double.weight.dtype == torch.float64
    assert double.support_y.dtype == torch.int64
    copy = batch.clone()
    copy.support_x.zero_()
    assert batch.support_x.abs().sum() > 0


def test_classes_of_queries_and_their_labels_are_inverse() -> None:
    x, y = torch.zeros(3, 2, 4), torch.tensor([[0, 1], [1, 1], [0, 0]])
    classes = torch.tensor([[5, 2], [2, 9], [7, -1]])  # each task has ways of its own
    batch = Episode(x[:, :0], y[:, :0], x, y, torch.ones(3), n_way=2, classes=classes)
    assert batch.query_classes.tolist() == [[5, 2], [9, 9], [7, 7]]
    assert batch.ways_of(batch.query_classes).tolist() == y.tolist()
    with pytest.raises(ValueError, match=r"the classes \[4\] are not among the ways of their tasks"):
        batch.ways_of(torch.tensor([[5, 2], [9, 4], [7, 7]]))
    real = Episode(x, torch.zeros(3, 2), x, torch.zeros(3, 2), torch.ones(3), n_way=0)
    with pytest.raises(ValueError, match="their queries have no class"):
        _ = real.query_classes
