"""CIFAR-10 from either archive, small ones made here."""

from __future__ import annotations

import io
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules import CIFAR10, SplitClasses, _files, cifar10
from datamodules._download import Download
from datamodules.cifar10 import BINARY, CLASSES, FILES, JPEG
from lifelong.data.stream import build_stream
from tests.datamodules.https_server import Server, digest_of

pytestmark = pytest.mark.filterwarnings("ignore:CIFAR-10 has .* here, the official one has:UserWarning")


def pack(path: Path, contents: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, f"w:{path.suffix[1:]}") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def binary(root: Path, n: int = 20, **changes: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Write the binary archive of ``n`` images a file; return images and classes of all."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (6 * n, 3072), np.uint8)
    y = np.concatenate([rng.permutation(np.arange(n) % 10) for _ in range(6)]).astype(np.uint8)
    rows = np.concatenate([y[:, None], x], axis=1).reshape(6, -1)
    contents = {name: row.tobytes() for name, row in zip(FILES, rows, strict=True)}
    contents = {"cifar-10-batches-bin/readme.html": b"<p>", **contents, **changes}
    pack(root / BINARY[0] / BINARY[1], dict(reversed(contents.items())))
    return x.reshape(-1, 3, 32, 32), y


def smooth(seed: int) -> np.ndarray:
    """A colour gradient, which JPEG keeps nearly."""
    ramp = np.linspace(0, 200, 32)
    low = np.random.default_rng(seed).integers(0, 50, 3)
    return (low + np.stack([ramp[None] + 0 * ramp[:, None]] * 3, -1)).astype(np.uint8)


def jpeg(root: Path, n: int = 3) -> None:
    """Write the archive of JPEG images, the last one first: ``n`` of each class for training, one for test."""
    contents = {}
    for part, count in (("train", n), ("test", 1)):
        for number, name in enumerate(CLASSES):
            for i in range(count):
                file = io.BytesIO()
                Image.fromarray(smooth(10 * i + number)).save(file, "JPEG", quality=95)
                contents[f"{part}/{name}/{i:04d}.jpg"] = file.getvalue()
    pack(root / JPEG[0] / JPEG[1], dict(reversed(contents.items())))


def test_the_binary_archive_is_read_as_it_is_documented(tmp_path: Path) -> None:
    x, y = binary(tmp_path)
    (domain,) = CIFAR10(root=str(tmp_path)).domains()
    assert np.array_equal(domain.x.numpy(), x)
    assert np.array_equal(domain.y, y)
    assert domain.in_test is not None
    assert domain.in_test.tolist() == [False] * 100 + [True] * 20
    assert (domain.name, domain.holdout, tuple(domain.class_names)) == ("CIFAR-10", "examples", CLASSES)


def test_jpeg_images_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    jpeg(tmp_path)
    (domain,) = CIFAR10(root=str(tmp_path / JPEG[0])).domains()
    assert domain.in_test is not None
    assert domain.y.tolist() == [c for c in range(10) for _ in range(3)] + list(range(10))
    assert domain.in_test.tolist() == [False] * 30 + [True] * 10
    for place, seed in ((0, 0), (1, 10), (4, 11), (39, 9)):
        difference = domain.x[place].numpy().astype(int) - smooth(seed).transpose(2, 0, 1)
        assert np.abs(difference).max() < 12
    assert domain.x.shape == (40, 3, 32, 32)


def test_the_binary_archive_comes_first(tmp_path: Path) -> None:
    x, _ = binary(tmp_path)
    jpeg(tmp_path)
    assert np.array_equal(CIFAR10(root=str(tmp_path)).domains()[0].x.numpy(), x)


def test_images_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jpeg(tmp_path)
    (first,) = CIFAR10(root=str(tmp_path)).domains()
    monkeypatch.setattr(cifar10, "read_tar", None)
    (second,) = CIFAR10(root=str(tmp_path)).domains()
    assert np.array_equal(first.x, second.x)
    assert np.array_equal(first.y, second.y)
    assert np.array_equal(np.asarray(first.in_test), np.asarray(second.in_test))


def test_a_damaged_cache_is_decoded_anew(tmp_path: Path) -> None:
    x, _ = binary(tmp_path)
    source = CIFAR10(root=str(tmp_path))
    source.domains()
    (cache,) = _files.cache_folder().glob("CIFAR-10-*.npy")
    content = bytearray(cache.read_bytes())
    content[1000] ^= 1
    cache.write_bytes(content)
    with pytest.warns(UserWarning, match="are damaged"):
        assert np.array_equal(source.domains()[0].x.numpy(), x)
    assert np.array_equal(source.domains()[0].x.numpy(), x)


def test_some_images_of_each_class_are_the_first_of_either_part(tmp_path: Path) -> None:
    x, y = binary(tmp_path)
    (domain,) = CIFAR10(root=str(tmp_path), max_per_class=1).domains()
    expected = sorted([int(np.flatnonzero(y[:100] == c)[0]) for c in range(10)])
    expected += sorted([100 + int(np.flatnonzero(y[100:] == c)[0]) for c in range(10)])
    assert np.array_equal(domain.x.numpy(), x[expected])
    with pytest.raises(ValueError, match="CIFAR10's max_per_class is 0"):
        CIFAR10(max_per_class=0)


def test_official_test_images_are_the_test_part_of_a_stream(tmp_path: Path) -> None:
    _, y = binary(tmp_path)
    domains = SplitClasses(CIFAR10(root=str(tmp_path))).domains()
    assert [list(d.class_names) for d in domains] == [list(CLASSES[i : i + 2]) for i in range(0, 10, 2)]
    stream = build_stream(domains, split=(0.1, 0.2), split_seed=0, hold_out_examples=True)
    assert [len(pool) for pool in stream.test] == [int(np.isin(y[100:], [i, i + 1]).sum()) for i in range(0, 10, 2)]
    assert CIFAR10(root=str(tmp_path), holdout="classes").domains()[0].in_test is None


def test_without_a_file_the_archive_is_downloaded(server: Server, tmp_path: Path, monkeypatch: Any) -> None:
    x, _ = binary(tmp_path / "there")
    server.files = {BINARY[1]: (tmp_path / "there" / BINARY[0] / BINARY[1]).read_bytes()}
    download = Download((server.url + BINARY[1],), digest_of(server.files[BINARY[1]]), 1 << 24)
    monkeypatch.setattr(cifar10, "DOWNLOAD", download)
    assert np.array_equal(CIFAR10(root=str(tmp_path)).domains()[0].x.numpy(), x)
    assert (tmp_path / BINARY[0] / BINARY[1]).is_file()


def test_other_archives_are_refused(tmp_path: Path) -> None:
    def refusal(root: Path) -> str:
        with pytest.raises(ValueError, match="get") as caught:
            CIFAR10(root=str(root)).domains()
        return str(caught.value)

    pack(tmp_path / "a" / BINARY[1], {"some": b""})
    assert "data_batch_1.bin: it is not the binary version of CIFAR-10" in refusal(tmp_path / "a")
    for number, content in enumerate((b"", bytes(3072), b"\x0a" + bytes(3072))):
        binary(tmp_path / str(number), **{FILES[2]: content})
        assert f"{FILES[2]} in" in refusal(tmp_path / str(number))
    pack(tmp_path / "b" / JPEG[1], {"some": b""})
    assert "has no image such as train/airplane/0000.jpg" in refusal(tmp_path / "b")
    pack(tmp_path / "c" / JPEG[1], {"train/cat/0001.jpg": b"no image"})
    assert "train/cat/0001.jpg in" in refusal(tmp_path / "c")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / BINARY[1]).write_bytes(b"\x1f\x8b damaged")
    assert "cannot be unpacked (" in refusal(tmp_path / "d")


def test_images_of_another_size_are_named(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (8, 6)).save(file, "JPEG")
    pack(tmp_path / JPEG[1], {"test/dog/0000.jpg": file.getvalue()})
    with pytest.raises(ValueError, match=r"test/dog/0000\.jpg in .* has 8×6 pixels, 32×32 were expected"):
        CIFAR10(root=str(tmp_path)).domains()


@pytest.mark.real_data
def test_the_real_images_are_all_there_and_load_within_a_second(real_data: Path) -> None:
    if not (real_data / JPEG[0] / JPEG[1]).is_file():
        pytest.skip(f"{JPEG[1]} is not in {real_data / JPEG[0]}: set LIFELONG_DATA")
    source = CIFAR10(root=str(real_data))
    (domain,) = source.domains()
    assert domain.in_test is not None
    assert np.bincount(domain.y[~domain.in_test]).tolist() == [5000] * 10
    assert np.bincount(domain.y[domain.in_test]).tolist() == [1000] * 10
    began = time.perf_counter()
    source.domains()
    assert time.perf_counter() - began < 1
