"""What a checkpoint says of how inputs are read holds on another machine."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image

from lifelong.networks import Conv4
from lifelong.run.inputs import Inputs
from lifelong.training.description import describe_stream
from lifelong.utilities.recording import record
from lifelong.utilities.trust import limits_of
from lifelong.vision import EncodedReader, FrozenEncoder, ImageReader
from tests.toys import toy_data


def reader_on(device: str) -> EncodedReader:
    network = Conv4(n_filters=4, norm="group", image_size=16, n_outputs=None)
    return EncodedReader(
        ImageReader(image_size=16, channels=1), encoder=FrozenEncoder(network=network, device=device, batch_size=3)
    )


def test_the_device_of_an_encoder_is_not_kept() -> None:
    data = toy_data()
    data.reader = lambda: reader_on("cuda:1")  # type: ignore[method-assign]
    kept = describe_stream(data, 1, None)["reader"]
    assert kept["init_args"]["encoder"]["init_args"]["batch_size"] == 3
    assert "cuda" not in str(kept)


def test_a_record_that_has_one_is_read_without_it(tmp_path: Path) -> None:
    content = record(reader_on("cuda:1"), "reader", [])
    assert "cuda:1" in str(content), "as checkpoints had it"
    photo = tmp_path / "a.png"
    Image.new("L", (16, 16), 100).save(photo)
    example = {"shape": [2, *reader_on("cpu").read([str(photo)]).shape[1:]], "dtype": "float32"}
    limits = limits_of(tmp_path / "config.yaml", {}, "runs", True, "trust it")
    read = Inputs({"example": example, "reader": content}, limits)([photo], "the query")
    assert torch.isfinite(read).all()
