"""A command for each method that runs it: on the embedded stream where it fits there, which needs no data."""

from __future__ import annotations

HEAD = "--model.network.n_outputs 5"
"""Networks of gradient learners have an output for each way."""
WITH_HEAD = ("MAML", "ANIL", "BOIL", "MetaSGD", "IMAML", "Reptile", "CAVIA", "Learn2Learn", "NoAdaptation")
EMBEDDINGS = ("ProtoNet", "TransductiveProtoNet", "MatchingNet", "RelationNet", "Mahalanobis", "R2D2", "MetaOptNet")
PRE_TRAINED = ("FineTuning", "LinearProbe", "SimpleShot")
CLOSED_FORM = ("NearestClassMean", "StreamingLDA", "StreamingRidge", "RanPAC")
ONE_PASS = "--model.network torch.nn.Flatten --data.steps_per_experience null --data.batch_size 500"
"""On the pixels themselves, each example once, in large batches."""
OF_ALL_STREAMS = ("Replay", "AGEM", "GEM", "EWC", "SI", "MAS", "LwF", "AdapterBank", "WeightAveraging")
OF_CLASSES = ("DER", "ERACE", "GDumb", "OSF", "EASE", "TUNA")
"""Strategies that the few-shot tasks of the embedded stream, or its network, do not suit."""
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
"""What follows ``python -m lifelong``, by the name of the method."""
PACKAGES = {
    "MetaOptNet": "It needs the extra `convex`.",
    "Learn2Learn": "It needs learn2learn (`make learn2learn`).",
    "GEM": "It needs the extra `gem`.",
    "PromptPool": "It needs the extra `text`, and your photos in `photos/EXPERIENCE/CLASS/`.",
}


def needs(name: str) -> str:
    """Say what the command of a method needs.

    Args:
        name: of its class.

    Example:
        >>> needs("ProtoNet")
        'The embedded stream needs no data.'
    """
    if "split_mnist" in COMMANDS[name]:
        data = "MNIST is read from `$LIFELONG_DATA/mnist`, and downloaded when it is not there."
    else:
        data = "" if name == "PromptPool" else "The embedded stream needs no data."
    return " ".join(filter(None, (data, PACKAGES.get(name, ""))))
