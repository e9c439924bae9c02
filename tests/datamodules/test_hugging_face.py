"""Data sets of the library datasets, made here: nothing is downloaded."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules import HuggingFace
from datamodules.examples import ExampleDataModule
from lifelong.data.domain import Domain
from lifelong.learners import Classifier
from lifelong.networks import WithHead
from lifelong.text import HashedWords, Tokens
from lifelong.utilities.quiet import quietly
from tests.datamodules.hugging_face_data import PACKAGES, needs_extra, saved_texts, source, texts, tokenizer
from tests.toys import fit, module_of

pytestmark = pytest.mark.usefixtures("hugging_face_cache")


# -- without the extra ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("package", PACKAGES)
def test_without_the_extra_a_sentence_names_it(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    tokens = Tokens(model=str(Path(__file__).parent))
    source = HuggingFace(path="x", text_column="text", encoding=tokens)
    extra = "hf" if package == "datasets" else "text"
    with pytest.raises(ValueError, match=rf"needs the package {package} .*: pip install .*'\.\[{extra}\]'$"):
        source.domains() if package == "datasets" else tokens.encode(["a"])


def test_settings_that_do_not_fit_together_are_refused_at_once() -> None:
    for columns in ({}, {"image_column": "image", "text_column": "text", "encoding": HashedWords()}):
        with pytest.raises(ValueError, match="give image_column or text_column, and one"):
            HuggingFace(path="x", **columns)  # type: ignore[arg-type]
    for settings in ({"text_column": "text"}, {"image_column": "image", "encoding": HashedWords()}):
        with pytest.raises(ValueError, match=r"texts need an encoding .*x has text_column .* and encoding (None|Hash)"):
            HuggingFace(path="x", **settings)  # type: ignore[arg-type]


# -- texts ------------------------------------------------------------------------------------------------------------


@needs_extra
def test_texts_become_tokens_and_the_test_split_the_test_part(tmp_path: Path) -> None:
    (domain,) = source(tmp_path, path=saved_texts(tmp_path / "shops", train=24, test=8)).domains()
    assert (domain.name, domain.class_names, domain.holdout) == ("shops", ["bad", "good"], "examples")
    assert domain.x.dtype == torch.int64
    assert domain.x[:3].tolist() == [[2, 2, 4, 0, 0], [3, 3, 5, 0, 0], [2, 2, 6, 0, 0]]
    assert domain.y.tolist() == [0, 1] * 16
    assert domain.in_test is not None
    assert domain.in_test.tolist() == [False] * 24 + [True] * 8


@needs_extra
def test_each_value_of_a_column_is_a_domain(tmp_path: Path) -> None:
    path = saved_texts(tmp_path / "shops", train=24, test=8)
    north, south = source(tmp_path, path=path, domain_column="shop").domains()
    assert (north.name, south.name) == ("north", "south")
    assert north.in_test is not None
    assert north.in_test.tolist() == [False] * 12 + [True] * 4
    assert north.x[:, 2].tolist() == [4, 5] * 8
    assert south.x[:, 2].tolist() == [6, 7] * 8


@needs_extra
def test_examples_are_held_out_where_there_is_no_test_split(tmp_path: Path) -> None:
    from datasets import Dataset

    Dataset.from_dict(texts()).save_to_disk(tmp_path / "single")
    settings = {"path": str(tmp_path / "single"), "domain_column": "shop"}
    domains = source(tmp_path, test_split=None, **settings).domains()
    assert [domain.in_test for domain in domains] == [None, None]
    assert domains[0].class_names == ["0", "1"]
    with pytest.raises(ValueError, match=r"no split 'test': set test_split to one of train, or to null"):
        source(tmp_path, **settings).domains()
    path = saved_texts(tmp_path / "two", test=8, train=8)
    with pytest.raises(ValueError, match=r"no split 'all': set train_split to one of test, train$"):
        source(tmp_path, path=path, train_split="all", test_split=None).domains()


@needs_extra
@pytest.mark.parametrize("kind", ["arrow", "csv", "json", "jsonl", "parquet", "folder"])
def test_files_are_read_by_the_end_of_their_name(kind: str, tmp_path: Path) -> None:
    from datasets import Dataset

    table, path = Dataset.from_dict(texts()), tmp_path / f"texts.{kind}"
    if kind == "csv":
        table.to_csv(path)
    elif kind == "arrow":
        table.save_to_disk(tmp_path / "saved")
        (path,) = (tmp_path / "saved").glob("*.arrow")
    elif kind == "parquet":
        table.to_parquet(path)
    elif kind == "folder":
        (tmp_path / "texts.folder").mkdir()
        table.to_parquet(tmp_path / "texts.folder/train.parquet")
        Dataset.from_dict(texts(8)).to_parquet(tmp_path / "texts.folder/test.parquet")
    else:
        path.write_text("\n".join(json.dumps(row) for row in table))
    (domain,) = source(tmp_path, path=str(path), test_split="test" if kind == "folder" else None).domains()
    assert len(domain.x) == (32 if kind == "folder" else 24)
    assert domain.y[:4].tolist() == [0, 1, 0, 1]
    assert domain.x[1].tolist() == [3, 3, 5, 0, 0]


@needs_extra
@pytest.mark.parametrize("quiet", [False, True])
def test_only_a_quiet_run_shows_no_bars(quiet: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from datasets import utils

    path = tmp_path / f"texts-{quiet}.jsonl"
    path.write_text("\n".join(json.dumps({"text": "a b", "label": "yes"}) for _ in range(8)))
    utils.enable_progress_bars()
    with quietly(quiet):
        source(tmp_path, path=str(path), test_split=None).domains()
    assert ("Generating train split" in capfd.readouterr().err) is not quiet
    assert not utils.are_progress_bars_disabled()
    utils.disable_progress_bars()


@needs_extra
def test_long_texts_are_cut_and_short_ones_padded(tmp_path: Path) -> None:
    tokens = tokenizer(tmp_path / "other", pad_token=None, eos_token="five")
    found = Tokens(model=tokens, max_length=3).encode(["zero one two three", "one", "and"])
    assert found.tolist() == [[2, 3, 4], [3, 7, 7], [1, 7, 7]]


@needs_extra
def test_texts_are_learnt_domain_by_domain(tmp_path: Path) -> None:
    torch.manual_seed(0)
    made = source(tmp_path, path=saved_texts(tmp_path / "shops", train=48, test=16), domain_column="shop")
    network = WithHead(torch.nn.EmbeddingBag(8, 6), n_features=6, n_outputs=2)
    module = module_of(Classifier(network), optimizer=partial(torch.optim.Adam, lr=0.05))
    data = ExampleDataModule([made], scenario="domain", batch_size=8, steps_per_experience=40, evaluate_on="test")
    assert fit(module, data).matrix().mean(-1).tolist() == [[1, 1], [1, 1]]


# -- the hub, which no test asks ------------------------------------------------------------------------------------


class Hub:
    """Stands for ``datasets.load_dataset``: notes what it is asked for and answers with texts, or with an error."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, *args: Any, **options: Any) -> Any:
        from datasets import Dataset, DatasetDict

        self.asked.append((args, options))
        if self.error is not None:
            raise self.error
        return DatasetDict({split: Dataset.from_dict(texts(n)) for split, n in (("train", 24), ("test", 8))})


