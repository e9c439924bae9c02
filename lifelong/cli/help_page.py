"""``python -m lifelong fit --help``: the options that people use, in groups, each with one line and its value."""

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
        (ALWAYS, "--model CLASS", "the learner; its own options: --model.help, --model.help MAML"),
        (ALWAYS, "--model.network CLASS", "what it trains; its own options: --model.network.help MLP"),
        (TRAINS, "--seed INT", "decides the first weights and the training tasks"),
    ),
    "Data": (
        (ALWAYS, "--data CLASS", "tasks of few examples, or ExampleDataModule: labelled examples"),
        (ALWAYS, "--data.sources LIST", "data sets in the order of the stream; --data.sources.help Glyphs"),
        (ALWAYS, "--data.unseen LIST", "data sets that are evaluated and never learnt"),
        (ALWAYS, "--data.scenario {class,domain,task}", "which classes an example is told apart from"),
        (ALWAYS, "--data.n_way INT", "classes of a task"),
        (ALWAYS, "--data.n_shot INT", "examples of each class to learn from"),
        (ALWAYS, "--data.n_query INT", "examples of each class to be judged on"),
        (ALWAYS, "--data.eval_n_way INT", "classes of an evaluation task; null is as in training"),
        (ALWAYS, "--data.eval_n_shot INT", "their examples to learn from; null is as in training"),
        (TRAINS, "--data.tasks_per_batch INT", "tasks of an optimizer step, over all devices"),
        (TRAINS, "--data.batch_size INT", "examples of an optimizer step, over all devices"),
        (TRAINS, "--data.steps_per_experience INT", "optimizer steps of each experience; of examples null is one pass"),
        (ALWAYS, "--data.n_eval_tasks INT", "fixed evaluation tasks of each domain"),
        (ALWAYS, "--data.evaluate_on {val,test}", "the part that the accuracy matrix is from"),
        (TRAINS, "--data.evaluate_every INT", "a whole row of the matrix after so many experiences"),
        (ALWAYS, "--data.split LIST", "share or number of classes or examples held out for val and test"),
        (ALWAYS, "--data.split_seed INT", "decides the split and the evaluation tasks"),
        (TRAINS, "--data.joint {true,false}", "all domains at once: the upper bound"),
        (TRAINS, "--data.cumulative {true,false}", "each experience with all before it: the bound of every row"),
    ),
    "Strategies against forgetting": (
        (ALWAYS, "--strategies LIST", "[] is plain fine-tuning; --strategies+=EWC adds one"),
        (ALWAYS, "--strategies.NAME VALUE", "an option of the last one: --strategies.help EWC lists those of EWC"),
    ),
    "Optimizer": (
        (TRAINS, "--optimizer CLASS", "of torch.optim, or any by its path; --optimizer.help SGD"),
        (TRAINS, "--optimizer.lr FLOAT", "its learning rate; 0.001 for Adam where it is not given"),
        (TRAINS, "--lr_scheduler CLASS", "its schedule, step by step, of torch.optim.lr_scheduler"),
        (TRAINS, "--reset_optimizer {true,false}", "forget its state at the start of each experience"),
    ),
    "How it runs": (
        (ALWAYS, "--runner.plan {auto,loop,vmap,measure}", "how the tasks of a batch run: a rule, or the fastest"),
        (ALWAYS, "--runner.chunk INT", "at most so many tasks at once under vmap; null is all"),
        (TRAINS, "--runner.recompute {nothing,steps,tasks,both}", "compute again in place of keeping: less memory"),
        (TRAINS, "--runner.cuda_graph {true,false}", "replay a captured graph on a GPU"),
        ((FIT,), "--dry_run", "make everything, tell what would run and for how long, write nothing"),
    ),
    "Run folder": (
        ((FIT, *EVALUATES), "--run.root FOLDER", "of all runs; s3://… has local copies"),
        ((FIT, *EVALUATES), "--run.name NAME", "this run's folder in it; null is the time"),
        ((FIT,), "--run.resume {never,auto,must}", "go on from the last checkpoint of the named run"),
        (TRAINS, "--run.allow_changes {true,false}", "go on by other settings than those of the run"),
        (ALWAYS, "--run.quiet {true,false}", "print warnings and errors alone; all files are written"),
    ),
    "Checkpoints": (
        ((FIT, *EVALUATES), "--ckpt_path FILE", "go on from it, or evaluate it; last is the newest run's"),
        (TRAINS, "--checkpoint.every_n_steps INT", "save last.ckpt after so many steps as well"),
        (TRAINS, "--checkpoint.keep_experiences INT", "so many experience-NN.ckpt, the newest, stay"),
        ((FIT, *EVALUATES), "--trust", "import every class that a checkpoint's config names"),
    ),
    "Trainer (Lightning's)": (
        (ALWAYS, "--trainer.accelerator NAME", "cpu, gpu, …"),
        (ALWAYS, "--trainer.devices INT|LIST", "processes, one for each device"),
        (ALWAYS, "--trainer.strategy NAME", "ddp for several devices"),
        (ALWAYS, "--trainer.precision NAME", "such as bf16-mixed"),
        (TRAINS, "--trainer.max_epochs INT", "experiences; -1 is all of the stream"),
        (TRAINS, "--trainer.max_time TEXT", "end after DD:HH:MM:SS"),
        (TRAINS, "--trainer.gradient_clip_val FLOAT", "clip gradients to this norm"),
        (TRAINS, "--trainer.accumulate_grad_batches INT", "batches of an optimizer step"),
        (TRAINS, "--trainer.num_sanity_val_steps INT", "0 leaves the untrained learner's row out"),
        (TRAINS, "--trainer.log_every_n_steps INT", "steps between two rows of metrics.csv"),
        (TRAINS, "--trainer.logger CLASS", "Weights & Biases; false is metrics.csv alone"),
        (ALWAYS, "--trainer.callbacks LIST", "such as lifelong.evaluation.Clustering; list metrics has more"),
        (ALWAYS, "--trainer.deterministic {true,false,warn}", "refuse operations whose results vary"),
        (ALWAYS, "--trainer.enable_progress_bar {true,false}", "the bar of the stream"),
        (TRAINS, "--trainer.fast_dev_run INT", "so many steps of everything, to see whether it runs"),
    ),
}
"""Options by group: the commands that have a use for each, its name with what it is given, and what it does."""
ABOUT = {
    FIT: ("fit [-c CONFIG] [options]", "Learn a stream, experience by experience, and evaluate after each."),
    EXTEND: ("extend RUN [options]", "Learn further experiences after those of a finished run (--data.sources+=…)."),
    VALIDATE: ("validate --ckpt_path FILE [options]", "Evaluate a checkpoint on validation tasks."),
    TEST: ("test --ckpt_path FILE [options]", "Evaluate a checkpoint on test tasks."),
}
"""Usage of each command, and what it does."""
UNSET = object()


