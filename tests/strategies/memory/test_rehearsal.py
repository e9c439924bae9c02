"""What strategies with a memory share."""

from __future__ import annotations

import pytest
import torch

from strategies import Replay
from strategies.memory.budget import Budget
from tests.strategies.memories import (
    LEARNER,
    RUNNER,
    at,
    every_policy,
    kept,
    memory_of,
    pool,
    stream_batch,
    visit,
)
from tests.toys import make_learner


@every_policy
@pytest.mark.parametrize("n_replay", [None, 3, 20])
def test_how_old_and_new_examples_count(policy: str, n_replay: int | None) -> None:
    replay, _ = kept(2, policy=policy, budget=Budget(examples=24), n_replay=n_replay)
    memory = memory_of(replay)
    memory.begin(LEARNER, visit(2, pool(torch.zeros(2, 4), [8, 9]), ways=[*range(12)]), runner=RUNNER)
    batch = stream_batch(torch.randn(8, 4), [8, 9] * 4, [*range(12)])
    losses = torch.rand(8 + (n_replay or 8))
    for weighting, share in (("experience", 2.0), (0.5, 0.5), ("equal", (n_replay or 8) / 8)):
        replay.weighting = weighting  # type: ignore[assignment]
        weight = replay.rehearse(LEARNER, batch, at(2, n=8), runner=RUNNER).weight
        found = (losses * weight).sum() / weight.sum()
        torch.testing.assert_close(found, (losses[:8].mean() + share * losses[8:].mean()) / (1 + share))
    replay.weighting = 0
    assert replay.rehearse(LEARNER, batch, at(2, n=8), runner=RUNNER) is batch


def test_weights_and_numbers_of_units_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="n_replay is 0"):
        Replay(n_replay=0)
    with pytest.raises(ValueError, match=r"weighting is -0.5"):
        Replay(weighting=-0.5)


def test_few_shot_learners_need_whole_classes() -> None:
    for settings in ({"policy": "reservoir"}, {"policy": "herding"}, {"budget": Budget(per_class=5)}):
        with pytest.raises(ValueError, match="keeps whole classes for few-shot tasks"):
            Replay(**settings).attach(make_learner())  # type: ignore[arg-type]
