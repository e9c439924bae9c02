from __future__ import annotations

import io
import os
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules import Omniglot, omniglot
from datamodules.omniglot import balanced_groups
from lifelong.data.pool import TaskShape
from lifelong.data.sampling import draw_task
from lifelong.data.stream import build_stream
from tests.datamodules.https_server import digest_of
from tests.datamodules.memory import at_most

SIZES = {"background": {"Greek": 3, "Latin": 2}, "evaluation": {"Old_Church": 4}}
unofficial = pytest.mark.filterwarnings("ignore:the .* set of Omniglot has:UserWarning")


def _png(seed: int) -> bytes:
    paper = np.random.default_rng(seed).random((105, 105)) > 0.2
    file = io.BytesIO()
    Image.fromarray(paper).save(file, "PNG")
    return file.getvalue()


def _drawings(subset: str) -> dict[str, bytes]:
    names = [
        f"images_{subset}/{alphabet}/character{c + 1:02d}/{c:04d}_{d + 1:02d}.png"
        for alphabet, characters in SIZES[subset].items()
        for c in range(characters)
        for d in range(2)
    ]
    return {name: _png(i) for i, name in enumerate(names)}


def _write(root: Path, subset: str, *, packed: bool) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    if packed:
        with zipfile.ZipFile(root / f"images_{subset}.zip", "w") as archive:
            for name, png in reversed(_drawings(subset).items()):  # the order in the archive must not matter
                archive.writestr(name, png)
            archive.writestr(f"__MACOSX/images_{subset}/Greek/character01/._0000_01.png", b"not an image")
        return root / f"images_{subset}.zip"
    for name, png in _drawings(subset).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png)
        (root / name).with_name("._0000_01.png").write_bytes(b"not an image")
    return root / f"images_{subset}"


@pytest.fixture
def root(tmp_path: Path) -> str:
    for subset in SIZES:
        _write(tmp_path / "data" / "omniglot", subset, packed=True)
    return str(tmp_path / "data")


@unofficial
def test_drawings_become_bright_ink_in_the_order_of_their_names(root):
    (domain,) = Omniglot(root=root, experiences="all", subset="background", image_size=105).domains()
    assert list(domain.class_names) == [f"Greek/character0{i}" for i in (1, 2, 3)] + [
        f"Latin/character0{i}" for i in (1, 2)
    ]
    assert domain.y.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert domain.x.shape == (10, 1, 105, 105)
    for image, png in zip(domain.x[:, 0].numpy(), _drawings("background").values(), strict=True):
        paper = np.asarray(Image.open(io.BytesIO(png)))
        assert np.array_equal(image, np.where(paper, 0, 255))


@unofficial
def test_archive_and_unpacked_folder_give_the_same(root, tmp_path):
    _write(tmp_path / "unpacked", "background", packed=False)
    packed = Omniglot(root=root, experiences="alphabets", subset="background").domains()
    unpacked = Omniglot(root=str(tmp_path / "unpacked"), experiences="alphabets", subset="background").domains()
    assert [d.name for d in packed] == [d.name for d in unpacked] == ["Greek", "Latin"]
    for a, b in zip(packed, unpacked, strict=True):
        assert a.x.shape[1:] == (1, 28, 28)
        assert torch.equal(a.x, b.x)
        assert a.y.tolist() == b.y.tolist()
        assert list(a.class_names) == list(b.class_names)


@unofficial
def test_both_sets_are_joined(root):
    domains = Omniglot(root=root, experiences="alphabets").domains()
    assert [(d.name, len(d.class_names), len(d.x)) for d in domains] == [
        ("Greek", 3, 6),
        ("Latin", 2, 4),
        ("Old Church", 4, 8),
    ]


@unofficial
def test_the_cache_is_rebuilt_when_it_is_damaged_or_stale(root, tmp_path, monkeypatch):
    source = Omniglot(root=root, experiences="all", subset="evaluation")
    first = source.domains()[0].x
    (cached,) = (tmp_path / "cache").iterdir()
    with monkeypatch.context() as patch:
        patch.setattr("datamodules.omniglot._ink", lambda *_: pytest.fail("decoded again"))
        assert torch.equal(source.domains()[0].x, first)
    cached.write_bytes(cached.read_bytes()[:-100])
    with pytest.warns(UserWarning, match="the decoded images in .* are damaged .*: they are decoded anew"):
        assert torch.equal(source.domains()[0].x, first)
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [cached.name]
    os.utime(Path(root) / "omniglot" / "images_evaluation.zip", (1, 1))
    source.domains()
    assert len(list((tmp_path / "cache").iterdir())) == 2