def help_page(command: str, config: dict[str, Any], source: str) -> str:
    """Return the page of a command.

    Args:
        command: one of ``ABOUT``.
        config: that is in force: the value of each option.
        source: where the values are from.
    """
    usage, about = ABOUT[command]
    lines = [f"usage: python -m lifelong {usage}", "", about, f"In brackets: the values of {source}.", ""]
    lines += [
        "  -c, --config CONFIG  a file of options, or one of python -m lifelong list configs; options go over it",
        "  --print_config       print every option with its value and do nothing",
        f"  {ALL[0]}           every option of Lightning's Trainer too, with whole texts",
    ]
    for title, options in GROUPS.items():
        rows = [row for uses, option, says in options if command in uses and (row := _row(option, says, config))]
        lines += ["", f"{title}:", *lay_out(rows)] if rows else []
    return "\n".join(lines) + "\n"


def _row(option: str, says: str, config: dict[str, Any]) -> Row | None:
    """The row of an option; None where the classes of the config do not have it."""
    name = option.split()[0].removeprefix("--")
    if name in ("dry_run", "trust", "strategies.NAME"):
        return Row(option, says)
    value = config_value(config, name)
    if value is UNSET:
        has_default = not name.startswith("data.") and name != "model.network"
        return Row(option, says) if has_default else None
    return Row(option, says, shown_value(value))


def config_value(config: dict[str, Any], name: str) -> Any:
    """Return the value of an option in a config, by its dotted name; ``UNSET`` where it has none.

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
