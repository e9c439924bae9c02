"""An example command for each method: on the default stream, which needs no data, if the method supports it."""

from __future__ import annotations

HEAD = "--model.network.n_outputs 5"
"""Options of gradient-based learners, whose network has one output per way."""
WITH_HEAD = ("MAML", "ANIL", "BOIL", "MetaSGD", "IMAML", "Reptile", "CAVIA", "Learn2Learn", "NoAdaptation")
EMBEDDINGS = ("ProtoNet", "TransductiveProtoNet", "MatchingNet", "RelationNet", "Mahalanobis", "R2D2", "MetaOptNet")
PRE_TRAINED = ("FineTuning", "LinearProbe", "SimpleShot")
CLOSED_FORM = ("NearestClassMean", "StreamingLDA", "StreamingRidge", "RanPAC")
ONE_PASS = "--model.network torch.nn.Flatten --data.steps_per_experience null --data.batch_size 500"
"""Options for training on raw pixels, each example once, in large batches."""
OF_ALL_STREAMS = ("Replay", "AGEM", "GEM", "EWC", "SI", "MAS", "LwF", "AdapterBank", "WeightAveraging")
OF_CLASSES = ("DER", "ERACE", "GDumb", "OSF", "EASE", "TUNA")
"""Strategies that do not support the few-shot tasks, or the network, of the default stream."""
COMMANDS = {
    **{name: f"fit --model {name} {HEAD}" for name in WITH_HEAD},
    **{name: f"fit --model {name}" for name in (*EMBEDDINGS, *PRE_TRAINED)},
    "Classifier": "fit --config split_mnist --model Classifier",
    **{name: f"fit --config split_mnist --model {name} {ONE_PASS}" for name in CLOSED_FORM},
    **{name: f"fit --strategies {name}" for name in OF_ALL_STREAMS},
    **{name: f"fit --config split_mnist --strategies {name}" for name in OF_CLASSES},
    "ICaRL": "fit --config split_mnist --model.loss sigmoid --strategies ICaRL",
    "PackNet": "fit --config split_mnist --data.scenario task --strategies PackNet",
    "PromptPool": "fit --config photos_vit_l2p --data.sources.root photos",
}
"""Arguments of ``python -m lifelong``, by the name of the method."""
PACKAGES = {
    "MetaOptNet": "It needs the extra `convex`.",
    "Learn2Learn": "It needs learn2learn (`make learn2learn`).",
    "GEM": "It needs the extra `gem`.",
    "PromptPool": "It needs the extra `text`, and your photos in `photos/EXPERIENCE/CLASS/`.",
}


def needs(name: str) -> str:
    """Return a sentence on the data and packages that the command of a method needs.

    Args:
        name: class name of the method.

    Example:
        >>> needs("ProtoNet")
        'The default stream is drawn by the program and needs no data.'
    """
    if "split_mnist" in COMMANDS[name]:
        data = "MNIST is read from `$LIFELONG_DATA/mnist`, and downloaded when it is not there."
    else:
        data = "" if name == "PromptPool" else "The default stream is drawn by the program and needs no data."
    return " ".join(filter(None, (data, PACKAGES.get(name, ""))))
