import json
from pathlib import Path

import pytest
import torch
from torch import nn

from lifelong.compute.runner import TaskRunner
from lifelong.learners import ProtoNet, TransductiveProtoNet
from tests.command_line import QUIET, TINY_DATA, TINY_MODEL, run_here
from tests.toys import make_learner, random_episode

SUPPORT, LABELS = torch.tensor([[0.0], [2.0], [6.0], [8.0]]), torch.eye(2)[[0, 0, 1, 1]]


def test_two_refinements_by_hand() -> None:
    query = torch.tensor([[2.0], [9.0]])
    learner = TransductiveProtoNet(nn.Identity(), n_refinements=2, query_weight=0.5, temperature=0.1)
    means, counts = torch.tensor([1.0, 7.0]), torch.tensor([2.0, 2.0])
    for _ in range(2):
        z = (-0.1 * (query - means) ** 2).softmax(-1)
        means = (torch.tensor([2.0, 14.0]) + 0.5 * (z * query).sum(0)) / (counts + 0.5 * z.sum(0))
    refined, _ = learner.refine(learner.adapt({}, SUPPORT, LABELS), query)
    torch.testing.assert_close(refined[:, 0], means)


@pytest.mark.parametrize("settings", [{"n_refinements": 0}, {"query_weight": 0.0}])
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_without_refinement_it_is_protonet(distance: str, settings: dict[str, float]) -> None:
    batch = random_episode()
    plain, refined = (
        make_learner("ProtoNet", distance=distance),
        make_learner("TransductiveProtoNet", distance=distance, **settings),
    )
    outputs = (TaskRunner().outputs(learner.eval(), learner.meta_parameters(), batch) for learner in (plain, refined))
    torch.testing.assert_close(*outputs)


def test_unlabelled_examples_move_the_boundary_to_a_gap() -> None:
    # Both classes are wider than their single labelled example shows.
    query = torch.tensor([[0.0], [1.0], [2.0], [3.0], [4.0], [4.4], [9.0], [10.0]])
    x, y, right = torch.tensor([[0.0], [8.0]]), torch.eye(2), torch.tensor([0] * 6 + [1] * 2)

    def share_right(learner: ProtoNet) -> float:
        return (learner.predict({}, learner.adapt({}, x, y), query).argmax(-1) == right).float().mean().item()

    assert share_right(ProtoNet(nn.Identity())) < 1
    assert share_right(TransductiveProtoNet(nn.Identity(), n_refinements=5)) == 1


@pytest.mark.filterwarnings("ignore")  # jsonargparse shows a deprecation of Lightning once a process
def test_tables_and_results_say_that_it_is_transductive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    monkeypatch.setattr("sys.argv", ["lifelong"])
    for name, declared in (("ProtoNet", False), ("TransductiveProtoNet", True)):
        run_here("fit", f"--model=lifelong.learners.{name}", *TINY_MODEL[1:], *TINY_DATA, *QUIET, f"--run.name={name}")
        assert ("accuracy, transductive on val tasks" in capsys.readouterr().out) == declared
        assert json.loads(Path(f"runs/{name}/results.json").read_text("utf-8"))["transductive"] is declared


def test_batch_statistics_are_transductive_too() -> None:
    assert make_learner("ProtoNet", "image", "batch").transductive
    assert not make_learner("ProtoNet", "image", "group").transductive


def test_negative_settings_are_refused() -> None:
    with pytest.raises(ValueError, match=r"--model.n_refinements is -1: it must be (a whole number, )?at least 0"):
        TransductiveProtoNet(nn.Identity(), n_refinements=-1)
