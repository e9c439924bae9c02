"""What is written down of objects: plain data of plain types, files of weights left out where the state follows."""

from __future__ import annotations

from enum import Enum

import numpy as np
import pytest
from torch import nn

from lifelong.networks import MLP, Backbone
from lifelong.utilities.recorded import Recorded, record_as
from lifelong.utilities.recording import filled, record


class Colour(str, Enum):
    RED = "red"


@pytest.mark.parametrize(("value", "plain"), [(np.float64(0.5), 0.5), (np.True_, None), (Colour.RED, "red"), (3, 3)])
def test_values_are_of_plain_types(value: object, plain: object) -> None:
    missing: list[str] = []
    written = record(value, "a", missing)
    if plain is None:  # numpy's truth is no bool
        assert missing == ["a (bool)"]
    else:
        assert (written, type(written)) == (plain, type(plain))


def test_files_of_weights_are_left_out_where_a_state_follows() -> None:
    class Weights(Recorded):
        def __init__(self, weights: str = "w.pt") -> None: ...

        def arguments_to_load(self) -> dict[str, object]:
            return {"weights": None}

    outer = {"inside": [Weights()]}
    assert record(outer, "a", [])["inside"][0]["init_args"] == {"weights": "w.pt"}
    assert record(outer, "a", [], to_load=True)["inside"][0]["init_args"] == {"weights": None}
    made, plain = MLP(n_inputs=2, n_outputs=1), MLP(n_inputs=2, n_outputs=1)
    record_as(made, MLP, {"file": "w.pt"}, without_state=plain)
    assert record(made, "a", [])["init_args"] == {"file": "w.pt"}
    assert record(made, "a", [], to_load=True)["init_args"]["n_inputs"] == 2
    body = Backbone(nn.Conv2d(3, 4, 3), image_size=8)
    assert record(body, "a", [], to_load=True)["init_args"]["weights"] is None


def test_a_config_fills_what_is_not_recorded() -> None:
    content = {"a": [{"unrecorded": "Net"}, 1], "b": {"unrecorded": "X"}, "c": 0}
    assert filled(content, {"a": [{"class_path": "mine.Net"}, 2], "c": 9}) == {
        "a": [{"class_path": "mine.Net"}, 1],
        "b": {"unrecorded": "X"},
        "c": 0,
    }
    assert filled(content, None) is content
