"""A run folder that lies elsewhere: worked in locally, copied there, and fetched when the run goes on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import lifelong
from lifelong.run.mirror import Mirror, is_remote, local_checkpoint
from lifelong.run.options import run_options
from lifelong.utilities.cache import cache_folder
from tests.command_line import TINY, error_of, run_here
from tests.launches import outcome, start_slurm
from tests.toys import make_learner, toy_data

QUIET: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "accelerator": "cpu"}
MEMORY = "memory://bucket/runs"


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    yield
    MemoryFileSystem.store.clear()


@pytest.fixture(params=["memory", "file"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where runs lie."""
    return MEMORY if request.param == "memory" else f"file://{tmp_path}/elsewhere"


def names(url: str) -> set[str]:
    system, root = fsspec.core.url_to_fs(url)
    return {path[len(root) + 1 :] for path in system.find(root)}


def content(url: str, name: str) -> bytes:
    system, root = fsspec.core.url_to_fs(url)
    return bytes(system.cat_file(f"{root}/{name}"))


def another_machine() -> None:
    """Nothing is left here."""
    shutil.rmtree(cache_folder())


def test_a_run_lies_where_its_root_is(root: str, tmp_path: Path) -> None:
    run_here("fit", *TINY, f"--run.root={root}", "--run.name=a", "--checkpoint.every_n_steps=2")
    url = f"{root}/a"
    written = {"config.yaml", "results.json", "metrics.csv", "checkpoints/last.ckpt", "scores.npz", "report.html"}
    assert names(url) >= written
    assert not {name for name in names(url) if ".part" in name or ".lock" in name}
    for name in names(url):
        assert content(url, name) == (Mirror(url).folder / name).read_bytes(), name
    assert json.loads(content(url, "results.json"))["finished"]
    assert {path.name for path in tmp_path.iterdir()} <= {"cache", "elsewhere"}  # no folder of the name memory:


def test_a_run_goes_on_on_another_machine(root: str) -> None:
    options = ["fit", *TINY, f"--run.root={root}", "--run.name=a", "--run.resume=auto"]
    run_here("fit", *TINY, "--run.name=whole")
    run_here(*options, "--trainer.max_epochs=1")
    another_machine()
    run_here(*options)
    results = [json.loads(content(url, "results.json")) for url in (f"{root}/a", f"file://{Path.cwd()}/runs/whole")]
    assert results[0]["matrix"] == results[1]["matrix"]
    assert "checkpoints/experience-02.ckpt" in names(f"{root}/a")


def test_a_finished_run_elsewhere_is_extended(root: str) -> None:
    run_here("fit", *TINY, f"--run.root={root}", "--run.name=a")
    another_machine()
    glyphs = (
        "{class_path: datamodules.Glyphs, init_args: {n_classes: 24, n_examples: 10, image_size: 8, styles: [blobs]}}"
    )
    run_here("extend", f"{root}/a", f"--data.sources+={glyphs.replace('blobs', 'inscriptions')}")
    assert len(json.loads(content(f"{root}/a", "results.json"))["matrix"]) == 4


