"""DualPrompt: whose prompt is taken, where it goes, and which key is pulled."""

from __future__ import annotations

import pytest
import torch

from lifelong.networks import DualPrompt

QUERIES = torch.tensor([[4.0, 3.0], [-5.0, -12.0]])


def dual() -> DualPrompt:
    prompts = DualPrompt(
        n_experiences=3, general_length=1, expert_length=2, general_layers=[0], expert_layers=[1, 3], pull=2.0
    )
    prompts.build(n_features=2, n_layers=4)
    with torch.no_grad():
        for key, value in zip(prompts.keys, ([1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]), strict=True):
            key.copy_(torch.tensor(value))
    return prompts


def test_in_training_the_experience_at_hand_is_taken() -> None:
    prompts = dual()
    prompts.begin(1)
    given = prompts(QUERIES).prefixes
    assert sorted(given) == [0, 1, 3]
    for place, layer in enumerate((1, 3)):
        for half in range(2):
            for row in given[layer][half]:
                assert torch.equal(row, prompts.experts[1][place, half])
    assert all(torch.equal(row, prompts.general[0, 1]) for row in given[0][1])


def test_in_evaluation_the_nearest_key_of_learnt_ones_is_taken() -> None:
    prompts = dual().eval()
    for experience, nearest in ((0, [0, 0]), (1, [0, 0]), (2, [0, 2])):
        prompts.begin(experience)
        assert prompts.match(QUERIES).tolist() == nearest
        keys = prompts(QUERIES).prefixes[3][0]
        assert torch.equal(keys, torch.stack([prompts.experts[number][1, 0] for number in nearest]))


def test_the_penalty_pulls_the_key_of_the_experience() -> None:
    prompts = dual()
    prompts.begin(1)
    assert prompts.penalty(QUERIES).tolist() == pytest.approx([2 * (1 - 0.6), 2 * (1 + 12 / 13)])
    prompts.penalty(QUERIES).sum().backward()
    assert [key.grad is not None for key in prompts.keys] == [False, True, False]


def test_what_belongs_to_other_experiences_is_frozen() -> None:
    prompts = dual()
    prompts.begin(1)
    assert prompts.frozen() == ["experts.0", "experts.2", "keys.0", "keys.2"]
    sum(part.sum() for pair in prompts(QUERIES).prefixes.values() for part in pair).backward()  # type: ignore[union-attr]
    moved = [name for name, p in prompts.named_parameters() if p.grad is not None]
    assert moved == ["general", "experts.1"]


def test_nobody_telling_that_an_experience_begins_is_refused() -> None:
    with pytest.raises(ValueError, match=r"add strategies.PromptPool to --strategies"):
        dual()(QUERIES)
    with torch.no_grad():
        assert 3 in dual()(QUERIES).prefixes


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"layer 1 has general and expert prompts"):
        DualPrompt(n_experiences=1, general_layers=[0, 1], expert_layers=[1])
    with pytest.raises(ValueError, match=r"expert_layers is \[2, 3, 4\], but the model has 4 layers, numbered from 0"):
        DualPrompt(n_experiences=1).build(2, 4)
    with pytest.raises(ValueError, match=r"has prompts for 3 experiences, and another one begins: .* 4 or more"):
        dual().begin(3)
