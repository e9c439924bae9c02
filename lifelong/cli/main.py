"""The command line: ``fit``, ``validate``, ``test`` and ``predict`` by LightningCLI, with a run folder around them."""

from __future__ import annotations

import functools
import json
import logging
import os
import sys
import warnings
from argparse import ArgumentError
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.profilers import PassThroughProfiler

from lifelong import networks
from lifelong.cli.predict import AnswerWriter, Texts, TextsToAnswer
from lifelong.evaluation.after_evaluation import AfterEvaluation
from lifelong.evaluation.evaluator import Evaluator
from lifelong.evaluation.prediction_writer import PredictionWriter
from lifelong.evaluation.report import Report
from lifelong.learners.base import Learner
from lifelong.run.folder import RunFolder, choose_folder, find_last, plugins
from lifelong.run.loggers import MetricsCSV, WandB
from lifelong.run.progress import StreamProgress
from lifelong.strategy import Strategy
from lifelong.training.checkpoint import StreamCheckpoint

DEFAULT = Path(__file__).with_name("default.yaml")
SUBCOMMANDS = ("fit", "validate", "test", "predict")
FOLDER_VARIABLE = "LIFELONG_RUN_FOLDER"
"""Tells the processes that a multi-device launch starts which folder the first one chose."""
LISTING = ("Does not validate", "Subtypes:", "Errors:", "Given value", "Expected a <class 'NoneType'>")
"""How the lines begin in which the parser tells what it tried."""
NOISE = (
    ".*does not have many workers.*",  # tasks are drawn by index in microseconds
    ".*number of training batches.*is smaller than the logging interval.*",
    ".*module\\(s\\) in eval mode at the start of training.*",
    ".*isinstance\\(treespec, LeafSpec\\).*",
    ".*`LightningModule.configure_optimizers` returned `None`.*",
    ".*`lightning.pytorch` package.*litlogger.*",
    ".*torch.distributed.nn.functional.all_gather is deprecated.*",  # Lightning uses it
    "(?s).*Grad strides do not match.*grad.sizes\\(\\) = \\[\\d+, 1,",  # a channel alone lies either way
    # Ours are gathered before they are logged, and so the same on all ranks.
    ".*`self.log\\('(val|test)/(score|\\w+_score|forgetting|\\w+_transfer|closed_loop|adjusted_rand_index|"
    "normalised_mutual_information).*sync_dist=True.*",
)


