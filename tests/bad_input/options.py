"""Options of the command line: out of range, of another type, unknown, or without effect on a stream."""

from __future__ import annotations

from tests.bad_input.case import QUIET, TINY_DATA, Case, options

LONG = "x" * 300
TRAINER_CLASS = "lightning.pytorch.callbacks"
DEEP = "[" * 3000 + "]" * 3000
HELP = "help"
SPLITS = {"[nan,0.1]": "nan", "[-0.1,0.5]": "-0.1", "[.nan,0.1]": "nan", "[.inf,1]": "inf", "[2.5,1]": "2.5"}


def case(name: str, *words: str, command: str = "fit") -> Case:
    return Case(f"{command} {name}"[:80], (f"--{name}",), words, command=command)


RUN = [
    *(
        Case(f"run.name {name!r}"[:60], (f"--run.name={name}",), ("--run.name", words, "choose another"))
        for name, words in {
            "": "is empty",
            " ": "is empty",
            " a": "begins or ends with a blank",
            "a\nb": "cannot be printed",
            "a\tb": "cannot be printed",
            "a\0b": "cannot be printed",
            "a*": "a sign that stands for other names",
            "[ab]": "a sign that stands for other names",
            "a?": "a sign that stands for other names",
            "~x": "a sign that stands for other names",
            "a|b": "a sign that stands for other names",
            "../x": "--run.root",
            "a/b": "--run.root",
            "a/../b": "--run.root",
            "/abs/olute": "--run.root",
            "a\\b": "--run.root",
            ".": "--run.root",
            "..": "--run.root",
            LONG: "longer than 200 bytes",
        }.items()
    ),
    case("run.root=", "--run.root", "name a folder"),
    case("run.root=/proc/x", "/proc/x", "--run.root"),
    case("run.root=/dev/null", "/dev/null", "--run.root"),
    case("run.resume=auto", "--run.resume auto", "--run.name"),
    *options("run.resume", "perhaps", words=("never", "auto", "must")),
    Case("run.resume=must", ("--run.resume=must", "--run.name=x"), ("--run.resume must", "never or auto")),
    *options("checkpoint.every_n_steps", "-1", "1.5", "nan", "abc"),
    *options("checkpoint.keep_experiences", "-1", "1.5", "abc"),
    *options("seed", "-1", "abc", "1.5", "99999999999999", "nan", ""),
    case("ckpt_path=nowhere.ckpt", "nowhere.ckpt", "--ckpt_path"),
    case("ckpt_path=last", "last found no runs/*", "name the path of a run"),
    case("ckpt_path=.", "the checkpoint .", "--ckpt_path"),
    case("ckpt_path=nowhere.ckpt", "nowhere.ckpt", "--ckpt_path", command="test"),
    case("ckpt_path=last", "last found no runs/*", command="predict"),
    case("texts.query=here", "--texts.query is now --query"),
    case("texts.query=here", "--texts.query", command="test"),
    case("xyzzy=1", "--xyzzy", HELP),
    case("optimzer.lr=1", "--optimzer.lr", "did you mean --optimizer.lr?"),
    case("runner.nothing=1", "--runner.nothing", HELP),
    case("data.nway=3", "--data.nway", "did you mean --data.n_way?"),
    case("seed_everything=3", "seed"),
    Case("no command", (), ("there is no command", "fit"), command="", base=()),
    Case("fti", (), ("there is no command fti", "fit"), command="fti", base=()),
    Case("-c without a file", ("-c",), ("-c names no file",)),
]

