"""``python -m lifelong fit --help``: the most used options in groups, with one line and the value of each."""

from __future__ import annotations

from typing import Any

from lifelong.cli.class_help import ALL
from lifelong.cli.rows import Row, lay_out, shown_value

FIT, EXTEND, VALIDATE, TEST = "fit", "extend", "validate", "test"
TRAINS, EVALUATES = (FIT, EXTEND), (VALIDATE, TEST)
ALWAYS = (*TRAINS, *EVALUATES)
Rows = tuple[tuple[tuple[str, ...], str, str], ...]

GROUPS: dict[str, Rows] = {
    "What is learnt": (
        (ALWAYS, "--model CLASS", "the learner; --model.help MAML lists its options"),
        (ALWAYS, "--model.network CLASS", "the trained network; --model.network.help MLP lists its options"),
        (TRAINS, "--seed INT", "seed of the initial weights and the training tasks"),
    ),
    "Data": (
        (ALWAYS, "--data CLASS", "few-shot tasks, or ExampleDataModule: labelled examples"),
        (ALWAYS, "--data.sources LIST", "data sets in the order of the stream; --data.sources.help Glyphs"),
        (ALWAYS, "--data.unseen LIST", "data sets for evaluation only"),
        (ALWAYS, "--data.scenario {class,domain,task}", "which classes compete in a prediction"),
        (ALWAYS, "--data.n_way INT", "classes per task"),
        (ALWAYS, "--data.n_shot INT", "support examples per class"),
        (ALWAYS, "--data.n_query INT", "query examples per class"),
        (ALWAYS, "--data.eval_n_way INT", "classes per evaluation task; null is as in training"),
        (ALWAYS, "--data.eval_n_shot INT", "their support examples per class; null is as in training"),
        (TRAINS, "--data.tasks_per_batch INT", "tasks per optimizer step; all devices together"),
        (TRAINS, "--data.batch_size INT", "examples per optimizer step; all devices together"),
        (TRAINS, "--data.steps_per_experience INT", "optimizer steps per experience; null is one pass"),
        (ALWAYS, "--data.n_eval_tasks INT", "fixed evaluation tasks per domain"),
        (ALWAYS, "--data.evaluate_on {val,test}", "data for the accuracy matrix"),
        (TRAINS, "--data.evaluate_every INT", "experiences per complete matrix row"),
        (ALWAYS, "--data.split LIST", "share or number held out for val and test"),
        (ALWAYS, "--data.split_seed INT", "seed of split and evaluation tasks"),
        (TRAINS, "--data.joint {true,false}", "all domains at once: the upper bound"),
        (TRAINS, "--data.cumulative {true,false}", "train on all data so far: the upper bound of every row"),
    ),
    "Strategies against forgetting": (
        (ALWAYS, "--strategies LIST", "[] is plain fine-tuning; --strategies+=EWC adds one"),
        (ALWAYS, "--strategies.NAME VALUE", "an option of the last one; --strategies.help EWC lists those of EWC"),
    ),
    "Optimizer": (
        (TRAINS, "--optimizer CLASS", "from torch.optim, or any by its path; --optimizer.help SGD"),
        (TRAINS, "--optimizer.lr FLOAT", "learning rate; the default of Adam is 0.001"),
        (TRAINS, "--lr_scheduler CLASS", "from torch.optim.lr_scheduler; stepped every step"),
        (TRAINS, "--reset_optimizer {true,false}", "reset its state at each experience"),
    ),
    "How it runs": (
        (ALWAYS, "--runner.plan {auto,loop,vmap,measure}", "how tasks are run; measure finds the fastest way"),
        (ALWAYS, "--runner.chunk INT", "most tasks at once under vmap; null is all"),
        (TRAINS, "--runner.recompute {nothing,steps,tasks,both}", "save memory; slower"),
        (TRAINS, "--runner.cuda_graph {true,false}", "replay a captured CUDA graph"),
        ((FIT,), "--dry_run", "print what would run and for how long; write nothing"),
    ),
    "Run folder": (
        ((FIT, *EVALUATES), "--run.root FOLDER", "folder of all runs; s3://… has local copies"),
        ((FIT, *EVALUATES), "--run.name NAME", "name of the run folder; null is the time"),
        ((FIT,), "--run.resume {never,auto,must}", "continue the named run; must requires a checkpoint"),
        (TRAINS, "--run.allow_changes {true,false}", "continue with other settings than the run's"),
        (ALWAYS, "--run.quiet {true,false}", "print only warnings and errors; files are written"),
    ),
    "Checkpoints": (
        ((FIT, *EVALUATES), "--ckpt_path FILE", "continue from it, or evaluate it; last is the newest run's"),
        (TRAINS, "--checkpoint.every_n_steps INT", "also save last.ckpt every N steps"),
        (TRAINS, "--checkpoint.keep_experiences INT", "how many experience-NN.ckpt to keep"),
        ((FIT, *EVALUATES), "--trust", "import every class that a checkpoint's config names"),
    ),
    "Trainer (Lightning's)": (
        (ALWAYS, "--trainer.accelerator NAME", "cpu, gpu, …"),
        (ALWAYS, "--trainer.devices INT|LIST", "processes, one per device"),
        (ALWAYS, "--trainer.strategy NAME", "ddp for several devices"),
        (ALWAYS, "--trainer.precision NAME", "such as bf16-mixed"),
        (TRAINS, "--trainer.max_epochs INT", "number of experiences; -1 is the whole stream"),
        (TRAINS, "--trainer.max_time TEXT", "stop after DD:HH:MM:SS"),
        (TRAINS, "--trainer.gradient_clip_val FLOAT", "clip gradients to this norm"),
        (TRAINS, "--trainer.accumulate_grad_batches INT", "batches per optimizer step"),
        (TRAINS, "--trainer.num_sanity_val_steps INT", "0 omits the untrained row"),
        (TRAINS, "--trainer.log_every_n_steps INT", "steps per row of metrics.csv"),
        (TRAINS, "--trainer.logger CLASS", "Weights & Biases; false is metrics.csv only"),
        (ALWAYS, "--trainer.callbacks LIST", "such as lifelong.evaluation.Clustering; list metrics has more"),
        (ALWAYS, "--trainer.deterministic {true,false,warn}", "refuse nondeterministic operations"),
        (ALWAYS, "--trainer.enable_progress_bar {true,false}", "show the progress bar"),
        (TRAINS, "--trainer.fast_dev_run INT", "run N steps, as a test"),
    ),
}
"""Options by group: the commands that use them, the option with its placeholder, and its description."""
ABOUT = {
    FIT: ("fit [-c CONFIG] [options]", "Learn a stream, experience by experience, and evaluate after each."),
    EXTEND: ("extend RUN [options]", "Learn further experiences after those of a finished run (--data.sources+=…)."),
    VALIDATE: ("validate --ckpt_path FILE [options]", "Evaluate a checkpoint on validation tasks."),
    TEST: ("test --ckpt_path FILE [options]", "Evaluate a checkpoint on test tasks."),
}
"""Usage and description of each command."""
UNSET = object()