class LifelongCLI(LightningCLI):
    """LightningCLI with strategies, a run folder, checkpoints and the evaluator."""

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The one that is asked for, or all: each has a parser of its own that takes a tenth of a second."""
        every = LightningCLI.subcommands()
        asked = [name for name in sys.argv[1:2] if name in SUBCOMMANDS]
        return {name: every[name] for name in asked or SUBCOMMANDS}

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """A parser that raises, so that ``main`` can answer in one sentence."""
        parser = super().init_parser(**kwargs)
        parser.exit_on_error = False
        return parser

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Options beside the model, the data and the Trainer."""
        parser.add_argument(
            "--strategies", type=list[Strategy], default=[], help="plug-ins against forgetting; [] is plain fine-tuning"
        )
        parser.add_argument("--run.root", type=str, default="runs", help="folder of all runs")
        parser.add_argument("--run.name", type=str | None, default=None, help="this run's folder; the time where null")
        parser.add_argument("--texts", type=Texts, default=Texts(), help="texts of your own, for predict")
        parser.add_lightning_class_args(StreamCheckpoint, "checkpoint")
        parser.link_arguments("seed_everything", "data.init_args.seed", compute_fn=int)

    def before_instantiate_classes(self) -> None:
        """Choose the run folder; ``last`` becomes the path of a checkpoint."""
        config = self.config[self.subcommand]
        run, resumed = config.run, config.get("ckpt_path")
        if self.subcommand != "predict" and config.texts.query is not None:
            raise ValueError(f"--texts.query is what predict answers, and {self.subcommand} does not: leave it out")
        if "weights_only" in config:
            config.weights_only = True  # our checkpoints hold tensors and plain values: nothing need be unpickled
        if resumed is not None and not Path(resumed).is_file():
            raise ValueError(f"the checkpoint {resumed} is not there: give --ckpt_path the path of one")
        given = os.environ.get(FOLDER_VARIABLE)
        folder = Path(given) if given else choose_folder(run.root, run.name, resumed)
        os.environ[FOLDER_VARIABLE] = str(folder)
        self.folder = RunFolder(folder)
        config.trainer.default_root_dir = str(folder)
        if resumed is not None:
            config.trainer.num_sanity_val_steps = 0  # the learner is not untrained any more

    def instantiate_classes(self) -> None:
        """Put the strategies to work and connect what writes into the run folder."""
        super().instantiate_classes()
        self.model.use(self.config_init[self.subcommand].strategies)
        report = Report(self.folder, self._plain_config)
        callbacks: list[L.Callback] = self.trainer.callbacks  # type: ignore[attr-defined]
        callbacks[:0] = [Evaluator(report), PredictionWriter(self.folder)]
        for callback in callbacks:
            if isinstance(callback, StreamCheckpoint):
                callback.folder = self.folder.checkpoints
            elif isinstance(callback, AfterEvaluation):
                callback.folder = self.folder
        trainer: Any = self.trainer
        if False:
            trainer.profiler = None
        self._connect_loggers()

    def before_fit(self) -> None:
        """Save the config, so that the run can be repeated, resumed and tested."""
        if self.trainer.is_global_zero and not (self.folder.path / "config.yaml").exists():
            text = self._parser("fit").dump(self._kept_config(), skip_none=False)
            self.folder.write("config.yaml", lambda path: path.write_text(text, encoding="utf-8"))
        for logger in self.trainer.loggers:
            logger.log_hyperparams(self._plain_config)

    def before_predict(self) -> None:
        """Answer a person's own texts in place of the test tasks, where there are any."""
        texts = self.config_init[self.subcommand].texts
        if texts.query is None:
            return
        self.datamodule = TextsToAnswer(texts, self.datamodule)
        callbacks: list[L.Callback] = self.trainer.callbacks  # type: ignore[attr-defined]
        kept = [callback for callback in callbacks if not isinstance(callback, PredictionWriter)]
        callbacks[:] = [AnswerWriter(self.folder), *kept]

    def _connect_loggers(self) -> None:
        start = _step_of(self.config[self.subcommand].get("ckpt_path")) if self.subcommand == "fit" else None
        if self.subcommand != "fit":
            self.trainer.loggers = []
            return
        for logger in self.trainer.loggers:
            if isinstance(logger, WandB):
                logger.folder = self.folder.path
        self.trainer.loggers = [*self.trainer.loggers, MetricsCSV(self.folder, start_step=start)]

    def _kept_config(self) -> Any:
        config = self.config[self.subcommand].clone()
        for key in ("ckpt_path", "run", "config", "texts", "weights_only"):
            config.pop(key, None)
        config.trainer.default_root_dir = None
        return config

    @functools.cached_property
    def _plain_config(self) -> dict[str, Any]:
        text = self._parser(self.subcommand).dump(self._kept_config(), skip_none=False, format="json")
        return dict(json.loads(text))


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line; a user's mistake is one sentence, exit code 1 (or 2 for the options themselves)."""
    try:
        _run(list(sys.argv[1:] if args is None else args))
    except ArgumentError as error:
        print(f"error: {_option_sentence(str(error))}", file=sys.stderr)
        sys.exit(2)
    except (ValueError, OSError, MisconfigurationException) as error:
        if os.environ.get("LIFELONG_TRACEBACK"):
            raise
        print(f"error: {_sentence(error)}", file=sys.stderr)
        sys.exit(1)


