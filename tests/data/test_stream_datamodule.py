"""What every stream of data does: it loads once, draws by a seed, and evaluates what was held out."""

from __future__ import annotations

from typing import Any

import lightning as L
import pytest
import torch

from datamodules import Permuted
from datamodules.episodic import EpisodicDataModule
from lifelong.data.domain import Domain
from lifelong.data.stream_data import positive
from lifelong.data.stream_datamodule import stream_data
from tests.datamodules.drawn import CPU, inputs, loader
from tests.datamodules.numbered import examples, steps
from tests.toys import Toy, fit, make_learner, toy_data


class Counted(Toy):
    """Counts how often it is loaded."""

    loads = 0

    def domains(self) -> list[Domain]:
        self.loads += 1
        return super().domains()


def counted(*sources: Counted, **settings: Any) -> EpisodicDataModule:
    few: dict[str, Any] = {"n_way": 3, "n_shot": 2, "n_query": 2, "split": (3, 3), "n_eval_tasks": 4}
    return EpisodicDataModule(list(sources), **(few | settings))


def test_the_stream_is_loaded_once_whatever_asks() -> None:
    first, second, unseen = Counted(2), Counted(1), Counted(2)
    data = counted(first, second, unseen=[unseen])
    assert first.loads == 0
    data.prepare_data()
    assert data.load() is data.stream
    assert data.origins == [(first, 0), (first, 1), (second, 0), (unseen, 0), (unseen, 1)]
    assert len(data.stream.domains) == 5
    assert data.stream.n_unseen == 2
    assert [source.loads for source in (first, second, unseen)] == [1, 1, 1]


def test_another_seed_is_the_module_made_with_it() -> None:
    source = Counted(2)
    data = counted(source)
    before = torch.cat(inputs(loader(data)))
    data.reseed(7)
    after = torch.cat(inputs(loader(data)))
    assert not torch.equal(before, after)
    assert torch.equal(after, torch.cat(inputs(loader(counted(Counted(2), seed=7)))))
    assert source.loads == 1  # it does not follow the run's seed


@pytest.mark.parametrize("settings", [{}, {"classes": "all", "fade": 0.5}])
def test_another_seed_orders_examples_anew(settings: dict[str, Any]) -> None:
    data = examples(**settings)
    steps(data, 1)
    data.reseed(3)
    fresh = examples(seed=3, **settings)
    assert all(torch.equal(a.query_x, b.query_x) for a, b in zip(steps(data, 1), steps(fresh, 1), strict=True))


def test_a_source_that_follows_the_seed_is_loaded_anew() -> None:
    source = Permuted(Counted(1, kind="image"), seed=None)
    data = counted(source)  # type: ignore[arg-type]
    first = data.stream
    data.reseed(0)  # the seed that it has
    assert data.stream is first
    data.reseed(1)
    assert not torch.equal(data.stream.test[0].x, first.test[0].x)
    assert torch.equal(data.stream.test[0].x, Permuted(Toy(1, kind="image"), seed=1).domains()[0].x)
    assert data.stream.fingerprint == first.fingerprint
    assert source.seed is None
    assert data.origins == [(source, 0)]


def test_an_empty_part_is_refused_where_it_is_evaluated() -> None:
    data = toy_data(split=(3, 0))
    assert fit(make_learner(), data).matrix().shape == (2, 2, 8)
    assert data.n_eval_units("test", 0) == 0
    message = r"^the test part of domain 0 is empty, .*\(--data.split is \[3, 0\].*`validate` --data.evaluate_on val\)$"
    for loaders in (data.test_dataloader, data.predict_dataloader):
        with pytest.raises(ValueError, match=message):
            loaders()
    with pytest.raises(ValueError, match=r"^the val part .*, or evaluate the test part \(--data.evaluate_on test\)$"):
        toy_data(split=(0, 3)).val_dataloader()
    with pytest.raises(ValueError, match=r"^the val part .* for val and test\)$"):
        toy_data(split=(0, 0)).val_dataloader()


def test_a_trainer_names_what_it_has_in_place_of_a_stream() -> None:
    trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, barebones=True)
    with pytest.raises(ValueError, match="the Trainer was given no DataModule"):
        stream_data(trainer)
    trainer.datamodule = L.LightningDataModule()  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"given LightningDataModule, .*trainer.fit\(module, datamodule=data\)$"):
        stream_data(trainer)


def test_numbers_must_be_at_least_one() -> None:
    assert positive("n_way", 1) == 1
    with pytest.raises(ValueError, match=r"^--data.n_way is 0: it must be a whole number, at least 1$"):
        positive("n_way", 0)


def test_batches_share_fresh_tasks_with_their_indices(monkeypatch: pytest.MonkeyPatch) -> None:
    data = toy_data()
    experience = data.stream.experiences[1]
    whole = list(data.batches(experience, "fisher", 10, CPU))
    assert [i for indices, _ in whole for i in indices] == list(range(10))
    assert max(len(batch) for _, batch in whole) <= 4
    monkeypatch.setattr(EpisodicDataModule, "rank", (1, 3))
    mine = list(data.batches(experience, "fisher", 10, CPU))
    assert [i for indices, _ in mine for i in indices] == [1, 4, 7]
    everything = torch.cat([batch.support_x for _, batch in whole])
    assert torch.equal(torch.cat([batch.support_x for _, batch in mine]), everything[[1, 4, 7]])
