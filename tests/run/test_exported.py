"""Exported programs answer as the model does, for batches of any size; what cannot be exported is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import strategies
from lifelong import learners
from lifelong.learners.base import Learner
from lifelong.networks import MLP
from lifelong.run.adapted import Adapted
from lifelong.run.exported import export, traced
from lifelong.run.graph import Behind, graph_of
from lifelong.strategy import Strategy
from lifelong.training.stream_module import StreamModule
from tests.toys import LEARNERS, fit, make_classifier, make_learner, module_of, random_episode, toy_examples

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not hasattr(torch.export, "default_decompositions"), reason="export needs torch 2.6 or newer"),
]
ABOUT: dict[str, Any] = {"classes": ["ash", "elm", "oak"]}
INDUCTIVE = [name for name in LEARNERS if name != "TransductiveProtoNet"]


def probe(n: int = 5) -> Tensor:
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(0))


def adapted_graph(name: str) -> tuple[nn.Module, Tensor]:
    """What a learner answers that was adapted, as a graph, and its own answers to the probe."""
    module = module_of(make_learner(name))
    kept = Adapted.of(module, random_episode(n_tasks=1), ())
    wanted = module.learner.objective.prediction(kept.answer(module, probe())[0])
    return graph_of(module, kept, []), wanted


@pytest.mark.parametrize("name", INDUCTIVE)
def test_programs_of_torch_answer_as_learners_do(name: str) -> None:
    graph, wanted = adapted_graph(name)
    program = traced(graph, probe()).module()
    for n in (1, 3, 5):
        assert torch.allclose(program(probe()[:n]), wanted[:n], atol=1e-4)


def test_a_program_is_written_with_what_it_is(tmp_path: Path) -> None:
    graph, wanted = adapted_graph("MAML")
    path = export(graph, probe(), ABOUT, tmp_path / "trees.pt2")
    files = {"lifelong.json": ""}
    loaded = torch.export.load(path, extra_files=files)
    assert torch.allclose(loaded.module()(probe()[:3]), wanted[:3], atol=1e-4)
    said = json.loads(files["lifelong.json"])
    assert said == json.loads((tmp_path / "trees.pt2.json").read_text())
    assert said["classes"] == ABOUT["classes"]
    assert said["input"] == {"name": "x", "shape": ["batch", 4], "type": "float32"}
    assert str(Path(__file__).parents[2]).encode() not in path.read_bytes()  # no paths of this machine


@pytest.mark.parametrize("name", ["ProtoNet", "MAML", "R2D2", "RelationNet"])
def test_onnx_runtime_answers_as_learners_do(name: str, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="the extra export is not installed")
    onnx = pytest.importorskip("onnx", reason="the extra export is not installed")
    pytest.importorskip("onnxscript", reason="the extra export is not installed")
    graph, wanted = adapted_graph(name)
    path = export(graph, probe(), ABOUT, tmp_path / "trees.onnx")
    session = runtime.InferenceSession(str(path))
    for n in (1, 3, 5):
        (answers,) = session.run(["probabilities"], {"x": probe()[:n].numpy()})
        assert torch.allclose(torch.from_numpy(answers), wanted[:n], atol=1e-4)
    said = {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}
    assert json.loads(said["lifelong"])["classes"] == ABOUT["classes"]
    assert session.get_inputs()[0].shape == ["batch", 4]


def test_what_onnx_cannot_express_is_refused_with_a_way_out(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript", reason="the extra export is not installed")
    pytest.importorskip("onnxruntime", reason="the extra export is not installed")
    graph, _ = adapted_graph("Mahalanobis")
    with pytest.raises(ValueError, match=r"operation that ONNX cannot express .*--format torch"):
        export(graph, probe(), ABOUT, tmp_path / "trees.onnx")
    assert not list(tmp_path.iterdir())


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(ValueError, match=r"\[export\]"):
        export(adapted_graph("ProtoNet")[0], probe(), ABOUT, tmp_path / "trees.onnx")


def taught(learner: Learner, *members: Strategy) -> StreamModule:
    module = module_of(learner, members)
    fit(module, toy_examples())
    return module.eval()


def net() -> MLP:
    torch.manual_seed(1)
    return MLP(n_inputs=4, hidden=[8], n_outputs=12)


@pytest.mark.parametrize("kind", ["classifier", "means", "lda", "average", "mixed bank", "fused bank", "ease"])
def test_learners_of_labelled_examples_are_exported(kind: str) -> None:
    makers: dict[str, Any] = {
        "classifier": lambda: taught(make_classifier()),
        "means": lambda: taught(learners.NearestClassMean(net())),
        "lda": lambda: taught(learners.StreamingLDA(net())),
        "average": lambda: taught(make_classifier(), strategies.WeightAveraging()),
        "mixed bank": lambda: taught(make_classifier(), strategies.AdapterBank(temperature=1.0)),
        "fused bank": lambda: taught(make_classifier(), strategies.AdapterBank(router="fused")),
        "ease": lambda: taught(make_classifier(), strategies.EASE()),
    }
    module = makers[kind]()
    graph = graph_of(module, None, range(12))
    x = probe()[:, None]
    episode = random_episode(n_tasks=5, n_shot=0, n_query=1)
    ways = torch.arange(12).repeat(5, 1)
    queries = torch.zeros(5, 1, dtype=torch.int64)
    batch = type(episode)(x[:, :0], queries[:, :0], x, queries, torch.ones(5), 12, ways)
    wanted = module.predict_step(batch, 0)[:, 0]
    program = traced(graph, probe()).module()
    for n in (1, 5):
        assert torch.allclose(program(probe()[:n]), wanted[:n], atol=1e-4)


def test_distances_are_computed_of_operations_that_onnx_has(tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="the extra export is not installed")
    pytest.importorskip("onnxscript", reason="the extra export is not installed")
    graph = graph_of(taught(learners.NearestClassMean(net())), None, range(12))
    path = export(graph, probe(), {"classes": list("abcdefghijkl")}, tmp_path / "means.onnx")
    (answers,) = runtime.InferenceSession(str(path)).run(None, {"x": probe().numpy()})
    assert torch.allclose(torch.from_numpy(answers), graph(probe()), atol=1e-4)


def test_what_is_no_function_of_the_query_is_refused() -> None:
    with pytest.raises(ValueError, match="TransductiveProtoNet predicts a query from the other queries"):
        adapted_graph("TransductiveProtoNet")
    averaged = module_of(make_learner("ProtoNet"), [strategies.WeightAveraging()])
    with pytest.raises(ValueError, match="WeightAveraging replaces the learner's outputs"):
        graph_of(averaged, None, [])
    routed = taught(make_classifier(), strategies.AdapterBank())
    with pytest.raises(ValueError, match="its computation depends on the query"):
        traced(graph_of(routed, None, range(12)), probe())


def test_a_frozen_network_stands_before_the_learner() -> None:
    graph, _ = adapted_graph("ProtoNet")
    encoder = nn.Linear(6, 4)
    program = traced(Behind(encoder, graph), torch.ones(3, 6)).module()
    assert torch.allclose(program(torch.ones(2, 6)), graph(encoder(torch.ones(2, 6))), atol=1e-4)


def test_nothing_is_replaced_and_other_answers_are_not_written(tmp_path: Path) -> None:
    graph, _ = adapted_graph("ProtoNet")
    (tmp_path / "trees.pt2").write_text("mine")
    with pytest.raises(ValueError, match="is there already"):
        export(graph, probe(), ABOUT, tmp_path / "trees.pt2")
    with pytest.raises(ValueError, match=r"neither .onnx nor .pt2"):
        export(graph, probe(), ABOUT, tmp_path / "trees.bin")

    class Restless(nn.Module):
        n = 0.0

        def forward(self, x: Tensor) -> Tensor:
            self.n = self.n + 1.0
            return x + self.n

    with pytest.raises(ValueError, match="predicts differently"):
        export(Restless(), probe(), {"classes": ["a"] * 4}, tmp_path / "restless.pt2")
    assert not (tmp_path / "restless.pt2").exists()
