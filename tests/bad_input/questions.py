"""What ``predict`` may be given: folders, tables, labels, files, checkpoints, and places to write to."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from tests.bad_input.case import FEW_SHOT, QUIET, TINY, Case, answer
from tests.bad_input.checkpoints import FOREIGN, Code
from tests.bad_input.images import cut, image, png
from tests.bad_input.texts import CSV

MODEL = Path("m/checkpoints/last.ckpt")
WORDS = (
    "--data.sources=[{class_path: tests.text.words.Words, init_args: {encoding: {class_path: "
    "lifelong.text.HashedWords, init_args: {max_length: 8}}}}]"
)
BODY = (
    "{class_path: lifelong.networks.WithHead, init_args: {n_features: 8, n_outputs: 2, body: {class_path: "
    "torch.nn.EmbeddingBag, init_args: {num_embeddings: 32768, embedding_dim: 8, padding_idx: 0}}}}"
)
FIXED = ("--model=ProtoNet", f"--model.network={BODY}", *QUIET, WORDS, *FEW_SHOT, "--data.split=[2, 2]")
FIXED = (*FIXED, "--data.fixed_ways=true")
FLAT = (
    "--data=datamodules.ExampleDataModule",
    "--model=lifelong.learners.Classifier",
    *TINY[1:6],
    "--data.batch_size=8",
)
FLAT = (*FLAT, "--model.network.n_outputs=72", *QUIET, "--data.steps_per_experience=1")
HEAD = (*TINY, "--model=MAML", "--model.network.n_outputs=3", "--model.n_inner_steps=1")
FEW = ("--trainer.max_epochs=1", "--data.steps_per_experience=1")


@functools.cache
def trained(options: tuple[str, ...]) -> bytes:
    """Return the checkpoint of a model that was trained for a step."""
    with tempfile.TemporaryDirectory() as folder:
        given = answer(Case("right", ("--run.name=b", *FEW), (), base=options), Path(folder))
        assert given.code == 0, given
        return Path(folder, "runs/b/checkpoints/last.ckpt").read_bytes()


def write(change: Callable[[], object] | None, options: tuple[str, ...]) -> Callable[[], None]:
    """Two classes of two photos, two new ones, tables of both, a model, and one change of them."""

    def make() -> None:
        for name in ("s/ripe/1.png", "s/ripe/2.png", "s/green/1.png", "s/green/2.png", "q/1.png", "q/deep/2.png"):
            image(name)
        Path("s.csv").write_text("file,label\ns/ripe/1.png,ripe\ns/green/1.png,green\n")
        Path("t.csv").write_text("text,label\na good saw,good\na bad saw,bad\n")
        MODEL.parent.mkdir(parents=True)
        MODEL.write_bytes(trained(options))
        if change is not None:
            change()

    return make


def ask(
    name: str,
    change: Callable[[], object] | None,
    *words: str,
    support: str | None = "s",
    query: str = "q",
    more: tuple[str, ...] = (),
    options: tuple[str, ...] = (*TINY,),
) -> Case:
    given = (f"--ckpt_path={MODEL}", f"--query={query}", *(() if support is None else (f"--support={support}",)), *more)
    return Case(f"predict {name}", given, words, write(change, options), "predict", ())


def model(name: str, make: Callable[[Path], object] | None, *words: str) -> Case:
    """A case of a checkpoint that is none."""

    def replaced() -> None:
        MODEL.unlink()
        if make is not None:
            make(MODEL)

    return ask(f"model {name}", replaced, *words)


def remove(*names: str) -> Callable[[], None]:
    return lambda: [Path(name).unlink() for name in names] and None


def text(name: str, content: str) -> Callable[[], object]:
    return lambda: Path(name).write_text(content)


def folder(name: str) -> Callable[[], object]:
    return lambda: Path(name).mkdir(parents=True)


def link(name: str, target: str) -> Callable[[], object]:
    return lambda: Path(name).symlink_to(Path(target).absolute() if target in ("q", "s") else target)


def of_texts(name: str, content: str, *words: str, query: str = "t.csv", more: tuple[str, ...] = ()) -> Case:
    return ask(name, text("l.csv", content), *words, support="l.csv", query=query, more=more, options=FIXED)


NEW = "q/3.png"
CASES = [
    # What is asked about.
    ask("query missing", None, "--query nowhere", "is not there", query="nowhere"),
    ask("query empty text", None, "--query", query=""),
    ask("query empty folder", folder("e"), "e has no photo", ".jpg", query="e"),
    ask(
        "query folder of other files", lambda: (Path("e").mkdir(), Path("e/a.txt").touch()), "e has no photo", query="e"
    ),
    ask("query a folder named .png", folder(NEW), NEW, "is no file", "rename or remove"),
    ask("query a pipe named .png", lambda: os.mkfifo(NEW), NEW, "is no file"),
    ask("query a pipe", lambda: os.mkfifo("pipe"), "--query pipe", "neither a folder nor a file", query="pipe"),
    ask("query a broken link", link(NEW, "gone.png"), NEW, "is no file"),
    ask("query a link to itself", link(NEW, "3.png"), NEW, "is no file"),
    ask("query the link to itself", link(NEW, "3.png"), NEW, query=NEW),
    ask("query a loop of folders", link("q/deep/loop", "q"), "q/deep/loop", "a folder that it lies in"),
    ask("query no image", text(NEW, "hello"), NEW, "cannot be decoded", query=NEW),
    ask("query an empty image", text(NEW, ""), NEW, "cannot be decoded", query=NEW),
    ask("query a cut image", lambda: (image(NEW, (60, 60)), cut(Path(NEW), 60)), NEW, "cannot be decoded", query=NEW),
    ask(
        "query a huge image",
        lambda: Path(NEW).write_bytes(png(60_000, 60_000)),
        NEW,
        "larger than any photograph",
        query=NEW,
    ),
    ask("query no image alone", text("a.jpg", "hello"), "a.jpg", "cannot be decoded", query="a.jpg"),
    ask("query another file", text("a.mp4", "hello"), "a.mp4", "is no table", "a folder of photos", query="a.mp4"),
    ask(
        "query a table without files",
        text("a.csv", "name\nx\n"),
        "a.csv has no column 'file'",
        "--file_column",
        query="a.csv",
    ),
    ask(
        "query a table of no photos",
        text("a.csv", "file\nx.png\n"),
        "a.csv, line 2",
        "there is no photo x.png",
        query="a.csv",
    ),
    ask("query an empty table", text("a.csv", ""), "a.csv", "no rows", query="a.csv"),
    ask("query a column of ours", text("a.csv", "file,answer\nq/1.png,x\n"), "'answer'", "rename", query="a.csv"),
    ask("query too long a name", None, "--query", query="x" * 5000),
    # What is learnt from.
    ask("support missing", None, "--support nowhere", "is not there", support="nowhere"),
    ask("support none", None, "learns from a support set", "--support", support=None),
    ask("support empty folder", folder("e"), "--support e has no class folder", support="e"),
    ask("support an empty class", folder("s/rotten"), "s/rotten has no photo", "add some"),
    ask("support one class", lambda: image("o/one/1.png"), "has 1 classes", "two at least", support="o"),
    ask("support photos in no class", lambda: image("s/1.png"), "s/1.png is in no class folder"),
    ask("support no image", text("s/ripe/3.png", "hello"), "s/ripe/3.png", "cannot be decoded"),
    ask("support a folder named .jpg", folder("s/ripe/3.jpg"), "s/ripe/3.jpg", "is no file"),
    ask("support a loop", link("s/ripe/loop", "s"), "s/ripe/loop", "a folder that it lies in"),
    ask(
        "support a table without labels",
        text("a.csv", "file\nq/1.png\n"),
        "no column 'label'",
        "--label_column",
        support="a.csv",
    ),
    ask(
        "support an empty label", text("a.csv", "file,label\nq/1.png,\n"), "a.csv, line 2", "is empty", support="a.csv"
    ),
    ask("support a photo", None, "s/ripe/1.png", "is no table", support="s/ripe/1.png"),
    ask("support of other ways", None, "has 2 classes", "MAML was trained on tasks of 3", options=HEAD),
    ask("support for a classifier", None, "learns nothing from a support set", "leave", options=FLAT),
    # Texts.
    of_texts("texts an unknown label", "text,label\na,good\nb,bat\n", "'bat'", "taught bad, good alone"),
    of_texts("texts a missing class", "text,label\na,good\n", "no example of bad"),
    of_texts("texts an empty one", "text,label\n ,good\nb,bad\n", "l.csv, line 2", "'text' is empty"),
    of_texts("texts no label column", "text,kind\na,good\n", "no column 'label'", "--label_column"),
    of_texts("texts a folder", CSV, "--query q is a folder", "reads texts", query="q"),
    of_texts("texts a photo", CSV, "q/1.png is no table", query="q/1.png"),
    of_texts("texts no charset", "text,label\na,good\nb,bad\n", "klingon", more=("--charset=klingon",)),
    # The model.
    model("missing", None, "neither a run folder with a checkpoint nor a checkpoint"),
    model("empty", Path.touch, str(MODEL), "it is empty"),
    model("cut", lambda path: path.write_bytes(trained((*TINY,))[:3000]), str(MODEL), "its end is missing"),
    model("text", lambda path: path.write_text("hello"), str(MODEL), "no archive"),
    model("a folder", Path.mkdir, "nor a checkpoint"),
    model("another program's", lambda path: torch.save(FOREIGN, path), "not written by lifelong"),
    model("code", lambda path: torch.save({"state_dict": {"a": Code()}}, path), "could run code"),
    replace(ask("model none", None, "--ckpt_path", "a run folder"), options=("--query=q", "--support=s")),
    replace(ask("query none", None, "--query", "a folder of photos"), options=(f"--ckpt_path={MODEL}", "--support=s")),
    replace(ask("model last without runs", None, "no runs/"), options=("--ckpt_path=last", "--query=q", "--support=s")),
    # Where it is written, and where it runs.
    ask("out is there", text("a.csv", "mine"), "a.csv is there already", "not replaced", more=("--out=a.csv",)),
    ask("out below a file", text("a", "mine"), "answers", more=("--out=a/b.csv",)),
    ask("device unknown", None, "--device quantum", more=("--device=quantum",)),
    ask("option unknown", None, "no option --xyzzy", "predict --help", more=("--xyzzy=1",)),
    ask("option of before", None, "--texts.query is now --query", more=("--texts.query=a.csv",)),
]
