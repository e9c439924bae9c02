import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.compute.runner import TaskRunner
from lifelong.data.position import Visit
from lifelong.learners import R2D2, NoAdaptation, ProtoNet
from lifelong.learners.base import Learner
from lifelong.networks import WithHead
from lifelong.strategy import Chain
from strategies import AdapterBank
from strategies.adapters.entry import add_entry
from strategies.adapters.signatures import describe, signature_of
from tests.toys import AtEnd, fit, make_learner, module_of, random_episode, same, toy_data, weights

RUNNER = TaskRunner()


def bank(**settings: object) -> AdapterBank:
    return AdapterBank(**({"n_signature_tasks": 8, "rank": 1} | settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["vector", "image"])
def test_a_zero_entry_is_the_trunk(kind: str) -> None:
    learner, adapters = make_learner("MAML", kind), bank()
    adapters.attach(learner)
    params = learner.meta_parameters()
    changed = add_entry(params, dict(adapters.current.items()))
    assert adapters.current
    assert all(torch.equal(changed[name], p) for name, p in params.items())


@pytest.mark.parametrize("stride", [1, 2])
def test_the_centre_of_a_kernel_is_a_parallel_convolution(stride: int) -> None:
    learner, adapters = Learner.__new__(Learner), bank()
    conv = nn.Conv2d(3, 5, 3, stride=stride, padding=1)
    learner = make_learner()
    learner.network = conv
    adapters.attach(learner)
    centre, bias = torch.randn(5, 3), torch.randn(5)
    params = add_entry(learner.meta_parameters(), {"weight-centre": centre, "bias-full": bias})
    assert set(adapters.current) == {"weight-centre", "bias-full"}
    x = torch.randn(2, 3, 9, 9)
    expected = conv(x) + F.conv2d(x, centre[..., None, None], bias, stride=stride)
    torch.testing.assert_close(learner.apply_network(params, x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "kind"), [("MAML", "vector"), ("ProtoNet", "vector"), ("ProtoNet", "image")])
def test_trunk_and_old_entries_never_move_again(name: str, kind: str) -> None:
    learner, adapters = make_learner(name, kind), bank()
    trunks, entries = [], []

    def look() -> None:
        trunks.append(weights(learner))
        entries.append([{k: v.clone() for k, v in e.items()} for e in adapters.entries])

    steps = 4 if kind == "vector" else 2
    fit(learner, toy_data(3, kind, steps_per_experience=steps, n_eval_tasks=4), [adapters, AtEnd(look)])
    assert same(trunks[0], trunks[1])
    assert same(trunks[0], trunks[2])
    assert [len(e) for e in entries] == [1, 2, 3]
    assert same(entries[0][0], entries[2][0])
    assert same(entries[1][1], entries[2][1])
    assert not same(entries[2][1], entries[2][2])
    assert any(v.abs().max() > 0 for k, v in entries[2][1].items() if not k.endswith("down"))
    assert all(v.abs().max() == 0 for k, v in entries[0][0].items() if not k.endswith("down"))


@pytest.mark.parametrize("mapping", ["vmap", "loop"])
def test_distinct_domains_are_routed_to_their_entries(mapping: str) -> None:
    module = module_of(make_learner("MAML"), [bank()], plan=mapping)  # type: ignore[arg-type]
    evaluator = fit(module, toy_data(3, shift=10.0))
    routed = evaluator.matrix("AdapterBank/routing_accuracy")
    oracle = evaluator.matrix("AdapterBank/score_with_right_entry")
    assert (routed[-1] == 1).all()
    assert (oracle[-1] == evaluator.matrix()[-1]).all()
    for row in range(3):
        assert torch.from_numpy(routed[row, row + 1 :]).isnan().all()
        assert torch.from_numpy(oracle[row, : row + 1]).isfinite().all()


@pytest.mark.parametrize("router", ["signature", "support_loss"])
@pytest.mark.parametrize("temperature", [0.0, 1e3])
def test_weights_sum_to_one_under_vmap_and_loop(router: str, temperature: float) -> None:
    learner, adapters = make_learner(), bank(router=router, temperature=temperature)
    fit(learner, toy_data(2), [adapters])
    learner.eval()
    batch, found = random_episode(), []
    for mapping in ("vmap", "loop"):
        runner = Chain([adapters]).bind(learner, TaskRunner(plan=mapping))  # type: ignore[arg-type]
        with torch.no_grad():
            params = learner.meta_parameters()
            w = runner.map(lambda t: adapters.weigh(learner, params, t.support_x, t.support_y), learner, batch)  # noqa: B023
            found.append((w, runner.losses(learner, params, batch)))
        torch.testing.assert_close(w.sum(-1), torch.ones(3))
        assert ((w > 0).all() if temperature else ((w == 0) | (w == 1)).all()).item()
    torch.testing.assert_close(found[0], found[1])


def test_a_new_entry_starts_at_zero_or_at_the_nearest() -> None:
    for start in ("zero", "nearest"):
        learner, adapters, seen = make_learner(), bank(start=start), []

        class Watch(AtEnd):
            def begin(self, learner: object, visit: object, *, runner: object) -> None:
                seen.append({k: p.detach().clone() for k, p in adapters.current.items()})  # noqa: B023

        fit(learner, toy_data(3, shift=10.0), [adapters, Watch(lambda: None)])
        if start == "nearest":
            assert same(seen[2], adapters.entries[1])
        else:
            assert all(v.abs().max() == 0 for k, v in seen[2].items() if not k.endswith("down"))


def test_running_statistics_are_refused() -> None:
    learner = make_learner("ProtoNet", "image", norm="running")
    with pytest.raises(ValueError, match=r"running statistics .*--model.network.norm batch, group, layer or instance"):
        bank().attach(learner)


def test_signatures_are_those_of_evaluation() -> None:
    adapters, found = bank(), []

    class Look(AtEnd):
        def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:  # type: ignore[override]
            for training in (True, False):
                learner.network.train(training)
                found.append(describe(learner, visit, runner, 8))
                assert learner.network.training is training
            learner.network.train()

    fit(ProtoNet(nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5))), toy_data(1), [adapters, Look(lambda: None)])
    assert same(found[0], found[1])