def test_a_name_in_use_is_refused(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["fit", *TINY, f"--run.root={root}", "--run.name=a"]
    run_here(*options, "--trainer.max_epochs=1")
    another_machine()
    code, message = error_of(capsys, *options)
    assert code == 1
    assert (
        f"the run folder {root}/a is in use: choose another --run.name, or go on with --ckpt_path {root}/a" in message
    )


@pytest.mark.filterwarnings("ignore:Be aware that when using")
def test_a_checkpoint_elsewhere_is_evaluated_and_loaded(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    run_here("fit", *TINY, f"--run.root={root}", "--run.name=a")
    another_machine()
    run_here("test", f"--ckpt_path={root}/a/checkpoints/last.ckpt", "--trainer.logger=false")
    assert [name for name in names(f"{root}/a") if name.startswith("test")]
    another_machine()
    run = lifelong.load(f"{root}/a")
    assert run.matrix.shape == (3, 3)
    before = names(f"{root}/a")
    run.validate(logger=False, enable_progress_bar=False)
    assert names(f"{root}/a") > before
    code, message = error_of(capsys, "test", f"--ckpt_path={root}/b/checkpoints/last.ckpt")
    assert (code, f"the run folder {root}/b cannot be reached (there is no checkpoints/last.ckpt)" in message) == (
        1,
        True,
    )
    _, message = error_of(capsys, "test", "--ckpt_path=last", f"--run.root={root}")
    assert f"give --ckpt_path {root}/NAME/checkpoints/last.ckpt" in message


def test_python_takes_the_same_paths(root: str) -> None:
    def fit(**settings: Any) -> lifelong.Run:
        return lifelong.fit(make_learner("ProtoNet"), toy_data(2), run=f"{root}/a", **QUIET, **settings)

    assert (run_options(f"{root}/a/").root, run_options(f"{root}/a").name) == (root, "a")
    fit(max_epochs=1, num_sanity_val_steps=0)
    another_machine()
    run = fit(ckpt_path=f"{root}/a/checkpoints/last.ckpt")
    assert len(run.matrix) == 2
    assert "checkpoints/experience-01.ckpt" in names(f"{root}/a")


def test_runs_without_a_name_have_their_own_folders(root: str) -> None:
    for _ in range(2):
        run_here("fit", *TINY, f"--run.root={root}", "--trainer.max_epochs=1")
    assert len({name.partition("/")[0] for name in names(root)}) == 2


class Broken(MemoryFileSystem):
    """Takes small files only."""

    protocol = "broken"

    def put_file(self, lpath: str, rpath: str, *args: Any, **kwargs: Any) -> None:
        raise PermissionError("no space")


def test_a_copy_that_fails_stops_no_training_and_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    fsspec.register_implementation("broken", Broken, clobber=True)
    with pytest.warns(UserWarning, match="no space"):
        code, message = error_of(capsys, "fit", *TINY, "--run.root=broken://runs", "--run.name=a")
    assert code == 1
    assert "error: the run folder broken://runs/a cannot be reached (no space): all is done and lies in" in message
    assert json.loads((Mirror("broken://runs/a").folder / "results.json").read_text())["finished"]


@pytest.mark.parametrize(
    ("root", "says"),
    [("nowhere://runs", "Protocol not known: nowhere"), ("file:///proc/runs", "the run folder file:///proc/runs/a")],
)
def test_what_cannot_be_used_is_one_sentence(root: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, message = error_of(capsys, "fit", *TINY, f"--run.root={root}", "--run.name=a")
    assert code == 1
    assert says in message
    assert "Traceback" not in message


# -- the two folders -------------------------------------------------------------------------------------------------


def write(mirror: Mirror, **files: str) -> None:
    for name, text in files.items():
        mirror.folder.mkdir(parents=True, exist_ok=True)
        (mirror.folder / name).write_text(text)


def read(mirror: Mirror) -> dict[str, str]:
    return {path.name: path.read_text() for path in mirror.folder.iterdir() if not path.name.startswith(".")}


@pytest.fixture
def mirrors(root: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Mirror, Mirror]:
    """The copies of one folder on two machines."""
    first = Mirror(f"{root}/a")
    monkeypatch.setenv("LIFELONG_CACHE", str(cache_folder().with_name("other")))
    return first, Mirror(f"{root}/a")


def test_only_what_has_changed_is_copied(mirrors: tuple[Mirror, Mirror], monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = mirrors
    write(first, a="1", b="1")
    copied: list[str] = []
    put = Mirror._put
    monkeypatch.setattr(Mirror, "_put", lambda mirror, name: (copied.append(name), put(mirror, name)))
    first.push()
    write(first, b="22")
    first.push()
    first.push()
    assert copied == ["a", "b", "b"]


def test_changes_travel_and_removed_files_go(mirrors: tuple[Mirror, Mirror]) -> None:
    first, second = mirrors
    write(first, a="1", b="1", c="1")
    first.push()
    second.fetch()
    write(second, b="22")
    (second.folder / "c").unlink()
    second.push()
    first.fetch()
    assert read(first) == read(second) == {"a": "1", "b": "22"}


def test_what_was_not_copied_yet_is_not_lost(mirrors: tuple[Mirror, Mirror]) -> None:
    first, _ = mirrors
    write(first, a="1")
    first.push()
    write(first, a="22", b="1")  # and then the process is killed
    first.fetch()
    assert read(first) == {"a": "22", "b": "1"}


def test_the_folder_elsewhere_wins_over_a_stale_change(mirrors: tuple[Mirror, Mirror]) -> None:
    first, second = mirrors
    write(first, a="1")
    first.push()
    second.fetch()
    write(second, a="second")
    second.push()
    write(first, a="stale")
    with pytest.warns(UserWarning, match=r"a has changed, and in .* as well: the latter is used"):
        first.fetch()
    assert read(first) == {"a": "second"}


def test_a_node_fetches_the_checkpoint_of_now(mirrors: tuple[Mirror, Mirror]) -> None:
    first, second = mirrors
    for text in ("1", "2"):
        write(first, a=text)
        first.push()
        assert second.fetch_file("a").read_text() == text


def test_local_paths_stay_what_they_are(tmp_path: Path) -> None:
    assert not is_remote(tmp_path)
    assert local_checkpoint("runs/a/last.ckpt") == "runs/a/last.ckpt"
    with pytest.raises(ValueError, match=r"is no checkpoint of a run folder"):
        local_checkpoint("s3://bucket/last.ckpt")
    folder = Mirror("memory://../../a").folder
    assert folder.resolve().is_relative_to(cache_folder().resolve())


@pytest.mark.slow
def test_processes_share_a_folder_that_lies_elsewhere(tmp_path: Path) -> None:
    url = f"file://{tmp_path}/elsewhere"
    for max_epochs in (1, -1):
        way_on = ["--run.resume=auto", f"--trainer.max_epochs={max_epochs}"]
        codes, printed = outcome(start_slurm(f"--run.root={url}", *way_on, cwd=tmp_path))
        assert set(codes) == {0}, printed
        another_machine()
    assert len(json.loads(content(f"{url}/4711", "results.json"))["matrix"]) == 3
    assert printed.count("copied to") == 1
