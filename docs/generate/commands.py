"""A command for each method that runs it: on the embedded stream where it fits there, which needs no data."""

from __future__ import annotations

HEAD = "--model.network.n_outputs 5"
"""Networks of gradient learners have an output for each way."""
COMMANDS = {
    **{
        name: f"fit --model {name} {HEAD}"
        for name in ("MAML", "ANIL", "BOIL", "MetaSGD", "IMAML", "Reptile", "CAVIA", "Learn2Learn", "NoAdaptation")
    },
    **{
        name: f"fit --model {name}"
        for name in (
            "ProtoNet",
            "TransductiveProtoNet",
            "MatchingNet",
            "RelationNet",
            "Mahalanobis",
            "R2D2",
            "MetaOptNet",
        )
    },
    **{name: f"fit --model {name}" for name in ("FineTuning", "LinearProbe", "SimpleShot")},
    **{name: f"fit --config split_mnist --model {name}" for name in ("Classifier",)},
    **{
        name: f"fit --strategies {name}"
        for name in ("Replay", "AGEM", "GEM", "EWC", "SI", "MAS", "LwF", "OSF", "AdapterBank", "WeightAveraging")
    },
    **{name: f"fit --config split_mnist --strategies {name}" for name in ("DER", "ERACE", "ICaRL", "GDumb")},
    "NearestClassMean": "fit --config split_mnist --model NearestClassMean",
    "StreamingLDA": "fit --config split_mnist --model StreamingLDA",
    "StreamingRidge": "fit --config split_mnist --model StreamingRidge",
    "RanPAC": "fit --config split_mnist --model RanPAC",
    "EASE": "fit --config split_mnist --strategies EASE",
    "TUNA": "fit --config split_mnist --strategies TUNA",
    "PackNet": "fit --config split_mnist --data.scenario task --strategies PackNet",
    "PromptPool": "fit --config photos_vit_l2p --data.sources.root photos",
}
