from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules import MNIST, FashionMNIST
from datamodules.mnist import read_idx
from lifelong.data.splits import split_domain
from tests.datamodules.https_server import digest_of
from tests.datamodules.memory import at_most

pytestmark = pytest.mark.filterwarnings("ignore:the half .* here, the official one has:UserWarning")


def _idx(array: np.ndarray) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def _write_half(
    folder: Path, half: str, n: int, *, packed: bool = True, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    folder.mkdir(parents=True, exist_ok=True)
    images = np.random.default_rng(seed).integers(0, 256, (n, 28, 28))
    labels = np.arange(n) % 10
    for name, array in ((f"{half}-images-idx3-ubyte", images), (f"{half}-labels-idx1-ubyte", labels)):
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(_idx(array)))
        else:
            (folder / name).write_bytes(_idx(array))
    return images, labels


def test_both_halves_are_joined_in_order(tmp_path):
    train, _ = _write_half(tmp_path / "mnist", "train", 30, seed=1)
    test, _ = _write_half(tmp_path / "mnist", "t10k", 20, seed=2)
    (domain,) = MNIST(root=str(tmp_path)).domains()
    assert domain.name == "MNIST"
    assert domain.holdout == "examples"
    assert list(domain.class_names) == list("0123456789")
    assert domain.x.dtype == torch.uint8
    assert np.array_equal(domain.x[:, 0].numpy(), np.concatenate([train, test]))
    assert domain.y.tolist() == [i % 10 for i in range(30)] + [i % 10 for i in range(20)]


@pytest.mark.parametrize("packed", [True, False])
def test_one_half_is_enough(tmp_path, packed):
    images, _ = _write_half(tmp_path, "t10k", 20, packed=packed)
    (domain,) = FashionMNIST(root=str(tmp_path)).domains()
    assert np.array_equal(domain.x[:, 0].numpy(), images)
    assert domain.class_names[9] == "ankle boot"


def test_root_defaults_to_the_environment(tmp_path, monkeypatch):
    _write_half(tmp_path / "mnist", "t10k", 10)
    monkeypatch.setenv("LIFELONG_DATA", str(tmp_path))
    assert len(MNIST().domains()[0].x) == 10


def test_max_per_class_keeps_the_first(tmp_path):
    images, _ = _write_half(tmp_path, "t10k", 50)
    (domain,) = MNIST(root=str(tmp_path), max_per_class=2).domains()
    assert np.array_equal(domain.x[:, 0].numpy(), images[:20])
    assert np.bincount(domain.y).tolist() == [2] * 10


def test_images_are_resized(tmp_path):
    images, _ = _write_half(tmp_path, "t10k", 10)
    (domain,) = MNIST(root=str(tmp_path), image_size=14).domains()
    assert domain.x.shape == (10, 1, 14, 14)
    blocks = images.reshape(10, 14, 2, 14, 2).mean((2, 4))
    assert np.corrcoef(domain.x.numpy().ravel(), blocks.ravel())[0, 1] > 0.9


def _truncate(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes()[:-5])


@pytest.mark.parametrize(
    ("packed", "suffix", "message"), [(True, ".gz", "cannot be unpacked"), (False, "", "15675 bytes")]
)
def test_a_truncated_file_is_named(tmp_path, packed, suffix, message):
    _write_half(tmp_path, "t10k", 20, packed=packed)
    _truncate(tmp_path, f"t10k-images-idx3-ubyte{suffix}")
    with pytest.raises(ValueError, match=f"t10k-images-idx3-ubyte{suffix} .*{message}"):
        MNIST(root=str(tmp_path)).domains()


def test_another_format_is_named(tmp_path):
    (tmp_path / "f").write_bytes(b"\x00\x00\x0d\x01rest")
    with pytest.raises(ValueError, match="f is not an idx file of unsigned bytes"):
        read_idx(tmp_path / "f")


def test_labels_must_be_there_and_fit(tmp_path):
    _write_half(tmp_path, "t10k", 20)
    labels = tmp_path / "t10k-labels-idx1-ubyte.gz"
    labels.write_bytes(gzip.compress(_idx(np.zeros(19))))
    with pytest.raises(ValueError, match="do not belong together"):
        MNIST(root=str(tmp_path)).domains()
    labels.unlink()
    with pytest.raises(ValueError, match="but not t10k-labels"):
        MNIST(root=str(tmp_path)).domains()