DATA = [
    *(
        found
        for name in ("n_way", "n_shot", "n_query", "tasks_per_batch", "steps_per_experience", "n_eval_tasks")
        for found in options(f"data.{name}", "0", "-1", "1.5", "nan")
    ),
    *(
        found
        for name in ("eval_n_way", "eval_n_shot", "eval_n_query", "eval_tasks_per_batch", "evaluate_every")
        for found in options(f"data.{name}", "0", "-1")
    ),
    *options("data.n_way", "", "abc", "[3]", words=("a whole number",)),
    *options("data.evaluate_on", "train", words=("val", "test")),
    *options("data.joint", "2", words=("true or false",)),
    *options("data.split_seed", "-1", "x"),
    *options("data.split", "[0.25]", "0.5"),
    *(case(f"data.split={split}", "--data.split", word) for split, word in SPLITS.items()),
    case("data.split=[0.5,0.5]", "--data.split"),
    case("data.split=[0.9,0.9]", "--data.split"),
    case("data.split=[0.01,0.25]", "--data.split", "--data.evaluate_on test"),
    case("data.split=[0,0]", "--data.split"),
    case("data.split=[0.1,0.25]", "strokes (val)", "--data.split", "--data.n_way"),
    case("data.n_way=99", "99-way", "--data.n_way", "--data.split"),
    case("data.n_shot=99", "99-shot", "--data.n_shot", "--data.split"),
    case("data.n_query=99", "99 queries", "--data.n_query", "--data.split"),
    case("data.eval_n_way=99", "99-way", "--data.n_way"),
    case("data.sources=[]", "--data.sources", "at least one"),
    case("data.sources=Nothing", "data.sources", HELP),
    case("data.sources=[Nothing]", "there is no class Nothing"),
    case("data.sources=[Glyhs]", "did you mean Glyphs?"),
    Case(
        "joint and cumulative", ("--data.joint=true", "--data.cumulative=true"), ("--data.joint", "--data.cumulative")
    ),
    case("data.fixed_ways=true", "--data.fixed_ways"),
    case("data=Nothing", "there is no class Nothing for data"),
    case("data=", "--data is empty"),
]

TRAINING = [
    *options("optimizer.lr", "nan", "abc", "", words=("a number",)),
    case("optimizer.lr=-1", "--optimizer", "-1.0", "set another value"),
    case("optimizer.lr=.nan", "--optimizer", "nan"),
    case("optimizer.betas=[2,2]", "--optimizer", "beta"),
    case("optimizer.betas=[2]", "--optimizer"),
    case("optimizer.weight_decay=-1", "--optimizer", "weight_decay"),
    case("optimizer.nothing=1", "--optimizer.nothing", HELP),
    case("optimizer=Nothing", "there is no class Nothing for optimizer"),
    case("optimizer=torch.nn.Linear", "--optimizer", "torch.nn.Linear", "no Optimizer"),
    case("lr_scheduler=Nothing", "there is no class Nothing for lr_scheduler"),
    case("lr_scheduler=StepLR", "--lr_scheduler.step_size is missing"),
    case("lr_scheduler=torch.optim.lr_scheduler.ReduceLROnPlateau", "--lr_scheduler", "StepLR"),
    Case("lr_scheduler.step_size=0", ("--lr_scheduler=StepLR", "--lr_scheduler.step_size=0"), ("--lr_scheduler",)),
    Case("lr_scheduler.T_max=0", ("--lr_scheduler=CosineAnnealingLR", "--lr_scheduler.T_max=0"), ("--lr_scheduler",)),
    *options("reset_optimizer", "7", words=("true or false",)),
    *options("runner.plan", "xyz", words=("loop", "vmap")),
    *options("runner.chunk", "0", "-1", "1.5", "nan"),
    *options("runner.recompute", "xyz", words=("steps",)),
    *options("runner.cuda_graph", "7", words=("true or false",)),
    case("model=Nothing", "there is no class Nothing for model", HELP),
    case("model=ProtoNt", "did you mean ProtoNet?"),
    case("model=nothing.Here", "nothing.Here", "no module of the name nothing"),
    case("model=lifelong.learners.Nothing", "lifelong.learners.Nothing"),
    case("model=[]", "--model is []", "the name of a class"),
    case("model={", "--model is {", "the name of a class"),
    case("model=", "--model is empty", "the name of a class"),
    case("model=3", "there is no class 3 for model"),
    case("model=torch.nn.Linear", "--model is torch.nn.Linear", "no Learner"),
    case("model.network=Nothing", "there is no class Nothing for model.network"),
    case("model.nothing=1", "--model.nothing", HELP),
    case("model.tempeature=1", "--model.tempeature", "did you mean --model.temperature?"),
    *options("model.distance", "xyz", words=("euclidean", "cosine")),
    case("model.network.n_inputs=65", "--model.network.n_inputs 64"),
    case("model.network=Conv4", "--model.network"),
    case("strategies={}", "--strategies is {}", "the name of a class"),
    case("strategies=[EWC", "--strategies", "a list"),
    case("strategies=[Nothing]", "there is no class Nothing for strategies"),
    case("strategies=[Repaly]", "did you mean Replay?"),
    case("strategies=[EWC,EWC]", "EWC", "--strategies", "give it once"),
    case("strategies=[{class_path: EWC, init_args: {stength: 1}}]", "did you mean --strategies.strength?"),
    case("strategies=[{class_path: EWC, init_args: {strength: x}}]", "--strategies.strength is x", "a number"),
    case("strategies=[ER_ACE]", "there is no class ER_ACE"),
    case("strategies=[ERACE]", "ERACE", "--strategies", "--data"),
    Case("strategies nested deeply", (f"--strategies={DEEP}",), ("--strategies is", "a list")),
    Case("another learner's data", ("--model=Classifier",), ("Classifier", "--model ProtoNet")),
]

