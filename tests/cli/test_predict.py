"""A person's own photos and texts, answered from labelled ones by the real command line."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

import pytest

from tests.command_line import QUIET, error_of, run_here
from tests.drawn_photos import write_photos

pytestmark = pytest.mark.filterwarnings("ignore")

NETWORK = (
    "{class_path: lifelong.networks.WithHead, init_args: {n_features: 8, n_outputs: 2, body: {class_path: "
    "torch.nn.EmbeddingBag, init_args: {num_embeddings: 512, embedding_dim: 8, padding_idx: 0}}}}"
)
SOURCE = (
    "{class_path: tests.text.words.Words, init_args: {encoding: {class_path: lifelong.text.HashedWords, init_args: "
    "{n_buckets: 512, max_length: 8}}}}"
)
COMMON = [f"--model.network={NETWORK}", *QUIET, "--runner.plan=loop", "--optimizer=torch.optim.Adam"]
COMMON += ["--optimizer.lr=0.05", f"--data.sources=[{SOURCE}]", "--data.split=[2, 2]"]
FEW_SHOT = [*COMMON, "--data.n_way=2", "--data.n_shot=2", "--data.n_query=3", "--data.eval_n_query=2"]
FEW_SHOT += ["--data.n_eval_tasks=4", "--data.steps_per_experience=30", "--data.eval_n_shot=1", "--data.eval_n_query=1"]
PHOTOS = ["--data.sources=[{class_path: datamodules.ImageFolder, init_args: {root: taught, image_size: 16}}]", *QUIET]
PHOTOS += ["--model=lifelong.learners.ProtoNet", "--model.network=Conv4", "--model.network.n_filters=8"]
PHOTOS += ["--model.network.norm=group", "--model.network.in_channels=3", "--model.network.image_size=16"]
PHOTOS += ["--data.n_way=3", "--data.n_shot=1", "--data.n_query=1", "--data.split=[2, 2]", "--data.n_eval_tasks=2"]
PHOTOS += ["--data.steps_per_experience=40", "--strategies=[strategies.AdapterBank]"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    monkeypatch.setattr("sys.argv", ["lifelong"])
    Path("posts.csv").write_text("id,text\n7,a great saw\n8,an awful plot\n9,superb file\n", encoding="utf-8")
    Path("labelled.tsv").write_text("text\tlabel\na lovely drill\tgood\na poor drill\tbad\n", encoding="utf-8")


def answers(file: str) -> list[dict[str, str]]:
    with Path(file).open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def predict(run: str, *args: str, query: str = "posts.csv") -> list[str]:
    return ["predict", f"--ckpt_path={run}", f"--query={query}", *args]


def test_a_file_of_texts_is_answered_from_labelled_ones(capsys: pytest.CaptureFixture[str]) -> None:
    run_here("fit", "--model=lifelong.learners.ProtoNet", *FEW_SHOT, "--data.fixed_ways=true", "--run.name=few")
    run_here(*predict("runs/few", "--support=labelled.tsv"))
    found = answers("runs/few/answers.csv")
    assert [row["answer"] for row in found] == ["good", "bad", "good"]
    assert [row["id"] for row in found] == ["7", "8", "9"]
    for row in found:
        both = [float(row[f"probability of {name}"]) for name in ("bad", "good")]
        assert sum(both) == pytest.approx(1, abs=1e-5)
        assert row["answer"] == ("bad", "good")[both[1] > both[0]]
    printed = capsys.readouterr().out
    assert "a great saw" in printed
    assert "written: " in printed
    assert "runs/few/answers.csv (3 answers)" in printed
    assert not Path("runs/few/predictions.csv").exists()
    # Mistakes, each in a sentence.
    Path("wrong.csv").write_text("text,label\na saw,good\na file,bat\n", encoding="utf-8")
    for args, message in (
        ((), "the model learns from a support set"),
        (("--support=wrong.csv",), "has the class 'bat', and the model was taught bad, good alone"),
        (("--support=labelled.tsv", "--label_column=mood"), "has no column 'mood': set --label_column"),
        (("--support=labelled.tsv", "--query=nothing.csv"), "--query nothing.csv is not there"),
        (("--support=posts.csv", "--label_column=id"), "has the class '7'"),
        (("--texts.support=labelled.tsv",), "--texts.support is now --support"),
        (("--support=labelled.tsv", "--quary=a"), "there is no option --quary: did you mean --query?"),
    ):
        code, told = error_of(capsys, *predict("runs/few", *args))
        assert code in (1, 2)
        assert message in told, told
        assert told.count("\n") == 1


def test_a_classifier_answers_without_a_support_set(capsys: pytest.CaptureFixture[str]) -> None:
    data = ["--data=datamodules.ExampleDataModule", "--data.scenario=domain", "--data.batch_size=8"]
    run_here("fit", *data, "--model=lifelong.learners.Classifier", *COMMON, "--data.passes=20", "--run.name=flat")
    run_here(*predict("last"))
    assert "--ckpt_path last is runs/flat/checkpoints/last.ckpt" in capsys.readouterr().out
    assert [row["answer"] for row in answers("runs/flat/answers.csv")] == ["good", "bad", "good"]
    code, told = error_of(capsys, *predict("last", "--support=labelled.tsv"))
    assert code == 1
    assert "learns nothing from a support set" in told
    code, told = error_of(capsys, "fit", *data, "--model=lifelong.learners.Classifier", *COMMON, "--texts.query=a.csv")
    assert "--texts.query is now --query (of predict)" in told


def test_photos_are_answered_by_a_checkpoint_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photos(Path("taught/fruit"), ["apple", "banana", "grape", "lime"], range(6))
    run_here("fit", *PHOTOS, "--run.name=fruit")
    Path("usb").mkdir()
    shutil.copy("runs/fruit/checkpoints/last.ckpt", "usb/fruit.ckpt")
    shutil.rmtree("runs")
    shutil.rmtree("taught")
    write_photos(Path("support"), ["melon", "tile"], range(3))
    write_photos(Path("new/2026"), ["melon", "tile"], range(10, 12), suffix=".PNG")
    Path("new/notes.txt").write_text("of the garden")
    Path("new/.hidden.jpg").write_text("no photo")
    ask = predict("usb/fruit.ckpt", "--support=support", query="new")
    run_here(*ask)
    found = answers("answers.csv")
    names = ["file", "answer", "probability of melon", "probability of tile", "answered by", "known", "distance"]
    assert list(found[0]) == names
    assert [row["file"] for row in found] == [
        f"new/2026/{kind}/{n}.PNG" for kind in ("melon", "tile") for n in (10, 11)
    ]
    assert [row["answer"] for row in found] == ["melon", "melon", "tile", "tile"]
    assert {row["answered by"] for row in found} == {"fruit"}
    assert [row["known"] for row in found] == [("no", "yes")[float(row["distance"]) <= 1] for row in found]
    assert "left out, as they are no photos: new/notes.txt" in capsys.readouterr().out
    monkeypatch.setattr("lifelong.run.fitted.AT_ONCE", 1)
    run_here(*ask)
    again = answers("answers_2.csv")  # a photo at a time: the answers stand beside the same files
    assert [(row["file"], row["answer"]) for row in again] == [(row["file"], row["answer"]) for row in found]
    Path("support/melon/one.heic").write_bytes(b"of another camera")
    run_here(*ask)
    assert "left out, as they are no photos: support/melon/one.heic" in capsys.readouterr().out
    # Nothing that is there is replaced.
    before = Path("answers.csv").read_bytes()
    run_here(*ask)
    assert Path("answers.csv").read_bytes() == before == Path("answers_2.csv").read_bytes()
    run_here(*ask, "--out=mine.csv")
    assert Path("mine.csv").read_bytes() == before
    code, told = error_of(capsys, *ask, "--out=mine.csv")
    assert (code, "mine.csv is there already, and is not replaced" in told) == (1, True)
    run_here(*ask, "--out=results/of/today")
    assert Path("results/of/today/answers.csv").read_bytes() == before
    # A table of files, one photo, and names that are no UTF-8.
    Path("tables").mkdir()
    Path("tables/new.csv").write_text("file,price\n../new/2026/tile/10.PNG,3\n")
    labelled = "".join(f"../support/{kind}/00.jpg,{kind}\n" for kind in ("melon", "tile"))
    Path("tables/labelled.csv").write_text(f"photo,kind\n{labelled}")
    columns = ["--file_column=photo", "--label_column=kind"]
    shutil.copy("tables/new.csv", "tables/renamed.csv")
    Path("tables/renamed.csv").write_text("photo,price\n../new/2026/tile/10.PNG,3\n")
    run_here(
        *predict("usb/fruit.ckpt", "--support=tables/labelled.csv", *columns, "--out=t.csv", query="tables/renamed.csv")
    )
    assert [(row["price"], row["answer"]) for row in answers("t.csv")] == [("3", "tile")]
    strange = os.fsdecode(b"caf\xe9, 'x'\n.jpg")
    shutil.copy("support/tile/01.jpg", strange)
    run_here(*predict("usb/fruit.ckpt", "--support=support", "--out=s.csv", query=strange))
    assert [(row["file"], row["answer"]) for row in answers("s.csv")] == [("caf\\xe9, 'x'\n.jpg", "tile")]


@pytest.mark.parametrize("at_once", [128, 2, 1])
def test_a_photo_that_cannot_be_read_costs_no_other_answer(
    at_once: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lifelong.run.fitted.AT_ONCE", at_once)
    write_photos(Path("taught/fruit"), ["apple", "banana", "grape", "lime"], range(6))
    run_here("fit", *PHOTOS, "--run.name=fruit")
    write_photos(Path("support"), ["melon", "tile"], range(3))
    write_photos(Path("new"), ["melon", "tile"], range(10, 12))
    for broken in ("new/a.jpg", "new/melon/10b.jpg", "new/z.jpg"):
        Path(broken).write_text("half a download")
    run_here(*predict("runs/fruit", "--support=support", "--out=a.csv", query="new"))
    rows = answers("a.csv")
    assert [row["answer"] for row in rows] == ["", "melon", "", "melon", "tile", "tile", ""]
    assert [row["file"] for row in rows if not row["probability of tile"]] == [
        "new/a.jpg",
        "new/melon/10b.jpg",
        "new/z.jpg",
    ]
    assert not any(None in row or None in row.values() for row in rows)
    told = capsys.readouterr().out
    assert "3 of 7 cannot be read, and have a row without an answer: the image new/a.jpg cannot be decoded" in told
    assert "written: a.csv (4 answers)" in told


def test_labels_of_ones_own_are_the_classes_where_ways_are_drawn() -> None:
    run_here("fit", "--model=lifelong.learners.ProtoNet", *FEW_SHOT, "--run.name=drawn")
    Path("own.csv").write_text("text,label\na lovely drill,yes\na poor drill,no\na plot,hm\n", encoding="utf-8")
    run_here(*predict("runs/drawn", "--support=own.csv"))
    assert set(answers("runs/drawn/answers.csv")[0]) == {
        "id", "text", "answer", *(f"probability of {name}" for name in ("hm", "no", "yes"))
    }  # fmt: skip


def test_help_of_predict_is_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run_here("predict", "--help")
    assert stop.value.code == 0
    told = capsys.readouterr().out
    assert "--query TEXT" in told
    assert "with the options of fit --help." in " ".join(told.split())
