"""Laws that every source obeys; those that read files of their own are in the rows with files made here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import datamodules
from datamodules import (
    CIFAR10,
    Dynamics,
    Encoded,
    Glyphs,
    ImageFolder,
    Permuted,
    Rooms,
    Rotated,
    Sinusoids,
    SplitClasses,
    Tensors,
)
from lifelong.data.images import same_shape
from lifelong.data.source import Source
from lifelong.data.stream import build_stream
from lifelong.vision import FrozenEncoder
from tests.control.rooms.points_in_rooms import WidePoint
from tests.datamodules.test_cifar10 import binary
from tests.robots import Slider
from tests.vision.networks import Counting

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


def glyphs() -> Glyphs:
    return Glyphs(styles=["strokes", "textures"], n_classes=8, n_examples=5, image_size=8)


def photos(folder: Path) -> ImageFolder:
    rng = np.random.default_rng(0)
    for name in (f"{e}/{c}" for e in ("farm", "zoo") for c in "abcd"):
        (folder / name).mkdir(parents=True)
        for i in range(5):
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / name / f"{i}.png")
    return ImageFolder(root=str(folder), image_size=8)


def arrays() -> Tensors:
    y = np.arange(40) % 4
    return Tensors(x=np.arange(80.0).reshape(40, 2), y=y, domain=np.repeat(["one", "two"], 20))


def archive(folder: Path) -> Source:
    binary(folder)
    return SplitClasses(CIFAR10(root=str(folder)))


def encoded() -> Encoded:
    return Encoded(glyphs(), encoder=FrozenEncoder(network=Counting(), device="cpu"))


MAKERS: dict[str, Callable[[Path], Source]] = {
    "CIFAR10": archive,
    "Dynamics": lambda _: Dynamics(robot=Slider(), n_robots=4, n_segments=1, segment_length=8),
    "Rooms": lambda _: Rooms(robot=WidePoint(), rooms=["open", "clutter"], n_robots=4, n_segments=1, segment_length=8),
    "Encoded": lambda _: encoded(),
    "Glyphs": lambda _: glyphs(),
    "ImageFolder": lambda folder: photos(folder / "photos"),
    "Permuted": lambda _: Permuted(glyphs(), n_domains=2),
    "Rotated": lambda _: Rotated(glyphs(), angles=[0, 30]),
    "Sinusoids": lambda _: Sinusoids(n_functions=4, n_points=5, frequencies=(1.0, 2.0)),
    "SplitClasses": lambda _: SplitClasses(glyphs(), n_domains=2),
    "Tensors": lambda _: arrays(),
}
"""Sources, small: one row makes one obey all laws."""

pytestmark = pytest.mark.filterwarnings("ignore:CIFAR-10 has .* here, the official one has:UserWarning")
every = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


@every
def test_loading_is_repeatable_and_leaves_random_numbers_alone(make: Callable[[Path], Source], tmp_path: Path) -> None:
    source = make(tmp_path)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    first = source.domains()
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()  # type: ignore[index]  # noqa: NPY002
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    for one, other in zip(first, source.domains(), strict=True):
        assert (one.name, list(one.class_names)) == (other.name, list(other.class_names))
        assert torch.equal(one.x, other.x)
        assert np.array_equal(one.y, other.y)


@every
def test_each_input_has_a_named_class_and_one_shape(make: Callable[[Path], Source], tmp_path: Path) -> None:
    domains = make(tmp_path).domains()
    assert len(domains) >= 2
    assert len({d.name for d in domains}) == len(domains)
    assert len(same_shape(domains)) == len(domains)
    for domain in domains:
        assert domain.x.dtype == torch.uint8 or domain.x.is_floating_point()
        assert domain.y.shape == (len(domain.x),)
        assert set(domain.y.tolist()) - {-1} == set(range(len(domain.class_names)))
        assert domain.targets is None or len(domain.targets) == len(domain.x)


@every
@pytest.mark.parametrize("hold_out_examples", [False, True])
def test_nothing_is_in_two_parts(make: Callable[[Path], Source], hold_out_examples: bool, tmp_path: Path) -> None:
    domains = make(tmp_path).domains()
    stream = build_stream(domains, split=(0.25, 0.25), split_seed=0, hold_out_examples=hold_out_examples)
    for number, domain in enumerate(domains):
        (train,) = stream.experiences[number].pools
        parts = [np.concatenate(pool.members) for pool in (train, stream.val[number], stream.test[number])]
        assert all(len(part) > 0 for part in parts)
        assert sorted(np.concatenate(parts).tolist()) == np.flatnonzero(domain.y >= 0).tolist()


def test_every_source_is_an_entry_point() -> None:
    text = PYPROJECT.read_text(encoding="utf-8")
    section = text.partition('[project.entry-points."lifelong.datamodules"]\n')[2].partition("\n\n")[0]
    named = {name: getattr(datamodules, name) for name in datamodules.__all__}
    sources = sorted(name for name, plugin in named.items() if issubclass(plugin, Source))
    listed = {line.partition(" = ")[0]: line for line in section.strip().split("\n")}
    assert [listed.get(name) for name in sources] == [f'{name} = "datamodules:{name}"' for name in sources]
    assert set(listed) <= set(named)
