"""Augmentation: by place alone, of training units alone, of images alone."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules import Encoded, EpisodicDataModule, ExampleDataModule, Sinusoids
from lifelong.data.augmentation import Augmentation
from lifelong.data.domain import Domain
from lifelong.data.source import Source
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.learners import Classifier
from lifelong.networks import MLP
from lifelong.vision import FrozenEncoder
from strategies import Replay
from tests.datamodules.drawn import CPU, loader
from tests.interrupted import fit_twice
from tests.toys import fit, module_of, same, weights


class Added(Augmentation):
    """Adds to an image the number that it is given, so that both can be told apart."""

    n_numbers = 1

    def __call__(self, x: Tensor, numbers: Tensor) -> Tensor:
        return x + 10 * (1 + numbers[:, :, None, None])


class Grey(Source):
    """Two domains of four classes of twelve images from 0 to 1, of one value each."""

    def domains(self) -> list[Domain]:
        y = np.repeat(np.arange(4), 12)
        x = torch.linspace(0, 1, 48)[:, None, None, None].expand(-1, 1, 4, 4).clone()
        return [Domain(f"grey {d}", x, y, list("abcd"), holdout="examples") for d in range(2)]


TASKS = partial(
    EpisodicDataModule,
    n_way=3,
    n_shot=2,
    n_query=1,
    tasks_per_batch=4,
    steps_per_experience=3,
    n_eval_tasks=4,
    split=(3, 3),
)
EXAMPLES = partial(ExampleDataModule, batch_size=4, steps_per_experience=3)
STREAMS = pytest.mark.parametrize("make", [TASKS, EXAMPLES], ids=["tasks", "examples"])


def queries(items: Any) -> list[Tensor]:
    return [item.gather(CPU).query_x for item in items]


@STREAMS
def test_each_image_of_training_is_changed_in_its_own_way(make: Any) -> None:
    plain, changed = make([Grey()]), make([Grey()], augmentation=Added())
    added = torch.cat(queries(loader(changed))) - torch.cat(queries(loader(plain)))
    of_each = added.flatten(2)[..., 0]
    assert of_each.min() >= 10
    assert of_each.max() < 20
    assert len(of_each.flatten().unique()) == of_each.numel()
    assert (added.flatten(2).std(-1) < 1e-5).all()


def test_support_and_query_are_both_changed() -> None:
    batch = TASKS([Grey()], augmentation=Added()).draw_for_training(0, [0, 5]).gather(CPU)
    assert (batch.support_x.shape, batch.query_x.shape) == ((2, 6, 1, 4, 4), (2, 3, 1, 4, 4))
    assert batch.support_x.min() >= 10
    assert batch.query_x.min() >= 10
    assert batch.support_y.tolist() == TASKS([Grey()]).draw_for_training(0, [0, 5]).gather(CPU).support_y.tolist()


@STREAMS
def test_a_change_is_decided_by_the_place_alone(make: Any) -> None:
    data = make([Grey()], augmentation=Added())
    whole = torch.cat(queries(loader(data)))
    assert torch.equal(torch.cat(queries(loader(data))), whole)
    again = loader(make([Grey()], augmentation=Added()))
    again.load_state_dict({"experience": 0, "step": 1})
    assert torch.equal(torch.cat(queries(again)), whole[4:])
    ranks = [queries(loader(data, 0, rank, 2)) for rank in (0, 1)]
    assert torch.equal(torch.cat([torch.stack(both, 1).flatten(0, 1) for both in zip(*ranks, strict=True)]), whole)
    for other, place in ((data, 1), (_seeded(data, 1), 0)):
        assert not torch.isclose(_added(other, place), _added(data, 0)).any()


def _added(data: StreamDataModule, experience: int) -> Tensor:
    """What was added to each image."""
    changed = queries(loader(data, experience))
    data.augmentation = None
    plain = queries(loader(data, experience))
    data.augmentation = Added()
    return (torch.cat(changed) - torch.cat(plain)).flatten(2)[..., 0]


def _seeded(data: StreamDataModule, seed: int) -> StreamDataModule:
    made = data.with_sources([Grey()])
    made.reseed(seed)
    return made


@STREAMS
def test_evaluation_and_what_strategies_ask_for_are_as_they_are(make: Any) -> None:
    plain, changed = make([Grey()]), make([Grey()], augmentation=Added())
    for part in ("val", "test"):
        drawn = [made.draw_for_evaluation(part, 1, range(2)).gather(CPU).query_x for made in (plain, changed)]
        assert torch.equal(*drawn)
    visits = [made.visit(0, CPU).batches("memory", 8) for made in (plain, changed)]
    for (_, one), (_, other) in zip(*visits, strict=True):
        assert torch.equal(one.query_x, other.query_x)


def test_fading_streams_are_augmented_too() -> None:
    make = partial(EXAMPLES, [Grey()], fade=0.5, scenario="domain")
    plain, changed = (torch.cat(queries(loader(make(augmentation=a)))) for a in (None, Added()))
    assert (changed - plain).min() >= 10


def test_a_stream_with_replay_is_learnt() -> None:
    learner = Classifier(MLP(n_inputs=16, hidden=[8], n_outputs=8))
    data = EXAMPLES([Grey()], augmentation=Added())
    assert np.isfinite(fit(module_of(learner, [Replay()]), data).matrix()).all()


@pytest.mark.parametrize("step", [2, 5])
def test_a_killed_run_goes_on_bit_for_bit(tmp_path: Path, step: int) -> None:
    def learner() -> Classifier:
        torch.manual_seed(0)
        return Classifier(MLP(n_inputs=16, hidden=[8], n_outputs=8))

    data = partial(EXAMPLES, [Grey()], augmentation=Added())
    (whole, _), (resumed, _) = fit_twice(learner, data, lambda: [Replay()], tmp_path, step)
    assert same(weights(whole), weights(resumed))


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"--data.augmentation changes images, and .* has inputs of shape \(1,\): leave"
    ):
        EpisodicDataModule([Sinusoids()], n_way=1, augmentation=Added()).load()
    encoded = Encoded(Grey(), encoder=FrozenEncoder(network=torch.nn.Flatten()))
    with pytest.raises(
        ValueError, match=r"grey 0 has inputs of shape \(16,\): leave it out \(features, as datamodules.E"
    ):
        TASKS([encoded], augmentation=Added()).load()


def test_images_beyond_0_and_1_are_refused() -> None:
    class Wide(Grey):
        def domains(self) -> list[Domain]:
            return [replace(domain, x=domain.x * 4 - 2) for domain in super().domains()]

    with pytest.raises(ValueError, match=r"from 0 to 1, and those of grey 0 have -2 to 2: leave it out, or give bytes"):
        EXAMPLES([Wide()], augmentation=Added()).load()
    EXAMPLES([Wide()]).load()