TRAINER = [
    *options("trainer.devices", "0", "-1", "-2", "abc", "[]", "1.5", "99"),
    *options("trainer.num_nodes", "0", "-1"),
    *options("trainer.accumulate_grad_batches", "0", "-2", "1.5"),
    *options("trainer.limit_val_batches", "0", "-1", "1.5", "0.0"),
    *options("trainer.limit_train_batches", "0", "-1", "2.5"),
    *options("trainer.max_epochs", "0", "-2", "1.5", "abc", ""),
    *options("trainer.max_steps", "0", "3", "-3", words=("--data.steps_per_experience",)),
    *options("trainer.min_epochs", "5", "-1", words=("leave it out",)),
    *options("trainer.min_steps", "3", words=("leave it out",)),
    case("trainer.max_time=00:00:00:00", "--trainer.max_time", "no accuracy matrix"),
    case("trainer.max_time=abc", "abc", "DD:HH:MM:SS"),
    *options("trainer.gradient_clip_val", "-1", "nan", "inf", "abc"),
    case("trainer.gradient_clip_val=.nan", "--trainer.gradient_clip_val", "nan"),
    case("trainer.gradient_clip_algorithm=xyz", "xyz", "norm"),
    *options("trainer.precision", "7", words=("bf16-mixed",)),
    case("trainer.accelerator=xyz", "xyz", "cpu"),
    case("trainer.strategy=xyz", "xyz", "ddp"),
    *options("trainer.log_every_n_steps", "-1"),
    *options("trainer.check_val_every_n_epoch", "0", "2", words=("--data.evaluate_every",)),
    case("trainer.check_val_every_n_epoch=null", "--data.evaluate_every"),
    *options("trainer.val_check_interval", "0", "0.5", "2"),
    *options("trainer.num_sanity_val_steps", "-2"),
    case("trainer.overfit_batches=-1", "overfit_batches", "-1"),
    case("trainer.profiler=xyz", "profiler", "simple"),
    *options("trainer.deterministic", "xyz", words=("true or false",)),
    *options("trainer.enable_progress_bar", "7", words=("true or false",)),
    *options("trainer.default_root_dir", "/nowhere", words=("--run.root",)),
    case("trainer.nothing=1", "--trainer.nothing", HELP),
    case("trainer.callbacks=[nothing.Here]", "nothing.Here", "trainer.callbacks"),
    case("trainer.callbacks=[Nothing]", "Nothing", "trainer.callbacks"),
    case("trainer.callbacks=EarlyStopping", "--trainer.callbacks.monitor is missing"),
    case("trainer.logger=[nothing.Here]", "nothing.Here", "trainer.logger"),
    case("trainer.plugins=xyz", "there is no class xyz for trainer.plugins"),
    *(
        Case(
            f"{name} of a metric that there is not",
            (f"--trainer.callbacks=[{{class_path: {TRAINER_CLASS}.{name}, init_args: {{monitor: nothing}}}}]",),
            ("--trainer.callbacks", "monitor nothing", "val/average_score"),
        )
        for name in ("EarlyStopping", "ModelCheckpoint")
    ),
    *(
        Case(
            f"ModelCheckpoint {setting}",
            (f"--trainer.callbacks=[{{class_path: {TRAINER_CLASS}.ModelCheckpoint, init_args: {{{setting}: true}}}}]",),
            ("--trainer.callbacks", setting, "dirpath"),
        )
        for setting in ("save_last", "save_weights_only")
    ),
    Case("limit_test_batches=0", ("--trainer.limit_test_batches=0",), ("limit_test_batches is 0",), command="test"),
    Case("limit_predict_batches=0", ("--trainer.limit_predict_batches=0",), ("limit_predict",), command="predict"),
    Case("validate nothing", ("--trainer.limit_val_batches=0",), ("limit_val_batches is 0",), command="validate"),
]