@needs_extra
@pytest.mark.parametrize("name", [None, "large"])
@pytest.mark.parametrize("test_split", [None, "test"])
def test_the_hub_is_asked_for_a_name_and_a_configuration(
    name: str | None, test_split: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = Hub()
    monkeypatch.chdir(tmp_path)  # a folder of that name would be read in the hub's place
    monkeypatch.setattr("datasets.load_dataset", hub)
    monkeypatch.setattr("datasets.load_from_disk", lambda *_: pytest.fail("it is not on the disk"))
    (domain,) = source(tmp_path, path="someone/reviews", name=name, test_split=test_split).domains()
    assert hub.asked == [(("someone/reviews", name), {})]
    assert (domain.name, domain.class_names) == ("reviews", ["0", "1"])
    assert domain.x[:2].tolist() == [[2, 2, 4, 0, 0], [3, 3, 5, 0, 0]]
    assert (None if domain.in_test is None else domain.in_test.sum()) == (None if test_split is None else 8)
    assert len(domain.x) == (24 if test_split is None else 32)


@needs_extra
@pytest.mark.parametrize("error", [ConnectionError("no network\nand more"), ValueError("BuilderConfig 'x' not found")])
def test_a_hub_that_does_not_answer_is_one_sentence(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.load_dataset", Hub(error))
    words = str(error).partition("\n")[0]
    with pytest.raises(
        ValueError, match=rf"^the data set 'someone/reviews' could not be loaded \({words}\): give path"
    ):
        source(tmp_path, path="someone/reviews").domains()


# -- what is refused --------------------------------------------------------------------------------------------------


@needs_extra
def test_what_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    path = saved_texts(tmp_path / "shops", train=8, test=8)
    for column in ("text_column", "label_column", "domain_column"):
        with pytest.raises(ValueError, match=r"no column 'nothing': choose from text, label, shop"):
            source(tmp_path, **({"path": path} | {column: "nothing"})).domains()
    with pytest.raises(ValueError, match=r"no column 'nothing': choose from"):
        HuggingFace(path=path, image_column="nothing").domains()
    with pytest.raises(ValueError, match=r"'label' of .* holds no images, but .*choose another image_column"):
        HuggingFace(path=path, image_column="label", label_column="shop").domains()
    with pytest.raises(ValueError, match=r"the tokenizer in .*shops could not be loaded \("):
        source(tmp_path, path=path, encoding=Tokens(model=path)).domains()
    for absent in (str(tmp_path / "absent"), str(tmp_path / "tokenizer/tokenizer.json.txt")):
        with pytest.raises(ValueError, match=r"^the data set '.*' could not be loaded \([^\n]*$"):
            source(tmp_path, path=absent).domains()
    with pytest.raises(ValueError, match=r"could not be loaded \(.* has no configuration 'large': set name to null"):
        source(tmp_path, path=path, name="large").domains()
    (tmp_path / "notes.txt").write_text("a")
    with pytest.raises(ValueError, match=r"a file that ends in \.txt is none of \.arrow, \.csv"):
        source(tmp_path, path=str(tmp_path / "notes.txt")).domains()


@needs_extra
def test_rows_without_a_class_are_refused(tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset

    rows = texts(4) | {"label": [0, -1, 1, -1]}
    plain = Dataset.from_dict(rows)
    plain.save_to_disk(tmp_path / "numbers")
    plain.cast_column("label", ClassLabel(names=["a", "b"])).save_to_disk(tmp_path / "unlabelled")
    (domain,) = source(tmp_path, path=str(tmp_path / "numbers"), test_split=None).domains()
    assert domain.class_names == ["-1", "0", "1"]
    with pytest.raises(ValueError, match=r"'label' of .* has rows without a value \(null, or -1 for a class\)"):
        source(tmp_path, path=str(tmp_path / "unlabelled"), test_split=None).domains()


@needs_extra
@pytest.mark.parametrize("text", [None, " "])
def test_rows_without_a_text_are_refused(text: str | None, tmp_path: Path) -> None:
    from datasets import Dataset

    Dataset.from_dict({"text": ["one", text], "label": [0, 1]}).save_to_disk(tmp_path / "gap")
    with pytest.raises(ValueError, match=r"row 1 of '.*gap' has no text in 'text': leave it out"):
        source(tmp_path, path=str(tmp_path / "gap"), test_split=None).domains()


@needs_extra
@pytest.mark.parametrize(("labels", "warned"), [("abbc", True), ("abab", False), ("abcd", False), ("aaab", False)])
def test_domains_whose_classes_only_seem_to_be_the_same_are_told(
    labels: str, warned: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from datasets import Dataset

    rows = {"text": ["one"] * 4, "label": list(labels), "shop": ["north", "north", "south", "south"]}
    Dataset.from_dict(rows).save_to_disk(tmp_path / "shops")
    domains: list[Domain] = source(
        tmp_path, path=str(tmp_path / "shops"), test_split=None, domain_column="shop"
    ).domains()
    assert [domain.class_names for domain in domains] == [sorted(set(labels[:2])), sorted(set(labels[2:]))]
    named = [domain.class_names[number] for domain in domains for number in domain.y]
    assert named == list(labels)
    assert ("as many classes but not the same ones" in caplog.text) == warned