@unofficial
@pytest.mark.parametrize("rotations", ["classes", "augment"])
def test_rotations_turn_every_drawing(root, rotations):
    (plain,) = Omniglot(root=root, experiences="all", subset="background").domains()
    (turned,) = Omniglot(root=root, experiences="all", subset="background", rotations=rotations).domains()
    assert (turned.siblings, turned.n_variants) == ((4, 1) if rotations == "classes" else (1, 4))
    assert len(turned.class_names) == 20
    for c in range(5):
        upright = plain.x[plain.y == c].numpy()
        for turns in range(4):
            assert turned.class_names[4 * c + turns] == f"{plain.class_names[c]} {90 * turns}°"
            assert np.array_equal(turned.x[turned.y == 4 * c + turns].numpy(), np.rot90(upright, turns, (2, 3)))


@unofficial
def test_rotations_share_a_split_and_meet_only_as_classes(root):
    rng = np.random.default_rng(0)
    for rotations, n_classes in (("classes", 12), ("augment", 3)):
        domains = Omniglot(root=root, experiences="all", subset="background", rotations=rotations).domains()
        stream = build_stream(domains, split=(1, 1), split_seed=0)
        (train,) = stream.experiences[0].pools
        assert train.n_classes == n_classes
        parts = [{name.split()[0] for name in pool.names} for pool in (train, stream.val[0], stream.test[0])]
        assert [len(part) for part in parts] == [3, 1, 1]
        assert len(set.union(*parts)) == 5
        draws = [draw_task([train], TaskShape(3, 1, 1), rng) for _ in range(50)]
        owner = {int(i): name.split()[0] for name, m in zip(train.names, train.members, strict=True) for i in m}
        meets = any(len({owner[int(i)] for i in draw.support}) < 3 for draw in draws)
        assert meets == (rotations == "classes")


@unofficial
def test_groups_hold_every_alphabet_once(root):
    domains = Omniglot(root=root, n_groups=2).domains()
    assert [d.name for d in domains] == ["group 01", "group 02"]
    names = [name for d in domains for name in d.class_names]
    assert sorted(names) == sorted({*names})
    assert len(names) == 9
    assert sorted(len(d.class_names) for d in domains) == [4, 5]


def test_groups_are_balanced():
    sizes = {f"alphabet {i:02d}": int(n) for i, n in enumerate(np.random.default_rng(0).integers(14, 56, 50))}
    groups = balanced_groups(sizes, 10)
    totals = [sum(sizes[a] for a in group) for group in groups]
    assert sorted(a for group in groups for a in group) == sorted(sizes)
    assert max(totals) - min(totals) < 14
    assert balanced_groups(dict(reversed(sizes.items())), 10) == groups


@pytest.mark.parametrize("n_groups", [0, 3])
def test_impossible_groups_are_refused(n_groups):
    with pytest.raises(ValueError, match=f"n_groups is {n_groups}: 2 alphabets"):
        balanced_groups({"Greek": 24, "Latin": 26}, n_groups)


def test_other_counts_than_the_official_ones_are_told(root):
    with pytest.warns(
        UserWarning,
        match="background set of Omniglot has 5 characters of 2 to 2 drawings here, the official one has 964",
    ):
        Omniglot(root=root, subset="background", experiences="all").domains()


