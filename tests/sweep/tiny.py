"""A stream of three experiences that is learnt in seconds, as a config file."""

from __future__ import annotations

import json
from pathlib import Path

NETWORK = {"class_path": "lifelong.networks.MLP", "init_args": {"n_inputs": 64, "hidden": [16], "n_outputs": 8}}
STYLES = ["strokes", "textures", "silhouettes"]
GLYPHS = {"n_classes": 24, "n_examples": 10, "image_size": 8, "styles": STYLES}
DATA = {
    "sources": [{"class_path": "datamodules.Glyphs", "init_args": GLYPHS}],
    "n_way": 3,
    "n_shot": 2,
    "n_query": 3,
    "steps_per_experience": 6,
    "n_eval_tasks": 5,
    "split": [0.25, 0.25],
}
CONFIG = {
    "model": {"class_path": "lifelong.learners.ProtoNet", "init_args": {"network": NETWORK}},
    "data": {"class_path": "datamodules.EpisodicDataModule", "init_args": DATA},
    "trainer": {"accelerator": "cpu", "num_sanity_val_steps": 0},
}


def write_config(path: Path, **data: object) -> Path:
    """Write the config, with other settings of the data; JSON is YAML as well."""
    changed = CONFIG["data"] | {"init_args": DATA | data}
    path.write_text(json.dumps(CONFIG | {"data": changed}), encoding="utf-8")
    return path
