"""Settings of learners, strategies, networks, sources and callbacks that are out of range."""

from __future__ import annotations

from tests.bad_input.case import ONE_EXPERIENCE, QUIET, TINY_DATA, Case, of_class

LEARNERS: dict[str, dict[str, list[str]]] = {
    "ANIL": {"inner_rate": ["-1"]},
    "BOIL": {"n_inner_steps": ["-1"]},
    "CAVIA": {"n_context": ["0", "-1"], "inner_rate": ["-1"]},
    "FineTuning": {"n_steps": ["-1"], "rate": ["-0.1"], "head_rate": ["-1"]},
    "IMAML": {"regularisation": ["0", "-1"], "n_cg_steps": ["-1"], "damping": ["-1"], "n_inner_steps": ["-1"]},
    "LinearProbe": {"n_steps": ["-1"], "rate": ["-1"], "weight_decay": ["-1"]},
    "MAML": {
        "n_inner_steps": ["-1", "1.5"],
        "n_eval_steps": ["-1"],
        "inner_rate": ["-1", ".nan", ".inf", "x"],
        "head_rate": ["-1"],
        "first_order_until": ["-1"],
        "multi_step_loss_until": ["-1"],
        "inner_clip": ["0", ".nan"],
        "inner_huber": ["0"],
        "task": ["xyz"],
    },
    "Mahalanobis": {"regulariser": ["0", ".nan"], "temperature": ["0"]},
    "MatchingNet": {"temperature": ["0", ".inf"]},
    "MetaSGD": {"n_inner_steps": ["-1"], "inner_rate": ["-1"]},
    "ProtoNet": {"temperature": ["-1", "0", ".nan"]},
    "R2D2": {"regulariser": ["0"], "scale": [".nan"]},
    "RanPAC": {"n_projections": ["0", "1.5"], "strength": ["0", "-1"]},
    "RelationNet": {"width": ["0"], "n_hidden": ["0"], "aggregate": ["xyz"]},
    "Reptile": {"inner_rate": ["-1"]},
    "SimpleShot": {"n_centre_tasks": ["0"], "transform": ["xyz"]},
    "StreamingLDA": {"shrinkage": ["0", "2", ".nan"]},
    "StreamingRidge": {"strength": ["0", "-1", ".nan"], "transform": ["xyz"]},
    "TransductiveProtoNet": {"n_refinements": ["-1"], "query_weight": ["-1"]},
}
NETWORK = ("--model.network=MLP", "--model.network.n_inputs=64", "--model.network.n_outputs=3")
STRATEGIES: dict[str, dict[str, list[str]]] = {
    "AdapterBank": {
        "rank": ["-1", "0", "1.5"],
        "temperature": ["-1"],
        "n_signature_tasks": ["0"],
        "router": ["xyz"],
        "trunk": ["nowhere.ckpt"],
    },
    "AGEM": {"n_reference": ["0"], "policy": ["xyz"]},
    "DER": {"alpha": ["-1"], "beta": ["-1"], "n_replay": ["0"]},
    "ERACE": {"weighting": ["-1"], "n_replay": ["-1"]},
    "EWC": {"strength": ["-1", ".nan", ".inf"], "n_fisher_tasks": ["0"], "decay": ["-0.5", "1.5", ".nan"]},
    "GDumb": {
        "n_steps": ["0"],
        "batch_size": ["0"],
        "rate": ["0"],
        "last_rate": ["-1"],
        "clip": ["0"],
        "momentum": ["1"],
        "weight_decay": ["-1"],
    },
    "GEM": {"margin": ["-1"], "n_reference": ["0"]},
    "ICaRL": {"temperature": ["0"], "n_replay": ["0"]},
    "LwF": {"temperature": ["0"], "weighting": ["-1"], "among": ["xyz"]},
    "MAS": {"strength": ["-1"], "n_tasks": ["0"]},
    "PackNet": {"keep": ["0", "1.5"], "retrain": ["1", "-1"]},
    "Replay": {"n_replay": ["0"], "weighting": ["-1", ".nan"], "budget": ["{examples: -1}", "{examples: 1.5}"]},
    "SI": {"strength": ["-1"], "damping": ["0"]},
    "WeightAveraging": {"decay": ["2", "-1", ".nan"]},
}
NETWORKS: dict[str, dict[str, list[str]]] = {
    "MLP": {"n_inputs": ["0", "-4"], "hidden": ["[0]", "[-1]", "abc"], "n_outputs": ["0", "-1"]},
    "Conv4": {
        "n_filters": ["0"],
        "in_channels": ["0"],
        "image_size": ["0", "-1", "3"],
        "n_outputs": ["0"],
        "norm": ["xyz"],
    },
    "ResNet12": {"widths": ["[0]"], "image_size": ["0"], "n_outputs": ["0"]},
}
SOURCES: dict[str, dict[str, list[str]]] = {
    "Glyphs": {"n_classes": ["0"], "n_examples": ["0"], "image_size": ["0", "-1"], "styles": ["[xyz]"], "seed": ["-1"]},
    "Sinusoids": {
        "n_functions": ["0"],
        "n_points": ["0"],
        "frequencies": ["[]", "[.nan]"],
        "amplitude": ["[5, 1]", "[.inf, .inf]"],
        "phase": ["[1]"],
        "seed": ["-1"],
    },
    "MNIST": {"image_size": ["0", "1000000"], "max_per_class": ["0", "-1"], "root": ["/proc/nowhere"]},
    "FashionMNIST": {"image_size": ["-1"]},
    "Omniglot": {"image_size": ["0"], "n_groups": ["0"], "experiences": ["xyz"], "rotations": ["xyz"]},
    "ImageFolder": {"channels": ["2"], "cache_bytes": ["-1, root: x"], "holdout": ["xyz"], "root": ["3"]},
    "Tensors": {"path": ["nowhere.npz"], "holdout": ["xyz"]},
    "Learn2LearnTasks": {"seed": ["-1"]},
}
GLYPHS = "source: {class_path: Glyphs, init_args: {styles: [strokes], image_size: 8}}"
WRAPPERS: dict[str, dict[str, list[str]]] = {
    "Permuted": {"pad": ["-1"], "n_domains": ["0"], "image_size": ["0"], "seed": ["-1"]},
    "Rotated": {"angles": ["[]", "[.nan]"]},
    "SplitClasses": {"n_domains": ["0", "99"], "sizes": ["[0]", "[99]"], "n_classes": ["0"], "order": ["[0, 0]"]},
}
CALLBACKS: dict[str, dict[str, list[str]]] = {
    "lifelong.evaluation.AdaptationCurve": {"n_steps": ["0"]},
    "lifelong.evaluation.Clustering": {"n_classes": ["1"], "n_examples": ["1"], "n_draws": ["0"]},
    "lifelong.control.ClosedLoop": {"n_robots": ["0"], "support_sizes": ["[-1]"]},
}


