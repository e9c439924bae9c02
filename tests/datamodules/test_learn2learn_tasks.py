"""The data behind learn2learn's tasksets."""

from __future__ import annotations

import random
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from datamodules import Learn2LearnTasks
from datamodules.episodic import EpisodicDataModule
from tests.learn2learn import learn2learn_or_skip
from tests.toys import fit, make_learner


class Meta:
    """What a source uses of a MetaDataset: examples, labels and where they are."""

    def __init__(self, labels: list[int], n_examples: int = 4, shape: tuple[int, ...] = (2,)) -> None:
        self.labels, self.shape = labels, shape
        self.y = [label for _ in range(n_examples) for label in labels]
        self.labels_to_indices = {label: [i for i, y in enumerate(self.y) if y == label] for label in labels}

    def __getitem__(self, i: int) -> tuple[Any, int]:
        return torch.full(self.shape, float(self.y[i])), self.y[i]


class Taskset:
    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset


def test_three_tasksets_are_the_fixed_splits() -> None:
    parts = [Taskset(Meta([7, 3])), Taskset(Meta([3])), Taskset(Meta([5, 4, 1]))]
    (domain,) = Learn2LearnTasks(parts, name="toy", holdout="examples").domains()
    assert domain.class_names == ["train 7", "train 3", "val 3", "test 5", "test 4", "test 1"]
    assert domain.splits == ["train", "train", "val", "test", "test", "test"]
    assert domain.holdout == "classes"
    assert np.bincount(domain.y).tolist() == [4] * 6
    assert domain.x[:, 0].tolist() == [float(domain.class_names[c].split()[1]) for c in domain.y]


def test_one_data_set_is_split_by_us() -> None:
    (domain,) = Learn2LearnTasks(Meta([2, 0]), holdout="examples").domains()
    assert (domain.name, domain.splits, domain.holdout) == ("learn2learn", None, "examples")
    assert domain.class_names == ["2", "0"]


def test_what_is_no_taskset_or_has_no_tensors_is_refused() -> None:
    with pytest.raises(ValueError, match="2 tasksets"):
        Learn2LearnTasks([Meta([0]), Meta([1])]).domains()
    with pytest.raises(ValueError, match="TensorDataset is no taskset"):
        Learn2LearnTasks(TensorDataset(torch.zeros(2))).domains()
    with pytest.raises(ValueError, match="2 different shapes"):
        Learn2LearnTasks([Meta([0]), Meta([1], shape=(3,)), Meta([2])]).domains()
    pictures = Meta([0])
    pictures.__class__ = type("Pictures", (Meta,), {"__getitem__": lambda self, i: ("picture", 0)})
    with pytest.raises(ValueError, match="type str: give its data set a transform"):
        Learn2LearnTasks(pictures).domains()


def test_a_benchmark_without_learn2learn_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "learn2learn", None)
    with pytest.raises(ValueError, match="make learn2learn"):
        Learn2LearnTasks("omniglot").domains()


def test_a_benchmark_is_split_alike_whatever_the_random_state_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def get_tasksets(name: str, root: str) -> tuple[Taskset, ...]:
        labels = list(range(9))
        random.shuffle(labels)  # as learn2learn does for Omniglot
        return tuple(Taskset(Meta(labels[i : i + 3])) for i in (0, 3, 6))

    benchmarks = SimpleNamespace(list_tasksets=lambda: ["omniglot"], get_tasksets=get_tasksets)
    fake = SimpleNamespace(vision=SimpleNamespace(benchmarks=benchmarks))
    monkeypatch.setattr("datamodules.learn2learn_tasks.import_learn2learn", lambda: fake)
    random.seed(3)
    state = random.getstate()
    (first,) = Learn2LearnTasks("omniglot").domains()
    assert random.getstate() == state
    random.seed(4)
    (again,), (other,) = (Learn2LearnTasks("omniglot", seed=seed).domains() for seed in (0, 1))
    assert first.class_names == again.class_names != other.class_names
    with pytest.raises(ValueError, match="no benchmark 'omniglott': choose from omniglot"):
        Learn2LearnTasks("omniglott").domains()


@pytest.fixture
def l2l() -> Any:
    return learn2learn_or_skip()


@pytest.mark.learn2learn
def test_learns_from_the_tasksets_of_learn2learn(l2l: Any) -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(9), 6)
    x = torch.from_numpy(rng.normal(size=(54, 4)) + y[:, None]).float()
    whole = l2l.data.MetaDataset(TensorDataset(x, torch.from_numpy(y)))
    parts = [l2l.data.FilteredMetaDataset(whole, labels) for labels in ([8, 0, 2], [1, 3, 5], [4, 6, 7])]
    shots = [l2l.data.transforms.NWays(whole, n=2), l2l.data.transforms.LoadData(whole)]
    tasksets = [l2l.data.Taskset(part, task_transforms=shots) for part in parts]
    source = Learn2LearnTasks(tasksets, name="toy")
    (domain,) = source.domains()
    assert domain.class_names[:3] == ["train 8", "train 0", "train 2"]
    assert torch.equal(domain.x[:6], x[48:])
    sizes = {"n_way": 3, "n_shot": 2, "n_query": 2, "tasks_per_batch": 2, "steps_per_experience": 2, "n_eval_tasks": 3}
    assert fit(make_learner("ProtoNet"), EpisodicDataModule([source], **sizes)).matrix().shape == (1, 1, 3)
