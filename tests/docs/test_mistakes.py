"""The messages that the pages on own plug-ins show are those that people get."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lifelong
from lifelong.data.domain import Domain
from lifelong.evaluation.results import Results
from lifelong.learners import ANIL, MAML
from lifelong.networks import MLP, Conv4, ResNet12
from lifelong.run.compare import find_metrics
from lifelong.strategy import Chain, Strategy
from strategies import AGEM, EWC, GEM, PackNet
from tests.toy_runs import make_run, two_rows
from tests.toys import Toy, fit, make_classifier, make_learner, toy_data, toy_examples

EXTEND = Path(__file__).parents[2] / "docs" / "extend"


class Anchor(Strategy):
    """Stands for a person's own."""


class Blobs(Toy):
    """A source with a mistake in its first domain."""

    def __init__(self, **changes: Any) -> None:
        super().__init__()
        self.changes = changes

    def domains(self) -> list[Domain]:
        first, second = super().domains()
        changes = {name: change(first) if callable(change) else change for name, change in self.changes.items()}
        return [replace(first, name="blobs 0", **changes), replace(second, name="blobs 1")]


def learn_blobs(**changes: Any) -> None:
    data = toy_data(1)
    data.sources = [Blobs(**changes)]
    fit(make_learner("ProtoNet"), data)


def with_nan(domain: Domain) -> torch.Tensor:
    x = domain.x.clone()
    x[1, 1] = torch.nan
    return x


def compare(metric: Callable[[Results], Any], name: str = "worst") -> None:
    scores = two_rows([[0, 1, 1, 1], [1, 1, 0, 1]])
    runs = {label: make_run(*scores, name=label).results for label in ("none", "anchor")}
    lifelong.compare(runs, metrics={name: metric})


def combine_gem_and_agem() -> None:
    pytest.importorskip("scipy", reason="GEM needs the extra gem")
    Chain([AGEM(), GEM()])


MISTAKES: dict[str, tuple[str, Callable[[], Any]]] = {
    "twice": ("strategy", lambda: Chain([Anchor(), Anchor()])),
    "two that project": ("strategy", combine_gem_and_agem),
    "another stream": ("strategy", lambda: fit(make_learner("ProtoNet"), toy_data(), [PackNet()])),
    "boundaries": ("strategy", lambda: fit(make_classifier(), toy_examples("domain", fade=0.5), [EWC()])),
    "outputs": ("learner", lambda: fit(make_learner("MAML"), toy_data(n_way=2))),
    "unit": ("learner", lambda: fit(make_learner("ProtoNet"), toy_examples())),
    "targets": ("learner", lambda: fit(make_learner("ProtoNet"), toy_data(1, "regression"))),
    "labels": ("source", lambda: learn_blobs(y=np.arange(12))),
    "label": ("source", lambda: learn_blobs(class_names=[str(i) for i in range(10)])),
    "nan": ("source", lambda: learn_blobs(x=with_nan)),
    "integers": ("source", lambda: learn_blobs(x=lambda domain: domain.x.long())),
    "shapes": ("source", lambda: learn_blobs(x=lambda domain: domain.x[:, :3])),
    "size": ("network", lambda: MLP(n_inputs=784)(torch.zeros(2, 64))),
    "head": ("network", lambda: ANIL(Conv4())),
    "running": ("network", lambda: MAML(ResNet12(norm="running", n_outputs=5))),
    "classes": ("network", lambda: fit(make_classifier(n_outputs=4), toy_examples())),
    "list": ("metric", lambda: compare(lambda results: list(results.matrix[-1]))),
    "name": ("metric", lambda: compare(lambda results: 0.0, "forgetting")),
    "failed": ("metric", lambda: compare(lambda results: results.matrix[-1][7])),
    "missing": ("metric", lambda: find_metrics(["lifelong.evaluation.metrics.worst"])),
}


def plain(text: str) -> str:
    """Text without the marks of Markdown and with single spaces."""
    return re.sub(r"\s+", " ", text.replace("`", "").replace("\\|", "|"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MISTAKES)
def test_the_page_shows_the_message_that_comes(name: str) -> None:
    page, make_mistake = MISTAKES[name]
    with pytest.raises(ValueError, match=r"\S+ \S+") as raised:
        make_mistake()
    assert plain(str(raised.value)) in plain((EXTEND / f"{page}.md").read_text(encoding="utf-8"))
