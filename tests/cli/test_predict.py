"""A person's own texts, answered from a file of labelled ones by the real command line."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.command_line import error_of, run_here

pytestmark = pytest.mark.filterwarnings("ignore")

NETWORK = (
    "{class_path: lifelong.networks.WithHead, init_args: {n_features: 8, n_outputs: 2, body: {class_path: "
    "torch.nn.EmbeddingBag, init_args: {num_embeddings: 512, embedding_dim: 8, padding_idx: 0}}}}"
)
SOURCE = (
    "{class_path: tests.text.words.Words, init_args: {encoding: {class_path: lifelong.text.HashedWords, init_args: "
    "{n_buckets: 512, max_length: 8}}}}"
)
QUIET = ["--trainer.logger=false", "--trainer.accelerator=cpu", "--runner.plan=loop"]
COMMON = [f"--model.network={NETWORK}", *QUIET, "--optimizer=torch.optim.Adam"]
COMMON += ["--optimizer.lr=0.05", f"--data.sources=[{SOURCE}]", "--data.split=[2, 2]"]
FEW_SHOT = [*COMMON, "--data.n_way=2", "--data.n_shot=2", "--data.n_query=3", "--data.eval_n_query=2"]
FEW_SHOT += ["--data.n_eval_tasks=4", "--data.steps_per_experience=30", "--data.eval_n_shot=1", "--data.eval_n_query=1"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    monkeypatch.setattr("sys.argv", ["lifelong"])
    Path("posts.csv").write_text("id,text\n7,a great saw\n8,an awful plot\n9,superb file\n", encoding="utf-8")
    Path("labelled.tsv").write_text("text\tlabel\na lovely drill\tgood\na poor drill\tbad\n", encoding="utf-8")


def answers(run: str) -> list[dict[str, str]]:
    with Path(f"runs/{run}/answers.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def predict(run: str, *args: str) -> list[str]:
    last = f"runs/{run}/checkpoints/last.ckpt"
    return ["predict", "--ckpt_path", last, "--trainer.logger=false", "--texts.query=posts.csv", *args]


def test_a_file_of_texts_is_answered_from_labelled_ones(capsys: pytest.CaptureFixture[str]) -> None:
    run_here("fit", "--model=lifelong.learners.ProtoNet", *FEW_SHOT, "--data.fixed_ways=true", "--run.name=few")
    run_here(*predict("few", "--texts.support=labelled.tsv"))
    found = answers("few")
    assert [row["answer"] for row in found] == ["good", "bad", "good"]
    assert [row["id"] for row in found] == ["7", "8", "9"]
    for row in found:
        both = [float(row[f"probability of {name}"]) for name in ("bad", "good")]
        assert sum(both) == pytest.approx(1, abs=1e-5)
        assert row["answer"] == ("bad", "good")[both[1] > both[0]]
    printed = capsys.readouterr().out
    assert "a great saw" in printed
    assert "answers.csv (3 answers)" in printed
    assert not Path("runs/few/predictions.csv").exists()
    # Mistakes, each in a sentence.
    Path("wrong.csv").write_text("text,label\na saw,good\na file,bat\n", encoding="utf-8")
    for args, message in (
        ((), "give --texts.support a file of labelled texts"),
        (("--texts.support=wrong.csv",), "wrong.csv, line 3: the label 'bat' is none of bad, good"),
        (("--texts.support=labelled.tsv", "--texts.label_column=mood"), "has no column 'mood'"),
        (("--texts.support=labelled.tsv", "--texts.query=nothing.csv"), "there is no file nothing.csv"),
        (("--texts.support=posts.csv", "--texts.label_column=id"), "the label '7' is none of bad, good"),
    ):
        code, told = error_of(capsys, *predict("few", *args))
        assert code == 1
        assert message in told, told
        assert told.count("\n") == 1


def test_a_classifier_answers_without_a_support_set(capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data=datamodules.ExampleDataModule", "--data.scenario=domain", "--data.batch_size=8"]
    run_here("fit", *data, "--model=lifelong.learners.Classifier", *COMMON, "--data.passes=20", "--run.name=flat")
    run_here(*predict("flat"))
    assert [row["answer"] for row in answers("flat")] == ["good", "bad", "good"]
    code, told = error_of(capsys, *predict("flat", "--texts.support=labelled.tsv"))
    assert code == 1
    assert "learns nothing from a support set" in told
    code, told = error_of(capsys, "fit", *data, "--model=lifelong.learners.Classifier", *COMMON, "--texts.query=a.csv")
    assert "is what predict answers, and fit does not" in told


def test_labels_of_ones_own_are_the_classes_where_ways_are_drawn() -> None:
    run_here("fit", "--model=lifelong.learners.ProtoNet", *FEW_SHOT, "--run.name=drawn")
    Path("own.csv").write_text("text,label\na lovely drill,yes\na poor drill,no\na plot,hm\n", encoding="utf-8")
    run_here(*predict("drawn", "--texts.support=own.csv"))
    assert set(answers("drawn")[0]) == {"id", "text", "answer", *(f"probability of {n}" for n in ("hm", "no", "yes"))}


def test_one_who_was_not_trained_on_texts_answers_none(capsys: pytest.CaptureFixture[str]) -> None:
    from tests.command_line import TINY

    run_here("fit", *TINY, "--run.name=images")
    code, told = error_of(capsys, *predict("images", "--texts.support=labelled.tsv"))
    assert code == 1
    assert "was not trained on texts" in told
