"""A checkpoint file is whole or refused in one sentence."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lifelong.utilities.checkpoint_file import damage, newest_whole, read_checkpoint, write_checkpoint

CONTENT: dict[str, Any] = {"state_dict": {"learner.w": torch.arange(64.0), "learner.n": torch.tensor(3)}, "step": 7}


class Evil:
    def __reduce__(self) -> Any:
        return os.mkdir, ("ran-code",)


def flip(place: int) -> Callable[[Path], Any]:
    def spoil(file: Path) -> None:
        content = bytearray(file.read_bytes())
        content[place] ^= 0xFF
        file.write_bytes(content)

    return spoil


def flip_a_weight(file: Path) -> None:
    flip(file.read_bytes().index(torch.tensor(42.0).numpy().tobytes()))(file)


def not_finite(value: float) -> Callable[[Path], Any]:
    return lambda file: torch.save({"state_dict": {"learner.w": torch.tensor([1.0, value])}}, file)


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a flipped byte of a weight": (flip_a_weight, "does not have the bytes that were written"),
    "a flipped last byte": (flip(-1), "damaged or none"),
    "a flipped first byte": (flip(0), "damaged or none"),
    "its second half missing": (lambda file: os.truncate(file, file.stat().st_size // 2), "its end is missing"),
    "its last byte missing": (lambda file: os.truncate(file, file.stat().st_size - 1), "its end is missing"),
    "zero bytes": (lambda file: file.write_bytes(b""), "it is empty"),
    "only zeros": (lambda file: file.write_bytes(bytes(4096)), "no archive of torch"),
    "text": (lambda file: file.write_text("no checkpoint\n"), "no archive of torch"),
    "a foreign pickle": (lambda file: file.write_bytes(pickle.dumps(Evil())), "no archive of torch"),
    "a foreign archive": (lambda file: zipfile.ZipFile(file, "w").writestr("a", "b"), "not what torch writes"),
    "code": (lambda file: torch.save({"state_dict": Evil()}, file), "could run code"),
    "a list": (lambda file: torch.save([1, 2], file), "not written by lifelong"),
    "no weights": (lambda file: torch.save({"weights": torch.ones(1)}, file), "not written by lifelong"),
    "a weight that is no number": (not_finite(float("nan")), "the weights learner.w in .* are not finite numbers"),
    "a weight that is infinite": (not_finite(float("inf")), "the weights learner.w in .* are not finite numbers"),
}


def test_any_flipped_byte_is_found_or_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "last.ckpt"
    write_checkpoint({"state_dict": {"learner.w": torch.arange(8.0)}, "step": 7}, file)
    whole = file.read_bytes()
    n_found = 0
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            content = read_checkpoint(file)
        except ValueError:
            n_found += 1
        else:
            assert content["state_dict"]["learner.w"].tolist() == list(range(8))
            assert content["step"] == 7
    assert n_found > len(whole) / 4


@pytest.mark.filterwarnings("ignore:unclosed")
@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_whole_checkpoint_is_one_sentence(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "last.ckpt"
    write_checkpoint(CONTENT, file)
    spoil, words = BAD[kind]
    spoil(file)
    with pytest.raises(ValueError, match=words) as error:
        read_checkpoint(file)
    message = str(error.value)
    assert str(file) in message
    assert "\n" not in message
    assert "weights_only" not in message
    assert not (tmp_path / "ran-code").exists()
    assert not Path("ran-code").exists()


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "no.ckpt", tmp_path):
        with pytest.raises(ValueError, match=r"is not there: give the path of one in a run's checkpoints/"):
            read_checkpoint(path)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "last.ckpt"
    write_checkpoint(CONTENT, file)
    assert damage(file) is None
    again = read_checkpoint(file)
    assert torch.equal(again["state_dict"]["learner.w"], CONTENT["state_dict"]["learner.w"])
    assert again["step"] == 7
    assert [path.name for path in file.parent.iterdir()] == ["last.ckpt"]


def test_a_checkpoint_is_written_beside_its_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.extend(path.name for path in tmp_path.iterdir()))
    write_checkpoint(CONTENT, tmp_path / "last.ckpt")
    # While the file is flushed it lies beside its target, and when the folder is flushed it has its name.
    assert seen == [f".last.ckpt.{os.getpid()}.part", "last.ckpt"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "last.ckpt"
    write_checkpoint(CONTENT, file)
    before = file.read_bytes()

    def full(*_: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_checkpoint({"state_dict": {}}, file)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_the_newest_whole_one_stands_in_with_a_warning(tmp_path: Path) -> None:
    names = ["experience-00.ckpt", "experience-01.ckpt", "last.ckpt"]
    for age, name in enumerate(names):
        write_checkpoint(CONTENT, tmp_path / name)
        os.utime(tmp_path / name, (age, age))
    assert newest_whole(tmp_path) == tmp_path / "last.ckpt"
    flip(-1)(tmp_path / "last.ckpt")
    os.utime(tmp_path / "last.ckpt", (9, 9))
    with pytest.warns(UserWarning, match=r"last.ckpt is damaged: .*: .*experience-01.ckpt is used in its place"):
        assert newest_whole(tmp_path) == tmp_path / "experience-01.ckpt"
    with pytest.raises(ValueError, match=r"the newest whole one there is .*experience-01.ckpt"):
        read_checkpoint(tmp_path / "last.ckpt")
    for name in names[:2]:
        (tmp_path / name).write_bytes(b"")
    assert newest_whole(tmp_path) is None