def test_a_learners_own_parameter_is_not_adapted() -> None:
    class Scaled(nn.Linear):
        def __init__(self) -> None:
            super().__init__(4, 8)
            self.scale = nn.Parameter(torch.ones(8))

    learner, adapters = R2D2(Scaled()), bank()
    adapters.attach(learner)
    params = learner.meta_parameters()
    changed = add_entry(params, {key: p + 1 for key, p in adapters.current.items()})
    different = {
        name for name in params if changed[name].shape != params[name].shape or (changed[name] != params[name]).any()
    }
    assert different == {"network.scale", "network.bias"}


def test_signatures_do_not_move_with_the_centre_of_simple_shot() -> None:
    learner, x = make_learner("SimpleShot"), random_episode().support_x[0]
    before = signature_of(learner, learner.meta_parameters(), x)
    learner.centre += 1.0  # type: ignore[operator]
    torch.testing.assert_close(signature_of(learner, learner.meta_parameters(), x), before, rtol=0, atol=0)


def test_simple_shot_is_routed_right_while_its_centre_moves() -> None:
    evaluator = fit(make_learner("SimpleShot"), toy_data(2, shift=10.0), [bank()])
    assert (evaluator.matrix("AdapterBank/routing_accuracy")[-1] == 1).all()


class WithAdapters(nn.Module):
    """A network that says which of its parameters adapt it to a domain."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.side, self.head = nn.Linear(4, 8), nn.Linear(4, 8, bias=False), nn.Linear(8, 3)
        self.body.requires_grad_(False)
        self.adapter_names = ["side.weight", "head.weight", "head.bias"]

    def forward(self, x: Tensor) -> Tensor:
        return self.head((self.body(x) + self.side(x)).relu())  # type: ignore[no-any-return]


def test_a_networks_own_adapters_are_the_entries() -> None:
    torch.manual_seed(0)
    learner, bank = NoAdaptation(WithAdapters()), AdapterBank()
    before = {name: p.clone() for name, p in learner.network.named_parameters()}
    trunks: list[dict[str, Tensor]] = []
    keep = AtEnd(lambda: trunks.append({n: p.detach().clone() for n, p in learner.network.named_parameters()}))
    fit(learner, toy_data(), [bank, keep])
    assert set(bank.entries[0]) == {"side-weight-full", "head-weight-full", "head-bias-full"}
    assert all(not value.any() for value in bank.entries[0].values())
    assert all(value.any() for value in bank.entries[1].values())
    assert torch.equal(trunks[1]["body.weight"], before["body.weight"])
    assert not torch.equal(trunks[0]["side.weight"], before["side.weight"])
    for name, trunk in trunks[1].items():
        assert torch.equal(trunk, trunks[0][name])


def test_texts_are_routed_by_their_embedding_alone() -> None:
    learner = NoAdaptation(WithHead(nn.EmbeddingBag(20, 4), n_features=4, n_outputs=3))
    bank, tokens = AdapterBank(), torch.randint(20, (6, 5))
    bank.attach(learner)
    blocks = signature_of(learner, learner.meta_parameters(), tokens)
    assert [len(block) for block in blocks] == [4, 4]


def test_a_bank_is_saved_as_one_tensor_for_each_key() -> None:
    bank, again = AdapterBank(), AdapterBank()
    bank.entries = [{"a-full": torch.full((2,), float(i))} for i in range(3)]
    bank.signatures.replace([{"mean": torch.full((4,), float(i))} for i in range(3)])
    again.set_extra_state(bank.get_extra_state())
    assert [e["a-full"].tolist() for e in again.entries] == [[float(i)] * 2 for i in range(3)]
    assert [s["mean"].tolist() for s in again.signatures.of_experiences] == [[float(i)] * 4 for i in range(3)]
    assert all(isinstance(value, torch.Tensor) for value in bank.get_extra_state()["entries"].values())


def test_it_says_which_entry_answers_a_task() -> None:
    module = module_of(make_learner("ProtoNet"), [bank()])
    data = toy_data(3, shift=10.0)
    runner, params = module.runner, module.learner.meta_parameters()
    batch = data.draw_for_evaluation("test", 0, range(4)).gather(torch.device("cpu"))
    assert module.strategies.answered_by(module.learner, params, batch, runner=runner) is None  # no entry yet
    evaluator = fit(module, data)
    module.eval()
    right = []
    for domain in range(3):
        batch = data.draw_for_evaluation("val", domain, range(8)).gather(torch.device("cpu"))
        chosen = module.strategies.answered_by(module.learner, params, batch, runner=module.runner)
        assert chosen is not None
        right.append((chosen == domain).double().mean().item())
    measured = evaluator.matrix("AdapterBank/routing_accuracy")[-1]
    assert right == [float(torch.as_tensor(row).mean()) for row in measured] == [1, 1, 1]
    assert Chain([]).answered_by(module.learner, params, batch, runner=runner) is None
