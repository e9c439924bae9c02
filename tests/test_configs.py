"""Every YAML in configs/ runs through the real command line, on data made small."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lifelong.cli.catalogue import print_list
from tests.command_line import run_here
from tests.datamodules import test_cifar10, text_files

FOLDER = Path(__file__).parent.parent / "configs"
CONFIGS = sorted(FOLDER.rglob("*.yaml"))
SMALL = [
    "--trainer.logger=false",
    "--trainer.accelerator=cpu",
    "--data.steps_per_experience=2",
    "--data.evaluate_on=val",
    "--data.split=[0.3, 0.3]",
    "--run.name=tiny",
]
FEW_TASKS = ["--data.n_eval_tasks=2", "--data.tasks_per_batch=2"]
FEW_EXAMPLES = ["--data.n_eval_examples=8", "--data.batch_size=4"]
CLASSICAL = ("cifar10_features", "clinc150", "fading_mnist", "permuted_mnist", "rotated_mnist", "split_mnist")
"""Configs whose units are labelled examples, learnt by an MLP."""
PHOTOS = ("photos_vit_coda_prompt", "photos_vit_dual_prompt", "photos_vit_l2p", "photos_vit_lora")
PRE_TRAINED = ("clinc150_osf", "reviews_lora", *PHOTOS)
"""The same, learnt by a pre-trained model."""
SPLIT_MNIST = ("best/split_mnist_class", "best/split_mnist_domain", "best/split_mnist_task")
CLOSED_FORM = ("best/cifar10_class", "best/clinc150_class")
"""Labelled examples, learnt in one pass without a network."""
EXAMPLES = (*CLASSICAL, *PRE_TRAINED, "my_photos_classes", *SPLIT_MNIST, *CLOSED_FORM, "best/reviews")
SHAPE = ["--data.n_way=2", "--data.n_shot=1", "--data.n_query=2"]
SMALL_HEAD = ["--model.network.n_outputs=2", "--model.network.n_filters=4"]
SLIDER = ["--model.network.n_inputs=2", "--model.network.n_outputs=1", "--model.network.hidden=[8]"]
SLIDER += ["--data.sources.n_robots=10", "--data.sources.segment_length=12", "--data.n_shot=4", "--data.n_query=2"]
POINT = ["--data.sources.robot=tests.control.rooms.points_in_rooms.WidePoint", "--data.sources.families=[nominal]"]
POINT += ["--model.network.n_inputs=4", "--model.network.n_outputs=2", "--data.sources.seconds=0.3"]
CHANGES = {
    "default": [*SHAPE, "--model.network.n_filters=4"],
    "my_photos": [*SHAPE, "--data.eval_n_shot=2", "--data.sources.root=photos", "--model.network.n_filters=4"],
    "my_photos_classes": ["--data.sources.root=photos", "--model.network.n_filters=4"],
    "fading_mnist": [],
    "permuted_mnist": ["--data.sources.n_domains=3"],
    "rotated_mnist": ["--data.sources.angles=[0, 9, 90]"],
    "split_mnist": [],
    "photos_features": [
        *SHAPE,
        "--data.eval_n_shot=2",
        "--data.sources.source.root=photos",
        "--data.sources.source.image_size=16",
    ],
    "maml_glyphs": [*SHAPE, "--model.network.n_outputs=2", "--model.network.n_filters=4"],
    "maml_sinusoids": ["--data.n_way=1"],
    "omniglot_5w1s": [*SHAPE, "--model.network.n_filters=4"],
    "omniglot_maml_5w1s": [*SHAPE, *SMALL_HEAD],
    "omniglot_maml_5w5s": [*SHAPE, *SMALL_HEAD],
    "omniglot_maml_20w1s": [*SHAPE, *SMALL_HEAD],
    "omniglot_maml_20w5s": [*SHAPE, *SMALL_HEAD],
    "omniglot_protonet_1shot": [*SHAPE, "--data.eval_n_way=2", "--model.network.n_filters=4"],
    "omniglot_protonet_5shot": [*SHAPE, "--data.eval_n_way=2", "--model.network.n_filters=4"],
    "omniglot_groups": [*SHAPE, "--data.sources.n_groups=2", "--model.network.n_filters=4"],
    "omniglot_textures_permuted": [*SHAPE, "--model.network.n_filters=4"],
    "omniglot_fashion_textures": [*SHAPE, "--model.network.n_filters=4"],
    "cifar10_features": [],
    "cifar10_few_shot": [*SHAPE],
    "clinc150": [],
    "continual_world": ["--data.n_way=1"],
    "clinc150_few_shot": ["--data.n_way=2", "--data.n_query=1"],
    "clinc150_osf": [],
    "photos_vit_coda_prompt": ["--data.sources.root=photos", "--data.sources.image_size=16"],
    "photos_vit_dual_prompt": ["--data.sources.root=photos", "--data.sources.image_size=16"],
    "photos_vit_l2p": ["--data.sources.root=photos", "--data.sources.image_size=16"],
    "photos_vit_lora": ["--data.sources.root=photos", "--data.sources.image_size=16"],
    "reviews_lora": [],
    "sentiment_adaptation": ["--data.n_shot=1", "--data.n_query=1", "--data.eval_n_query=1"],
    "sentiment_lora": ["--data.n_shot=1", "--data.n_query=1", "--data.eval_n_query=1"],
    "robot_car": [*SLIDER, "--data.sources.families=[nominal]", "--trainer.callbacks.n_robots=2"],
    "robot_cheetah": [*SLIDER, "--data.sources.robot=tests.robots.Slider", "--trainer.callbacks.n_robots=2"],
    "robot_reacher": [*SLIDER, "--data.sources.families=[nominal]", "--trainer.callbacks.n_robots=2"],
    "robot_rooms": [*SLIDER, *POINT, "--trainer.callbacks.n_robots=2"],
    "robot_stream": [*SLIDER, "--trainer.callbacks.n_robots=2"],
    "tweets_by_year": ["--data.n_shot=1", "--data.n_query=1", "--data.eval_n_query=1"],
    "best/cifar10_5w1s": [*SHAPE],
    "best/cifar10_class": ["--model.n_projections=8"],
    "best/clinc150_5w1s": ["--data.n_way=2", "--data.n_query=1"],
    "best/clinc150_class": ["--model.n_projections=8"],
    "best/continual_world": ["--data.n_way=1"],
    "best/omniglot_20w1s": [*SHAPE, *SMALL_HEAD],
    "best/omniglot_5w5s": [*SHAPE, "--data.eval_n_way=2", "--model.network.n_filters=4"],
    "best/omniglot_textures_permuted": [*SHAPE, "--model.network.n_filters=4"],
    "best/reviews": [],
    "best/split_mnist_class": ["--model.network.hidden=[8]"],
    "best/split_mnist_domain": ["--model.network.hidden=[8]"],
    "best/split_mnist_task": ["--model.network.hidden=[8]"],
    "best/tweets_by_year": ["--data.n_shot=1", "--data.n_query=1", "--data.eval_n_query=1"],
}
INDUCTIVE = ("default", "my_photos", "my_photos_classes")
"""What a newcomer runs first: an answer does not depend on the other queries."""
STAND_INS = {
    "datamodules.MetaWorld": "tests.control.arms.Arms",
    "datamodules.robots.Car": "tests.robots.Slider",
    "datamodules.robots.Reacher": "tests.robots.Slider",
    "lifelong.networks.EfficientNetLite": "tests.vision.stand_ins.EfficientNetLite",
    "lifelong.text.FrozenEncoder": "tests.text.stand_ins.Encoder",
    "lifelong.text.Tokens": "tests.text.stand_ins.Tokens",
    "lifelong.networks.PromptedTransformer": "tests.text.stand_ins.PromptedNetwork",
    "lifelong.networks.Transformer": "tests.text.stand_ins.Network",
}
"""No pre-trained model and no simulator is at hand where these tests must run."""
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def _small_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIFELONG_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("LIFELONG_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LIFELONG_RUN_FOLDER", raising=False)
    monkeypatch.setattr("sys.argv", ["lifelong"])
    rng = np.random.default_rng(0)
    _make_omniglot(tmp_path / "data/omniglot", rng)
    _make_idx(tmp_path / "data/fashion-mnist", ["t10k"], rng)
    _make_idx(tmp_path / "data/mnist", ["train", "t10k"], rng)
    _make_photos(tmp_path / "photos", rng)
    text_files.all_of_them(tmp_path / "data")
    test_cifar10.binary(tmp_path / "data", n=60)


def name_of(config: Path) -> str:
    return config.relative_to(FOLDER).with_suffix("").as_posix()


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_config_runs(config: Path) -> None:
    name = name_of(config)
    few = FEW_EXAMPLES if name in EXAMPLES else FEW_TASKS
    few = [*few, "--model.network.hidden=[8]"] if name in CLASSICAL else few
    run_here("fit", f"--config={_with_stand_ins(config)}", *SMALL, *few, *CHANGES[name])
    results = json.loads(Path("runs/tiny/results.json").read_text())
    assert results["finished"]
    assert len(results["matrix"]) == len(results["experiences"]) > 0
    matrix = np.array(results["matrix"], dtype=float)
    every = results["config"]["data"]["init_args"]["evaluate_every"]
    assert np.isfinite(
        matrix[[*range(every - 1, len(matrix), every), -1]]
    ).all()  # of rows in between parts are left out
    assert not (results["transductive"] and name in INDUCTIVE)


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_first_line_says_what_a_config_is(config: Path) -> None:
    line = config.read_text(encoding="utf-8").partition("\n")[0]
    assert line.startswith("# ")
    assert line.endswith(".")
    assert 20 <= len(line.removeprefix("# ")) <= 100


def test_configs_are_listed_by_their_first_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_list(["configs"])
    listed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    first = {name_of(c): c.read_text(encoding="utf-8").partition("\n")[0].strip("# ").rstrip(".") for c in CONFIGS}
    assert listed == first


def _with_stand_ins(config: Path) -> Path:
    text = config.read_text(encoding="utf-8")
    for real, stand_in in STAND_INS.items():
        text = text.replace(real, stand_in)
    made = Path("small.yaml")
    made.write_text(text, encoding="utf-8")
    return made


def _noise(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(0, 256, shape, dtype=np.uint8)


def _make_omniglot(folder: Path, rng: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    for part in ("images_background", "images_evaluation"):
        with zipfile.ZipFile(folder / f"{part}.zip", "w") as archive:
            for alphabet in ("Greek", "Latin"):
                for character in range(8):
                    for drawer in range(4):
                        buffer = io.BytesIO()
                        Image.fromarray(_noise(rng, 21, 21) > 128).save(buffer, "PNG")
                        name = f"{part}/{part[7:9]}{alphabet}/character{character:02d}/{character:04d}_{drawer:02d}.png"
                        archive.writestr(name, buffer.getvalue())


def _make_idx(folder: Path, halves: list[str], rng: np.random.Generator) -> None:
    folder.mkdir(parents=True)
    for half in halves:
        header = np.array([0x803, 120, 28, 28], dtype=">i4").tobytes()
        (folder / f"{half}-images-idx3-ubyte").write_bytes(header + _noise(rng, 120, 28, 28).tobytes())
        labels = (np.arange(120) % 10).astype(np.uint8).tobytes()
        (folder / f"{half}-labels-idx1-ubyte").write_bytes(np.array([0x801, 120], dtype=">i4").tobytes() + labels)


def _make_photos(folder: Path, rng: np.random.Generator) -> None:
    for site in ("harbour", "market"):
        for kind in ("boat", "cart", "dog"):
            (folder / site / kind).mkdir(parents=True)
            for number in range(12):
                Image.fromarray(_noise(rng, 20, 30, 3)).save(folder / site / kind / f"{number}.jpg")
