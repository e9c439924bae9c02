import itertools
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.position import Position
from lifelong.learners import Classifier
from lifelong.learners.base import Learner
from lifelong.networks import MLP, WithHead
from lifelong.strategy import Strategy
from strategies import PackNet
from strategies.packnet import is_packed, largest
from tests.interrupted import fit_twice
from tests.toys import AtEnd, FewClasses, fit, make_classifier, module_of, same, toy_examples, weights

RUNNER = TaskRunner()

PACKED, BIAS, HEAD = "network.body.0.weight", "network.body.0.bias", "network.head.weight"
OPTIMIZERS = {
    "Adam": partial(torch.optim.Adam, lr=0.01),
    "momentum and decay": partial(torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.1),
    "AdamW": partial(torch.optim.AdamW, lr=0.05, weight_decay=0.5),
}


class History(Strategy):
    """Notes weights and owners before every step, and after every experience."""

    def __init__(self, packnet: PackNet) -> None:
        super().__init__()
        self.packnet = packnet
        self.steps: list[tuple[int, int, dict[str, Tensor], dict[str, Tensor]]] = []
        self.ends: list[tuple[dict[str, Tensor], dict[str, Tensor]]] = []

    def penalty(self, learner: Learner, step: Any, *, runner: Any) -> None:
        self.steps.append((step.position.experience, step.position.step, weights(learner), dict(self.packnet.owner)))

    def end(self, learner: Learner, visit: Any, *, runner: Any) -> None:
        self.ends.append((weights(learner), {n: o.clone() for n, o in self.packnet.owner.items()}))


def learnt(n: int = 3, optimizer: str = "Adam", **settings: Any) -> tuple[Learner, PackNet, History, np.ndarray]:
    packnet, learner = PackNet(**settings), make_classifier()
    history = History(packnet)
    module = module_of(learner, [packnet, history], OPTIMIZERS[optimizer])
    matrix = fit(module, toy_examples("task", n, steps_per_experience=9)).matrix()
    return learner, packnet, history, matrix


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("keep", [None, 0.5])
def test_nothing_is_forgotten_to_the_bit(optimizer: str, keep: float | None) -> None:
    answers: list[list[Tensor]] = []
    packnet, learner = PackNet(keep=keep), make_classifier()
    data = toy_examples("task", 3, steps_per_experience=9)

    def look() -> None:
        batches = [data.draw_for_evaluation("val", d, range(8)).gather(torch.device("cpu")) for d in range(3)]
        with torch.no_grad():
            params = learner.meta_parameters()
            answers.append([packnet.respond(learner, params, b, runner=RUNNER) for b in batches])  # type: ignore[misc]

    matrix = fit(module_of(learner, [packnet, AtEnd(look)], OPTIMIZERS[optimizer]), data).matrix()
    for domain in range(3):
        for row in range(domain, 3):
            assert np.array_equal(matrix[row, domain], matrix[domain, domain])
            assert torch.equal(answers[row][domain], answers[domain][domain])
    assert not torch.equal(answers[0][2], answers[2][2])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_owned_weights_never_change_in_any_step(optimizer: str) -> None:
    _, _, history, _ = learnt(3, optimizer)
    ends = history.ends
    assert len(history.steps) == 27
    for experience, _, now, _ in history.steps:
        for number in range(1, experience + 1):
            then, owner = ends[number - 1]
            for name, values in then.items():
                mine = owner[name] == number
                assert torch.equal(now[name][mine], values[mine])
    for first, second in itertools.pairwise(ends):
        assert all(torch.equal(second[1][n][o > 0], o[o > 0]) for n, o in first[1].items())
    moved = [not torch.equal(ends[e][0][PACKED], ends[e + 1][0][PACKED]) for e in range(2)]
    assert moved == [True, True]