def _learner(kind: str, name: str, value: str) -> Case:
    base = (f"--model={kind}", *NETWORK, *TINY_DATA, *QUIET, *ONE_EXPERIENCE)
    return Case(f"{kind}.{name}={value}", (f"--model.{name}={value}",), (name,), base=base)


def _network(kind: str, name: str, value: str) -> Case:
    chosen = (f"--model.network={kind}", f"--model.network.{name}={value}")
    base = ("--model=ProtoNet", *TINY_DATA, *QUIET, *ONE_EXPERIENCE)
    return Case(f"{kind}.{name}={value}", chosen, (f"--model.network.{name}",), base=base)


def _words(kind: str, name: str, value: str) -> tuple[str, ...]:
    words = {"nowhere.npz": (value,), "[xyz]": (kind, "xyz", "strokes")}
    return words.get(value, (kind,) if name in ("image_size", "seed") else (name,))


def _source(kind: str, settings: str, name: str, value: str, *words: str) -> Case:
    given = f"--data.sources=[{{class_path: {kind}, init_args: {{{settings}}}}}]"
    return Case(f"{kind}.{name}={value}", (given,), words)


CASES = [
    *(_learner(k, n, v) for k, settings in LEARNERS.items() for n, values in settings.items() for v in values),
    *(
        of_class("strategies", k, n, v)
        for k, settings in STRATEGIES.items()
        for n, values in settings.items()
        for v in values
        if n != "trunk"
    ),
    of_class("strategies", "AdapterBank", "trunk", "nowhere.ckpt", "nowhere.ckpt", "give the path"),
    *(_network(k, n, v) for k, settings in NETWORKS.items() for n, values in settings.items() for v in values),
    *(
        _source(k, f"{n}: {v}", n, v, *_words(k, n, v))
        for k, settings in SOURCES.items()
        for n, values in settings.items()
        for v in values
        if v != "/proc/nowhere"
    ),
    _source("MNIST", "root: /proc/nowhere", "root", "/proc/nowhere", "/proc/nowhere", "LIFELONG_DATA"),
    *(
        _source(k, f"{GLYPHS}, {n}: {v}", n, v, "SplitClasses" if v == "[0]" else n if v != "[0, 0]" else "order")
        for k, settings in WRAPPERS.items()
        for n, values in settings.items()
        for v in values
    ),
    *(
        of_class("trainer.callbacks", k, n, v)
        for k, settings in CALLBACKS.items()
        for n, values in settings.items()
        for v in values
    ),
]