def _option_sentence(message: str) -> str:
    """What the parser found, without its listing of everything that it tried."""
    lines = [line.strip().removeprefix("- ") for line in message.splitlines()]
    told = [line for line in lines if line and not line.startswith(LISTING)]
    return f"{' '.join(told)}; python -m lifelong fit --help lists every option"


def _sentence(error: BaseException) -> str:
    """The message; where the parser wrapped a class's own complaint in a listing of its arguments, that complaint."""
    inner = error.__cause__ or error.__context__
    while "\n" in str(error) and isinstance(inner, ValueError):
        error, inner = inner, inner.__cause__ or inner.__context__
    return str(error)


def _run(args: list[str]) -> None:
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_no_advertisement)
    for message in NOISE:
        warnings.filterwarnings("ignore", message=message)
    plugins.load()
    # LightningCLI wants its words in sys.argv; a multi-device launch starts the other processes with them too.
    sys.argv[1:] = args = _with_own_networks(_with_saved_config(args))
    try:
        LifelongCLI(
            Learner,
            L.LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=None,
            seed_everything_default=0,
            auto_configure_optimizers=False,
            trainer_defaults={
                "logger": {"class_path": "lifelong.run.loggers.WandB"},
                "callbacks": [StreamProgress()],
                "max_epochs": -1,
                "enable_checkpointing": False,
                "enable_model_summary": False,
                "num_sanity_val_steps": -1,
                "inference_mode": False,
                "use_distributed_sampler": False,
                "log_every_n_steps": 10,
            },
            parser_kwargs={name: {"default_config_files": _defaults(args)} for name in LifelongCLI.subcommands()},
        )
    finally:
        os.environ.pop(FOLDER_VARIABLE, None)  # a run that failed must not lend its folder to the next


def _is_no_advertisement(record: logging.LogRecord) -> bool:
    return "Tip:" not in record.getMessage()


def _with_saved_config(args: list[str]) -> list[str]:
    """``--ckpt_path`` without ``--config`` uses the config that was saved with the checkpoint."""
    if not args or args[0] not in SUBCOMMANDS:
        return args
    given = _option(args, "ckpt_path")
    if given == "last":
        path = find_last(_option(args, "run.root") or "runs", _option(args, "run.name"))
        args = ["--ckpt_path=" + path if a == "--ckpt_path=last" else path if a == "last" else a for a in args]
        given = path
    saved = Path(given).resolve().parent.parent / "config.yaml" if given else None
    if saved is None or _option(args, "config") is not None or not saved.is_file():
        return args
    return [args[0], "--config", str(saved), *args[1:]]


def _with_own_networks(args: list[str]) -> list[str]:
    """Bare names of our networks by their paths: torchvision, where it is loaded, has an ``MLP`` as well."""
    own = {name: f"lifelong.networks.{name}" for name in networks.__all__}
    found = []
    for before, arg in zip(["", *args], args, strict=False):
        option, _, name = arg.rpartition("=")
        if option.endswith(".network") and name in own:
            arg = f"{option}={own[name]}"
        found.append(own.get(arg, arg) if before.endswith(".network") else arg)
    return found


def _defaults(args: Sequence[str]) -> list[str]:
    """The embedded default where no config is given; a given one is complete, and nothing else is merged into it."""
    given = any(arg in ("-c", "--config") or arg.startswith("--config=") for arg in args)
    return [] if given else [str(DEFAULT)]


def _option(args: Sequence[str], name: str) -> str | None:
    for place, arg in enumerate(args):
        if arg == f"--{name}":
            return args[place + 1] if place + 1 < len(args) else None
        if arg.startswith(f"--{name}="):
            return arg.split("=", 1)[1]
    return None


def _step_of(checkpoint: str | None) -> int | None:
    return None if checkpoint is None else int(torch.load(checkpoint, weights_only=True, mmap=True)["global_step"])