def test_weights_that_may_not_move_have_no_gradient() -> None:
    learner, packnet, _, _ = learnt(2, keep=0.5)
    gradients = {name: torch.ones_like(p) for name, p in learner.named_parameters()} | {"other": torch.ones(2)}
    packnet.is_pruned = False  # as while an experience trains all that is free
    free = packnet.project(learner, gradients, Position(2), runner=RUNNER)
    packnet.is_pruned = True
    own = packnet.project(learner, gradients, Position(2), runner=RUNNER)
    for name, owner in packnet.owner.items():
        assert torch.equal(free[name], (owner == 0).float())
        assert torch.equal(own[name], (owner == 2).float())
    assert torch.equal(free["other"], torch.ones(2))
    assert 0 < free[PACKED].sum() < own[PACKED].numel()


def test_equal_shares_add_up() -> None:
    learner, packnet, history, _ = learnt(3)
    n_packed = learner.get_parameter(PACKED).numel()
    assert sum(packnet.shares()) == pytest.approx(1)
    assert [round(share * n_packed) for share in packnet.shares()] == [11, 10, 11]  # of 32
    for n_done, (now, owner) in enumerate(history.ends, start=1):
        assert int((owner[PACKED] == n_done).sum()) in (10, 11)
        assert (now[PACKED][owner[PACKED] == 0] == 0).all()
    assert packnet.owner[PACKED].unique().tolist() == [1, 2, 3]


def test_a_fixed_share_is_one_of_what_is_left() -> None:
    _, packnet, _, _ = learnt(3, keep=0.5)
    assert packnet.shares() == [0.5, 0.25, 0.125]


def test_the_largest_weights_are_kept_and_trained_on_alone() -> None:
    _, _, history, _ = learnt(2, keep=0.25, retrain=0.34)
    before, after = ((w, o) for e, s, w, o in history.steps if e == 0 and s in (5, 6))
    assert before[1] == {}
    kept = after[1][PACKED] == 1
    # Step 6 begins with the weights that step 5 led to: the eight largest of them are as they were.
    assert int(kept.sum()) == 8
    assert (after[0][PACKED][~kept] == 0).all()
    ended, _ = history.ends[0]
    assert torch.equal(ended[PACKED] != 0, kept)
    assert (ended[PACKED][kept] != after[0][PACKED][kept]).all()
    assert (ended[BIAS] != after[0][BIAS]).any()


def test_the_mask_of_the_largest_by_hand() -> None:
    value = torch.tensor([[1.0, -5.0, 3.0], [0.0, -2.0, 4.0]])
    among = torch.tensor([[True, True, False], [True, True, True]])
    assert largest(value, among, 3).tolist() == [[False, True, False], [False, True, True]]
    assert not largest(value, among, 0).any()


def test_biases_and_rows_of_the_head_have_their_owners() -> None:
    _, packnet, history, _ = learnt(3)
    assert (packnet.owner[BIAS] == 1).all()
    assert packnet.owner["network.head.bias"].tolist() == [1] * 4 + [2] * 4 + [3] * 4
    assert (packnet.owner[HEAD] == packnet.owner["network.head.bias"][:, None]).all()
    heads = [now[HEAD] for now, _ in history.ends]
    assert torch.equal(heads[0][:4], heads[2][:4])
    assert torch.equal(heads[1][4:8], heads[2][4:8])
    assert not torch.equal(heads[0][4:8], heads[1][4:8])
    assert (heads[0][4:] != 0).all()  # rows that wait for their classes are not pruned


def test_rows_of_a_mixed_batch_are_answered_each_by_its_own_mask() -> None:
    learner, packnet, _, _ = learnt(3)
    data, params = toy_examples("task", 3), learner.meta_parameters()
    apart = [data.draw_for_evaluation("val", d, range(4)).gather(torch.device("cpu")) for d in (2, 0, 1)]
    joined = Episode.cat(apart).take(torch.tensor([0, 4, 8, 5, 1, 9, 2, 6, 10, 3, 7, 11]))
    with torch.no_grad():
        answers = [packnet.respond(learner, params, batch, runner=RUNNER) for batch in apart]
        together = packnet.respond(learner, params, joined, runner=RUNNER)
        whole = RUNNER.outputs(learner, params, apart[1])
    assert together is not None
    expected = torch.cat(answers)[torch.tensor([0, 4, 8, 5, 1, 9, 2, 6, 10, 3, 7, 11])]  # type: ignore[arg-type]
    torch.testing.assert_close(together, expected)
    assert not torch.allclose(whole, answers[1])  # type: ignore[arg-type]
    # The first experience by hand: its weights and zeros.
    w = torch.where(packnet.owner[PACKED] == 1, params[PACKED], 0)
    hidden = (apart[1].query_x[:, 0] @ w.T + params[BIAS]).relu()
    by_hand = (hidden @ params[HEAD].T + params["network.head.bias"])[:, :4]
    torch.testing.assert_close(answers[1][:, 0], by_hand)  # type: ignore[index]


