"""CODA-Prompt: the weighted sum and the orthogonality term by loops, and what is trained when."""

from __future__ import annotations

import pytest
import torch

from lifelong.networks import CODAPrompt
from lifelong.networks.prompts.coda_prompt import PARTS

QUERIES = torch.randn(3, 20, generator=torch.Generator().manual_seed(1))


def coda(experience: int = 0, **settings: float) -> CODAPrompt:
    prompts = CODAPrompt(n_experiences=3, n_components=7, length=4, layers=[0, 2], **settings)  # type: ignore[arg-type]
    prompts.build(n_features=20, n_layers=3)
    for number in range(experience + 1):
        prompts.begin(number)
    return prompts


@pytest.mark.parametrize("experience", [0, 2])
def test_the_prompt_is_the_weighted_sum_of_components(experience: int) -> None:
    prompts = coda(experience)
    given = prompts(QUERIES).prefixes
    assert sorted(given) == [0, 2]
    for place, layer in enumerate((0, 2)):
        for n, query in enumerate(QUERIES):
            total = torch.zeros(4, 20)
            for number in range(experience + 1):
                for m in range(2):  # 7 components over 3 experiences
                    p, k, a = (getattr(prompts, name)[number][place, m] for name in PARTS)
                    weight = (query * a) @ k / ((query * a).norm() * k.norm())
                    total += weight * p
            torch.testing.assert_close(given[layer][0][n], total[:2])
            torch.testing.assert_close(given[layer][1][n], total[2:])


def test_the_penalty_is_the_distance_of_gram_matrices_to_one() -> None:
    prompts = coda(1, orthogonality=0.3)
    with torch.no_grad():
        for p in prompts.parameters():
            p.add_(0.1 * torch.randn_like(p))
    expected = 0.0
    for name in PARTS:
        for layer in range(2):
            rows = torch.cat([getattr(prompts, name)[number][layer].detach().flatten(1) for number in (0, 1)])
            for i in range(4):
                for j in range(4):
                    expected += 0.3 * float((rows[i] @ rows[j] - float(i == j)) ** 2)
    assert prompts.penalty(QUERIES).tolist() == pytest.approx([expected] * 3, rel=1e-5)


def test_at_the_start_the_penalty_is_zero() -> None:
    assert coda(0).penalty(QUERIES).tolist() == pytest.approx([0, 0, 0], abs=1e-9)
    assert coda(0, orthogonality=0.0).has_penalty is False


def test_new_components_begin_orthogonal_to_learnt_ones() -> None:
    prompts = coda(0)
    with torch.no_grad():
        for p in prompts.parameters():
            p.add_(torch.randn_like(p))
    for experience in (1, 2):
        prompts.begin(experience)
        for name in PARTS:
            parts = getattr(prompts, name)
            for layer in range(2):
                old = torch.cat([parts[number][layer].flatten(1) for number in range(experience)])
                new = parts[experience][layer].flatten(1)
                assert (new @ old.T).abs().max() < 1e-5
                torch.testing.assert_close(new @ new.T, torch.eye(2))


def test_only_the_newest_components_learn() -> None:
    prompts = coda(1)
    values = torch.stack([part.square().sum() for pair in prompts(QUERIES).prefixes.values() for part in pair])
    (values.sum() + prompts.penalty(QUERIES).sum()).backward()
    moved = [name for name, p in prompts.named_parameters() if p.grad is not None]
    assert moved == ["components.1", "keys.1", "attention.1"]
    assert set(prompts.frozen()) == {f"{name}.{number}" for name in PARTS for number in (0, 2)}


def test_the_weights_do_not_depend_on_the_querys_length() -> None:
    prompts = coda(1)
    for a, b in zip(prompts(QUERIES).prefixes[0], prompts(7 * QUERIES).prefixes[0], strict=True):
        torch.testing.assert_close(a, b)


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match=r"length is 5, of which half are keys and half values: make it even"):
        CODAPrompt(n_experiences=1, length=5)
    with pytest.raises(ValueError, match=r"n_components is 2, which gives none to some of 3 experiences"):
        CODAPrompt(n_experiences=3, n_components=2)
    with pytest.raises(ValueError, match=r"has prompts for 3 experiences, and another one begins: .* 4 or more"):
        coda(2).begin(3)
    with pytest.raises(ValueError, match=r"layers is \[0, 2\], but the model has 2 layers"):
        CODAPrompt(n_experiences=1, n_components=1, layers=[0, 2]).build(4, 2)
