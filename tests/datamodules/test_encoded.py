"""Sources whose images become features."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from datamodules import CIFAR10, Encoded, Glyphs, Permuted, Rotated, Sinusoids, SplitClasses
from datamodules import encoded as module
from lifelong.data.domain import Domain
from lifelong.data.source import Source
from lifelong.networks import Backbone
from lifelong.utilities.recording import record
from lifelong.vision import FrozenEncoder
from tests.vision.networks import Counting, images


class Some(Source):
    """Domains with every setting that a domain has."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def domains(self) -> list[Domain]:
        y = np.arange(8) % 4
        kept: dict[str, Any] = {"n_variants": 2, "origin": "all", "splits": ["train", "test"], "ordered": True}
        return [
            Domain(f"some {seed}", images(8, seed=seed), y, list("abcd"), **(kept | self.settings)) for seed in (1, 2)
        ]


def encoded(source: Source) -> tuple[Encoded, Counting]:
    network = Counting()
    return Encoded(source, encoder=FrozenEncoder(network=network, device="cpu")), network


@pytest.mark.parametrize("settings", [{}, {"holdout": "examples", "in_test": np.arange(8) > 5, "siblings": 2}])
def test_all_but_the_inputs_stays(settings: dict[str, Any]) -> None:
    plain = Some(**settings).domains()
    found = encoded(Some(**settings))[0].domains()
    for before, after in zip(plain, found, strict=True):
        assert after.x.shape == (8, 6)
        for field in fields(Domain):
            if field.name != "x":
                one, other = getattr(before, field.name), getattr(after, field.name)
                assert np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other


def test_features_are_those_of_each_domains_images() -> None:
    source, network = encoded(Some())
    for before, after in zip(Some().domains(), source.domains(), strict=True):
        expected = network.linear(before.x.flatten(1) / 255).tanh()
        torch.testing.assert_close(after.x, expected.detach())


def test_all_domains_are_encoded_in_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    together, network = encoded(Some())
    whole = [domain.x for domain in together.domains()]
    assert list(network.seen) == [16]
    monkeypatch.setattr(module, "RESIDENT_BYTES", 8 * 48)
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "another"))
    apart, network = encoded(Some())
    for one, other in zip(whole, (domain.x for domain in apart.domains()), strict=True):
        torch.testing.assert_close(one, other)
    assert list(network.seen) == [8, 8]


def test_images_of_different_sizes_go_to_one_length() -> None:
    class Mixed(Source):
        def domains(self) -> list[Domain]:
            shapes = ((3, 4, 4), (1, 9, 7))
            return [Domain(f"{s}", images(4, shape=s), np.arange(4) % 2, ["a", "b"]) for s in shapes]

    assert [domain.x.shape for domain in encoded(Mixed())[0].domains()] == [(4, 6), (4, 6)]


def test_a_split_before_or_after_encoding_is_the_same() -> None:
    glyphs = Glyphs(styles=["strokes"], n_classes=4, n_examples=3, image_size=8)
    inside, _ = encoded(SplitClasses(glyphs, n_domains=2))
    outside = SplitClasses(encoded(glyphs)[0], n_domains=2)
    for one, other in zip(inside.domains(), outside.domains(), strict=True):
        assert (one.name, one.class_names) == (other.name, other.class_names)
        torch.testing.assert_close(one.x, other.x)
        assert np.array_equal(one.y, other.y)


def test_copies_keep_their_common_split_and_the_runs_seed() -> None:
    glyphs = Glyphs(styles=["strokes"], n_classes=4, n_examples=3, image_size=8)
    turned, _ = encoded(Rotated(glyphs, angles=[0, 90]))
    assert {domain.origin for domain in turned.domains()} == {"strokes"}
    permuted, network = encoded(Permuted(glyphs, seed=None))
    (one,), (other,) = permuted.with_seed(1).domains(), permuted.with_seed(2).domains()
    assert not torch.equal(one.x, other.x)
    assert network.n_images == 24


def test_a_config_records_source_encoder_and_network() -> None:
    network = Backbone(nn.Flatten(), image_size=4)
    unrecorded: list[str] = []
    found = record(Encoded(CIFAR10(), encoder=FrozenEncoder(network=network, batch_size=7)), "data", unrecorded)
    assert found["class_path"] == "datamodules.Encoded"
    assert found["init_args"]["encoder"]["class_path"] == "lifelong.vision.FrozenEncoder"
    assert found["init_args"]["encoder"]["init_args"]["batch_size"] == 7
    assert found["init_args"]["encoder"]["init_args"]["network"]["class_path"] == "lifelong.networks.Backbone"
    assert unrecorded == ["data.encoder.network.network (Flatten)"]


def test_what_is_no_image_is_named() -> None:
    source, _ = encoded(Sinusoids(n_functions=4, n_points=5, frequencies=(1.0,)))
    with pytest.raises(ValueError, match=r"cannot be encoded: its inputs have shape \(1,\), images .* were expected"):
        source.domains()

    class Nothing(Source):
        def domains(self) -> list[Domain]:
            return []

    assert encoded(Nothing())[0].domains() == []