def test_with_everything_kept_by_one_experience_it_is_plain() -> None:
    (learner, _, _, _), plain = learnt(1), make_classifier()
    fit(plain, toy_examples("task", 1, steps_per_experience=9))
    assert same(weights(learner), weights(plain))


def test_experiences_without_a_free_weight_still_have_their_rows() -> None:
    _, packnet, history, matrix = learnt(3, keep=1.0)
    assert packnet.shares() == [1.0, 0.0, 0.0]
    assert all(torch.equal(now[PACKED], history.ends[0][0][PACKED]) for now, _ in history.ends)
    assert not torch.equal(history.ends[0][0][HEAD][8:], history.ends[2][0][HEAD][8:])
    assert np.array_equal(matrix[0, 0], matrix[2, 0])


@pytest.mark.parametrize("step", [3, 8, 11, 13, 17])
def test_resumed_in_the_middle_of_an_experience_it_is_the_same(tmp_path: Path, step: int) -> None:
    made: list[PackNet] = []

    def make() -> list[Strategy]:
        made.append(PackNet(retrain=0.5))
        return [made[-1]]

    data = partial(toy_examples, "task", 3, steps_per_experience=6)
    (whole, a), (parts, b) = fit_twice(make_classifier, data, make, tmp_path, step, optimizer=OPTIMIZERS["AdamW"])
    assert same(weights(whole), weights(parts))
    assert same(made[0].owner, made[1].owner)
    assert same(made[0].values, made[1].values)
    assert np.array_equal(a.matrix(), b.matrix())


def test_convolutions_are_packed_and_norms_are_not() -> None:
    packed = nn.Sequential(nn.Conv2d(1, 2, 3), nn.GroupNorm(1, 2), nn.Flatten())
    network = WithHead(packed, n_features=2 * 14 * 14, n_outputs=8)
    learner, packnet = Classifier(network), PackNet()
    data = toy_examples("task", 2)
    data.sources = [FewClasses(2, "image")]
    fit(learner, data, [packnet])
    names = [name for name, value in learner.meta_parameters().items() if is_packed(name, value)]
    assert names == ["network.body.0.weight"]
    assert packnet.shares() == [0.5, 0.5]
    assert (packnet.owner["network.body.1.weight"] == 1).all()


def test_memory_is_values_and_owners() -> None:
    learner, packnet, _, _ = learnt(2)
    n = sum(p.numel() for p in learner.network.parameters())
    assert packnet.memory_bytes() == n * (4 + 2) + 4 * 8


@pytest.mark.parametrize(
    ("network", "found"),
    [
        (nn.Linear(4, 12), "Linear has none: wrap it in lifelong.networks.WithHead"),
        (WithHead(nn.BatchNorm1d(4), n_features=4, n_outputs=12), "running statistics"),
    ],
)
def test_networks_that_cannot_be_packed_are_refused(network: nn.Module, found: str) -> None:
    with pytest.raises(ValueError, match=found):
        PackNet().attach(Classifier(network))


def test_settings_out_of_range_and_other_streams_are_refused() -> None:
    with pytest.raises(ValueError, match="keep is 0"):
        PackNet(keep=0)
    with pytest.raises(ValueError, match="retrain is 1"):
        PackNet(retrain=1.0)
    with pytest.raises(ValueError, match="made for streams of the kind task"):
        fit(Classifier(MLP(n_inputs=4, hidden=[8], n_outputs=12)), toy_examples("domain"), [PackNet()])