def help_page(command: str, config: dict[str, Any], source: str) -> str:
    """Return the help page of a command.

    Args:
        command: one of ``ABOUT``.
        config: the current config, which contains the value of each option.
        source: where the values come from.
    """
    usage, about = ABOUT[command]
    lines = [f"usage: python -m lifelong {usage}", "", about, f"In brackets: the values of {source}.", ""]
    lines += [
        "  -c, --config CONFIG  a config file, or a name of python -m lifelong list configs; options override it",
        "  --print_config       print every option with its value, and exit",
        f"  {ALL[0]}           all options, with those of Lightning's Trainer and complete texts",
    ]
    for title, options in GROUPS.items():
        rows = [row for uses, option, says in options if command in uses and (row := _row(option, says, config))]
        lines += ["", f"{title}:", *lay_out(rows)] if rows else []
    return "\n".join(lines) + "\n"


def _row(option: str, says: str, config: dict[str, Any]) -> Row | None:
    """Return the row of an option. None if the classes of the config do not have it."""
    name = option.split()[0].removeprefix("--")
    if name in ("dry_run", "trust", "strategies.NAME"):
        return Row(option, says)
    value = config_value(config, name)
    if value is UNSET:
        has_default = not name.startswith("data.") and name != "model.network"
        return Row(option, says) if has_default else None
    return Row(option, says, shown_value(value))


def config_value(config: dict[str, Any], name: str) -> Any:
    """Return the value of an option in a config, by its dotted name. ``UNSET`` if it has none.

    Example:
        >>> config_value({"data": {"class_path": "A", "init_args": {"n_way": 5}}}, "data.n_way")
        5
    """
    node: Any = config
    for part in name.split("."):
        node = node.get("init_args", node) if isinstance(node, dict) else {}
        if part not in node:
            return UNSET
        node = node[part]
    return node