def test_what_is_missing_is_downloaded_once(tmp_path, monkeypatch, server):
    for half in ("train", "t10k"):
        _write_half(tmp_path / "mirror", half, 10)
    server.files = {path.name: path.read_bytes() for path in (tmp_path / "mirror").iterdir()}
    monkeypatch.setattr(MNIST, "MIRRORS", (server.url + "absent/", server.url))
    monkeypatch.setattr(MNIST, "HASHES", {name: digest_of(data) for name, data in server.files.items()})
    (first,) = MNIST(root=str(tmp_path / "data")).domains()
    assert len(first.x) == 20
    assert sorted(path.name for path in (tmp_path / "data/mnist").iterdir()) == sorted(server.files)
    server.files = {}
    (again,) = MNIST(root=str(tmp_path / "data")).domains()
    assert torch.equal(first.x, again.x)


def test_a_failed_download_says_what_where_and_the_way_out(tmp_path, monkeypatch, server):
    monkeypatch.setattr(FashionMNIST, "MIRRORS", (server.url,))
    with pytest.raises(
        ValueError, match=r"train-images-idx3-ubyte.gz was looked for in .*fashion-mnist .*LIFELONG_DATA"
    ):
        FashionMNIST(root=str(tmp_path)).domains()
    assert [path.name for path in (tmp_path / "fashion-mnist").iterdir()] in ([], [".train-images-idx3-ubyte.gz.lock"])


@pytest.mark.filterwarnings("error")
def test_other_counts_than_the_official_ones_are_told(tmp_path):
    _write_half(tmp_path, "t10k", 20)
    message = "the half t10k of MNIST has 20 images of 28×28 here, the official one has 10000 images of 28×28: results"
    with pytest.warns(UserWarning, match=message):
        MNIST(root=str(tmp_path)).domains()


@pytest.mark.parametrize("source", [MNIST, FashionMNIST])
def test_mirrors_are_over_tls_and_every_file_has_a_hash(source):
    assert all(mirror.startswith("https://") and mirror.endswith("/") for mirror in source.MIRRORS)
    assert sorted(source.HASHES) == sorted(
        f"{half}-{kind}-ubyte.gz" for half in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
    )


@pytest.mark.real_data
@pytest.mark.parametrize("source", [MNIST, FashionMNIST])
def test_the_published_files_have_the_hashes(source, real_data):
    files = {name: real_data / source.FOLDER / name for name in source.HASHES}
    if not (there := {name: path for name, path in files.items() if path.is_file()}):
        pytest.skip(f"no {source.FOLDER} under {real_data}: set LIFELONG_DATA")
    assert {name: digest_of(path.read_bytes()) for name, path in there.items()} == {
        name: source.HASHES[name] for name in there
    }


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("more", [b"x", bytes(1 << 22)])
def test_more_data_than_the_header_says_is_refused(tmp_path, packed, more):
    data = _idx(np.zeros((2, 3), np.uint8)) + more
    path = tmp_path / ("f.gz" if packed else "f")
    path.write_bytes(gzip.compress(data) if packed else data)
    with (
        at_most(1 << 21),
        pytest.raises(ValueError, match=r"f.* has more than 6 bytes of data, but its header \(2, 3\) needs 6: remove"),
    ):
        read_idx(path)


@pytest.mark.parametrize("shape", [(1 << 31, 1 << 31), (1 << 20, 33, 33)])
def test_a_header_that_asks_for_all_memory_is_refused(tmp_path, shape):
    path = tmp_path / "f.gz"
    path.write_bytes(gzip.compress(bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape)))
    with pytest.raises(ValueError, match=r"f.gz has the header .*: an idx file of at most 1073741824 bytes is read"):
        read_idx(path)


def test_a_packed_file_is_compared_with_its_checksum(tmp_path):
    data = bytearray(gzip.compress(_idx(np.arange(50))))
    data[-5] ^= 1
    (tmp_path / "f.gz").write_bytes(data)
    with pytest.raises(ValueError, match=r"f.gz cannot be unpacked \(CRC check failed"):
        read_idx(tmp_path / "f.gz")


def test_the_official_test_half_is_the_test_part(tmp_path):
    _write_half(tmp_path, "train", 60, seed=1)
    _write_half(tmp_path, "t10k", 20, seed=2)
    (domain,) = MNIST(root=str(tmp_path), official_test=True).domains()
    parts = split_domain(domain, domain.name, (0.5, 0.2), seed=0)
    members = {part: np.sort(np.concatenate(pool.members)) for part, pool in parts.items()}
    assert members["test"].tolist() == list(range(60, 80))
    assert len(members["train"]) == len(members["val"]) == 30
    assert sorted([*members["train"], *members["val"]]) == list(range(60))
