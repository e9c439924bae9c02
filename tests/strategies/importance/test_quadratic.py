import io

import torch
from torch import Tensor

from strategies.importance.quadratic import Quadratic

Parts = list[tuple[dict[str, Tensor], dict[str, Tensor]]]


def parts(n: int = 3) -> Parts:
    rng = torch.Generator().manual_seed(0)

    def draw(shape: tuple[int, ...]) -> Tensor:
        return torch.rand(shape, dtype=torch.float64, generator=rng)

    found: Parts = [({"a": draw((4,)), "b": draw((2, 3))}, {"a": draw((4,)), "b": draw((2, 3))}) for _ in range(n)]
    for importance, _ in found:
        importance["a"][0] = 0.0
    return found


def explicit(summed: Parts, theta: dict[str, Tensor]) -> Tensor:
    return torch.stack([(i[k] * (theta[k] - a[k]) ** 2).sum() for i, a in summed for k in i]).sum()


def somewhere(seed: int = 1) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return {k: torch.randn(v.shape, dtype=v.dtype, generator=rng) for k, v in parts(1)[0][0].items()}


def test_the_sum_of_quadratics_is_kept_as_one() -> None:
    quadratic, given = Quadratic(), parts()
    assert not quadratic
    for importance, anchor in given:
        quadratic.add(importance, anchor)
        assert quadratic
    for seed in range(3):
        torch.testing.assert_close(quadratic.value(somewhere(seed)), explicit(given, somewhere(seed)))
    torch.testing.assert_close(given, parts(), rtol=0, atol=0)


def test_its_value_pulls_with_the_gradient_of_the_formula() -> None:
    quadratic, given, theta = Quadratic(), parts(), somewhere()
    for importance, anchor in given:
        quadratic.add(importance, anchor)
    for p in theta.values():
        p.requires_grad_()
    other = sum(p.sin().sum() for p in theta.values())  # its gradient and ours meet in the same parameters
    (3 * quadratic.value(theta) + other).backward()
    expected = torch.autograd.grad(3 * explicit(given, theta), list(theta.values()))
    for p, gradient in zip(theta.values(), expected, strict=True):
        torch.testing.assert_close(p.grad, gradient + p.detach().cos())


def test_where_nothing_is_important_the_newest_anchor_is_kept() -> None:
    quadratic = Quadratic()
    for anchor in (1.0, 5.0):
        quadratic.add({"w": torch.zeros(1)}, {"w": torch.tensor([anchor])})
    assert quadratic.anchor["w"].item() == 5.0
    assert quadratic.value({"w": torch.tensor([7.0])}).item() == 0.0


def test_renew_takes_the_new_anchor_and_decays_importance() -> None:
    quadratic, given = Quadratic(), parts()
    for importance, anchor in given:
        quadratic.renew(importance, anchor, 0.5)
    weighted = [
        ({k: 0.5 ** (2 - e) * i for k, i in importance.items()}, given[2][1]) for e, (importance, _) in enumerate(given)
    ]
    torch.testing.assert_close(quadratic.value(somewhere()), explicit(weighted, somewhere()))


def test_its_gradient_is_that_of_its_value() -> None:
    quadratic = Quadratic()
    assert quadratic.gradient(somewhere()) == {}
    for importance, anchor in parts():
        quadratic.add(importance, anchor)
    theta = {k: v.requires_grad_() for k, v in somewhere().items()}
    expected = torch.autograd.grad(quadratic.value(theta), list(theta.values()))
    torch.testing.assert_close(quadratic.gradient(theta), dict(zip(theta, expected, strict=True)))
    assert not any(g.requires_grad for g in quadratic.gradient(theta).values())


def test_a_checkpoint_holds_all_of_it() -> None:
    quadratic, other, file = Quadratic(), Quadratic(), io.BytesIO()
    for importance, anchor in parts():
        quadratic.add(importance, anchor)
    state = quadratic.state()
    torch.save(state, file)
    file.seek(0)
    other.load(torch.load(file, weights_only=True))
    expected = quadratic.value(somewhere())
    assert torch.equal(other.value(somewhere()), expected)
    for importance, anchor in parts():
        quadratic.add(importance, anchor)
    other.load(state)
    assert torch.equal(other.value(somewhere()), expected), "what was saved changed afterwards"