EXAMPLES = ("--model=Classifier", "--model.network=MLP", "--model.network.n_inputs=64", "--model.network.n_outputs=99")
EXAMPLES += ("--data=ExampleDataModule", TINY_DATA[0], *QUIET, "--trainer.max_epochs=1")


def of_examples(name: str, *words: str) -> Case:
    return Case(f"examples {name}", (f"--{name}",), words, base=EXAMPLES)


STREAMS = [
    of_examples("data.batch_size=0", "--data.batch_size is 0"),
    of_examples("data.passes=0", "--data.passes is 0"),
    of_examples("data.steps_per_experience=0", "--data.steps_per_experience is 0"),
    of_examples("data.n_eval_examples=0", "--data.n_eval_examples is 0"),
    of_examples("data.scenario=xyz", "--data.scenario is xyz", "domain"),
    of_examples("data.classes=xyz", "--data.classes is xyz", "seen"),
    of_examples("data.fade=2", "--data.fade is 2"),
    of_examples("data.fade=-1", "--data.fade is -1"),
    of_examples("data.fade=.nan", "--data.fade is nan"),
    of_examples("data.fade=0.5", "--data.fade", "--data.scenario domain"),
    of_examples("data.split=[1,1,1]", "--data.split"),
    of_examples("data.split=[0.5,0.5]", "--data.split"),
    of_examples("data.split=[-1,1]", "--data.split"),
    of_examples("model.network.n_outputs=3", "--model.network.n_outputs"),
    of_examples("model.loss=xyz", "--model.loss is xyz", "softmax"),
    of_examples("strategies=[{class_path: AdapterBank, init_args: {router: support_loss}}]", "AdapterBank", "fused"),
    of_examples("strategies=[{class_path: PackNet}]", "PackNet", "--strategies"),
    of_examples("data.n_way=3", "--data.n_way"),
]

BOMB = "{a0: &a0 [x, x, x], " + ", ".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}, *a{i}]" for i in range(30)) + "}"
LARGE = 10**14
"""More than there are addresses: whatever a system promises, so much it refuses."""
MEMORY = [
    *(
        Case(f"a bomb of aliases as {name}", (f"--{name}={BOMB}",), (f"--{name}", "aliases", "write the values out"))
        for name in ("model", "strategies", "seed", "trainer.callbacks", "data.sources")
    ),
    Case("a bomb of aliases after its option", ("--model", BOMB), ("--model", "aliases")),
    case(f"model.network.hidden=[{LARGE}]", "memory", "the sizes of the network"),
    case(f"model.network.n_inputs={LARGE}", "memory", "the sizes of the network"),
    case(f"data.tasks_per_batch={LARGE}", "--data.tasks_per_batch", "at most"),
    case(f"data.eval_tasks_per_batch={LARGE}", "--data.eval_tasks_per_batch", "at most"),
    case(f"data.n_way={LARGE}", "--data.n_way", "at most 12"),
    case(f"data.n_shot={LARGE}", "--data.n_shot"),
    *(
        Case(
            f"{kind}.{name}={LARGE}",
            (f"--data.sources=[{{class_path: {kind}, init_args: {{{name}: {LARGE}}}}}]",),
            ("memory", "of the data"),
        )
        for kind, name in (("Glyphs", "n_classes"), ("Glyphs", "image_size"), ("Sinusoids", "n_functions"))
    ),
    case(f"strategies=[{{class_path: Replay, init_args: {{n_replay: {LARGE}}}}}]", "n_replay", "at most"),
    Case("many inner steps", ("--model=MAML", f"--model.n_inner_steps={LARGE}"), ("--model.n_inner_steps", "at most")),
]
CASES = [*MEMORY, *RUN, *DATA, *TRAINING, *TRAINER, *STREAMS]
