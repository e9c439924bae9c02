import io
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode
from lifelong.data.position import Position
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.learners.base import Learner
from lifelong.strategy import Chain, Step, Strategy
from lifelong.training.stream_module import StreamModule
from strategies import (
    AGEM,
    DER,
    EASE,
    ERACE,
    EWC,
    GEM,
    MAS,
    OSF,
    SI,
    TUNA,
    AdapterBank,
    GDumb,
    ICaRL,
    LwF,
    PackNet,
    Replay,
    WeightAveraging,
)
from strategies.memory.budget import Budget
from tests.toys import (
    AtEnd,
    fit,
    make_classifier,
    make_learner,
    module_of,
    random_episode,
    same,
    toy_data,
    toy_examples,
    weights,
)

RUNNER = TaskRunner()

MAKERS: dict[str, Callable[[], Strategy]] = {
    "AGEM": lambda: AGEM(budget=Budget(examples=60)),
    "DER": lambda: DER(budget=Budget(examples=24)),
    "DER++": lambda: DER(beta=0.5, budget=Budget(examples=24)),
    "EASE": lambda: EASE(rank=1),
    "ERACE": lambda: ERACE(budget=Budget(examples=24)),
    "GDumb": lambda: GDumb(budget=Budget(examples=24), n_steps=3, batch_size=8),
    "GEM": lambda: GEM(budget=Budget(examples=60), n_reference=2),
    "AdapterBank": lambda: AdapterBank(n_signature_tasks=6, rank=1),
    "EWC": lambda: EWC(strength=10.0, n_fisher_tasks=6),
    "Replay": lambda: Replay(budget=Budget(examples=60)),
    "Replay, herding": lambda: Replay(budget=Budget(examples=24), policy="herding"),
    "Replay, reservoir": lambda: Replay(budget=Budget(examples=24), policy="reservoir"),
    "ICaRL": lambda: ICaRL(budget=Budget(per_class=4)),
    "LwF": lambda: LwF(),
    "MAS": lambda: MAS(strength=10.0, n_tasks=6),
    "OSF": lambda: OSF(),
    "PackNet": lambda: PackNet(),
    "SI": lambda: SI(strength=1000.0),
    "TUNA": lambda: TUNA(rank=1),
    "WeightAveraging": lambda: WeightAveraging(decay=0.9),
}
"""Every strategy, small: one row makes it obey all laws, on every kind of stream that it is made for."""

LEARNS_OTHERWISE_FROM_THE_START: set[str] = {"DER", "DER++", "GDumb"}
"""Those that are not plain fine-tuning in the first experience, by design."""
SAME_TRAINING: set[str] = {"WeightAveraging"}
"""Those that change what is answered and not what is learnt, by design."""
LOSSES: dict[str, Any] = {"ICaRL": "sigmoid"}
"""Those that need a classifier of another loss than softmax."""

Case = tuple[str, str]
CASES: list[Case] = [
    (name, kind)
    for name, make in MAKERS.items()
    for kind in sorted(make().streams)
    if not (kind == "few-shot" and name in {"Replay, herding", "Replay, reservoir"})
]
every = pytest.mark.parametrize(("name", "kind"), CASES)


def learnt_by(
    kind: str, strategies: list[Strategy], n: int = 1, name: str = "MAML", loss: Any = "softmax"
) -> StreamModule:
    """What a learner and strategies have learnt on a stream of a kind."""
    module = module_of(make_learner(name) if kind == "few-shot" else make_classifier(loss=loss), strategies)
    fit(module, toy_data(n) if kind == "few-shot" else toy_examples(kind, n))
    return module


def some_examples(kind: str) -> Episode:
    """Four examples of the second of two experiences."""
    data = toy_examples(kind, 2)
    return data.draw(data.stream.experiences[1], "train", range(4)).gather(torch.device("cpu"))