def test_a_missing_archive_is_downloaded_whole_or_not_at_all(tmp_path, monkeypatch, server):
    _write(tmp_path / "mirror", "evaluation", packed=True)
    server.files = {path.name: path.read_bytes() for path in (tmp_path / "mirror").iterdir()}
    digest = digest_of(server.files["images_evaluation.zip"])
    monkeypatch.setattr(omniglot, "URL", server.url)
    monkeypatch.setattr(omniglot, "HASHES", {"background": digest, "evaluation": digest})
    monkeypatch.setenv("LIFELONG_DATA", str(tmp_path / "data"))
    with pytest.warns(UserWarning, match="evaluation set of Omniglot has 4 characters"):
        assert len(Omniglot(subset="evaluation", experiences="all").domains()[0].class_names) == 4
    assert [p.name for p in (tmp_path / "data" / "omniglot").iterdir()] == ["images_evaluation.zip"]
    with pytest.raises(
        ValueError, match=r"images_background.zip was looked for in .*omniglot and could not .*LIFELONG_DATA"
    ):
        Omniglot(subset="background").domains()
    names = {p.name for p in (tmp_path / "data" / "omniglot").iterdir()}
    assert names - {".images_background.zip.lock"} == {"images_evaluation.zip"}


@pytest.mark.parametrize(
    "name", ["../images_background/Greek/character01/0001_01.png", "/Greek/c/1.png", "C:\\a\\b.png"]
)
def test_an_entry_that_leads_out_of_the_archive_is_refused(tmp_path, name):
    archive = _write(tmp_path, "background", packed=True)
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(name, _png(0))
    with pytest.raises(
        ValueError, match=r"images_background\.zip has the entry '.*', which leads out of it: no data set"
    ):
        Omniglot(root=str(tmp_path), subset="background").domains()


def test_a_link_in_the_archive_is_refused(tmp_path):
    archive = _write(tmp_path, "background", packed=True)
    link = zipfile.ZipInfo("images_background/Greek/character01/0009_01.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr(link, "/etc/passwd")
    with pytest.raises(ValueError, match=r"images_background\.zip has the entry '.*0009_01\.png', which is a link"):
        Omniglot(root=str(tmp_path), subset="background").domains()


@pytest.mark.parametrize("lies", [False, True])
def test_a_drawing_that_unpacks_to_much_is_refused(tmp_path, lies):
    archive = tmp_path / "images_background.zip"
    name = "images_background/Greek/character01/0001_01.png"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, bytes(1 << 26))
    if lies:
        data = archive.read_bytes()
        archive.write_bytes(data.replace((1 << 26).to_bytes(4, "little"), (1 << 10).to_bytes(4, "little")))
    with (
        at_most(1 << 24),
        pytest.raises(ValueError, match=r"0001_01\.png in .*zip is damaged \(.*\): remove .* to download it again"),
    ):
        Omniglot(root=str(tmp_path), subset="background").domains()


def test_a_packing_without_a_limit_is_refused(tmp_path):
    archive = tmp_path / "images_background.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_LZMA) as file:
        file.writestr("images_background/Greek/character01/0001_01.png", bytes(1 << 20))
    with pytest.raises(ValueError, match="it is packed by method 14: expected 0 or 8"):
        Omniglot(root=str(tmp_path), subset="background").domains()


def test_damaged_and_empty_archives_are_named(tmp_path):
    archive = _write(tmp_path, "background", packed=True)
    whole = archive.read_bytes()
    archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"images_background.zip is not a complete zip archive"):
        Omniglot(root=str(tmp_path), subset="background").domains()
    archive.write_bytes(whole.replace(b"IDAT", b"IDAx"))
    with pytest.raises(ValueError, match=r"0000_01.png in .*images_background.zip is damaged"):
        Omniglot(root=str(tmp_path), subset="background").domains()
    with zipfile.ZipFile(archive, "w"):
        pass
    with pytest.raises(ValueError, match=r"images_background.zip has no drawing: expected <alphabet>"):
        Omniglot(root=str(tmp_path), subset="background").domains()
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.real_data
def test_the_official_archives_have_the_official_counts(real_data):
    if not (real_data / "omniglot" / "images_background.zip").is_file():
        pytest.skip(f"no Omniglot archives under {real_data}: set LIFELONG_DATA")
    # Counts that differ from 964 and 659 characters of 20 drawings warn, and a warning is an error here.
    domains = Omniglot(root=str(real_data), experiences="alphabets", image_size=14).domains()
    assert len(domains) == 50
    assert sum(len(d.class_names) for d in domains) == 964 + 659
    assert all((np.bincount(d.y) == 20).all() for d in domains)
    assert all(0.01 < d.x.float().mean() / 255 < 0.3 for d in domains)