def learnt(
    strategies: list[Strategy], n: int = 1, name: str = "MAML", kind: str = "few-shot", loss: Any = "softmax"
) -> dict[str, Tensor]:
    return weights(learnt_by(kind, strategies, n, name, loss).learner)


@every
def test_first_experience_is_plain_fine_tuning(name: str, kind: str) -> None:
    about: Any = {"kind": kind, "loss": LOSSES.get(name, "softmax")}
    plain = same(learnt([MAKERS[name]()], **about), learnt([], **about))
    assert plain == (name not in LEARNS_OTHERWISE_FROM_THE_START)


@pytest.mark.parametrize("name", [name for name, kind in CASES if kind == "few-shot"])
def test_a_metric_learners_first_experience_is_plain(name: str) -> None:
    assert same(learnt([MAKERS[name]()], name="ProtoNet"), learnt([], name="ProtoNet"))


@every
def test_later_experiences_are_not(name: str, kind: str) -> None:
    about: Any = {"n": 2, "kind": kind, "loss": LOSSES.get(name, "softmax")}
    plain = same(learnt([MAKERS[name]()], **about), learnt([], **about))
    assert plain == (name in SAME_TRAINING)


OFF: dict[str, Callable[[], Strategy]] = {
    "AGEM": lambda: AGEM(budget=Budget(examples=0)),
    "DER": lambda: DER(budget=Budget(examples=0)),
    "EWC": lambda: EWC(strength=0),
    "GEM": lambda: GEM(budget=Budget(examples=0)),
    "LwF": lambda: LwF(weighting=0),
    "MAS": lambda: MAS(strength=0),
    "Replay": lambda: Replay(budget=Budget(examples=0)),
    "SI": lambda: SI(strength=0),
    "AtEnd": lambda: AtEnd(lambda: None),
}
"""Strategies that do nothing: of no strength, or without a memory."""


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, make in OFF.items() for kind in sorted(make().streams)]
)
def test_a_strategy_turned_off_is_plain_fine_tuning(name: str, kind: str) -> None:
    assert same(learnt([OFF[name]()], 3, kind=kind), learnt([], 3, kind=kind))


def test_the_empty_chain_is_neutral() -> None:
    chain, batch = Chain(), random_episode()
    gradients, params = {"a": torch.ones(1)}, {"a": torch.zeros(1)}
    learner = make_learner()
    assert chain.rehearse(learner, batch, Position(0), runner=RUNNER) is batch
    assert chain.project(learner, gradients, Position(0), runner=RUNNER) is gradients
    assert chain.route(learner, params, batch.support_x[0], batch.support_y[0]) is params
    assert chain.penalty(learner, Step(batch, params, None, torch.zeros(3), Position(0)), runner=RUNNER) is None
    assert chain.diagnose(learner, params, batch, 0, runner=RUNNER) == {}
    assert (chain.memory_bytes(), chain.names) == (0, [])


@every
def test_checkpoint_keeps_behaviour_and_memory(name: str, kind: str) -> None:
    make, loss = MAKERS[name], LOSSES.get(name, "softmax")
    trained = learnt_by(kind, [make()], 2, loss=loss)
    file = io.BytesIO()
    torch.save(trained.state_dict(), file)
    file.seek(0)
    other = module_of(make_learner() if kind == "few-shot" else make_classifier(loss=loss), [make()])
    other.learner.prepare(trained.learner.n_classes)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert other.strategies.memory_bytes() == trained.strategies.memory_bytes() > 0
    batch = random_episode(n_tasks=4) if kind == "few-shot" else some_examples(kind)
    position, results = Position(2, step=3, seed=1, n_tasks=4), []
    for module in (trained, other):
        learner, strategies, runner = module.learner, module.strategies, module.runner
        module.train()
        params = {n: p + 0.1 for n, p in learner.meta_parameters().items()}
        rehearsed = strategies.rehearse(learner, batch, position, runner=runner)
        step = Step(batch, params, runner.outputs(learner, params, batch), torch.zeros(4), position)
        penalty = strategies.penalty(learner, step, runner=runner)
        module.eval()
        with torch.no_grad():
            losses = runner.losses(learner, learner.meta_parameters(), rehearsed)
            response = strategies.respond(learner, params, batch, runner=runner)
        results.append((rehearsed.tasks(), rehearsed.weight, penalty, losses, response))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=0)


def test_order_of_compatible_strategies_does_not_matter() -> None:
    replay, ewc = MAKERS["Replay"], MAKERS["EWC"]
    one, two = learnt([replay(), ewc()], 3), learnt([ewc(), replay()], 3)
    torch.testing.assert_close(one, two)
    for alone in (replay, ewc):
        assert not same(one, learnt([alone()], 3))


def pairs() -> list[tuple[str, str, str]]:
    """Strategies that can be combined, on few-shot tasks and on labelled examples, as far as they are made for them."""
    found = []
    for a, b in itertools.combinations(MAKERS, 2):
        try:
            Chain([MAKERS[a](), MAKERS[b]()])
        except ValueError:
            continue  # what clashes is tested by name
        both = [kind for kind in ("few-shot", "task", "class") if (a, kind) in CASES and (b, kind) in CASES]
        examples = [kind for kind in both if kind != "few-shot"][:1]  # one scenario is enough, and takes half the time
        found += [(a, b, kind) for kind in both if kind in ("few-shot", *examples)]
    return found


def learnt_with(names: tuple[str, str], kind: str) -> dict[str, Tensor]:
    """What two strategies in this order leave of a short stream."""
    if kind == "few-shot":
        learner: Learner = make_learner("ProtoNet")
        data: StreamDataModule = toy_data(2, steps_per_experience=3, n_eval_tasks=1)
    else:
        learner = make_classifier(loss=LOSSES["ICaRL"] if "ICaRL" in names else "softmax")
        data = toy_examples(kind, 2, steps_per_experience=3, n_eval_examples=2)
    fit(learner, data, [MAKERS[name]() for name in names])
    return weights(learner)


@pytest.mark.parametrize(("a", "b", "kind"), pairs())
def test_the_order_of_a_pair_does_not_matter(a: str, b: str, kind: str) -> None:
    torch.testing.assert_close(learnt_with((a, b), kind), learnt_with((b, a), kind), rtol=0, atol=1e-4)


CLASHES = [
    ("GDumb", "Replay"),
    ("GDumb", "AGEM"),
    ("ICaRL", "AdapterBank"),
    ("ICaRL", "WeightAveraging"),
    ("AGEM", "GEM"),
    ("DER", "AdapterBank"),
    ("Replay", "AdapterBank"),
    ("EWC", "AdapterBank"),
    ("LwF", "AdapterBank"),
    ("MAS", "AdapterBank"),
    ("OSF", "AdapterBank"),
    ("OSF", "GEM"),
    ("SI", "AdapterBank"),
    ("WeightAveraging", "AdapterBank"),
    ("EASE", "AdapterBank"),
    ("EASE", "Replay"),
    ("TUNA", "EASE"),
    ("EWC", "PackNet"),
    ("AdapterBank", "PackNet"),
    ("WeightAveraging", "PackNet"),
]


@pytest.mark.parametrize(("a", "b"), CLASHES + [(b, a) for a, b in CLASHES])
def test_incompatible_strategies_are_named(a: str, b: str) -> None:
    pair = [MAKERS[a](), MAKERS[b]()]
    with pytest.raises(ValueError, match="cannot be combined") as raised:
        Chain(pair)
    assert all(type(s).__name__ in str(raised.value) for s in pair)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_the_same_strategy_twice_is_refused(make: Callable[[], Strategy]) -> None:
    with pytest.raises(ValueError, match=f"{type(make()).__name__} is given twice"):
        Chain([make(), make()])
