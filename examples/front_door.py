"""Learn a stream from Python: fit, read what was measured, evaluate further, and load the run again.

    python examples/front_door.py

Two to six minutes on a CPU; the run folder is ``runs/<time>``.
"""

from __future__ import annotations

import lifelong
from datamodules import EpisodicDataModule, Glyphs
from lifelong.learners import ProtoNet
from lifelong.networks import Conv4
from strategies import Replay

if __name__ == "__main__":  # a Trainer with several devices starts this script again
    lifelong.seed_everything(0)  # before the first network is built
    learner = ProtoNet(Conv4(n_filters=32, norm="group"))
    run = lifelong.fit(learner, EpisodicDataModule([Glyphs()]), strategies=[Replay()], seed=0)

    print(run)  # the tables that the command line prints; in a notebook `run` alone shows them as HTML
    print(dict(zip(run.domains, run.matrix[-1].round(3).tolist(), strict=True)))
    print(dict(zip(run.domains, run.half_widths[-1].round(3).tolist(), strict=True)))
    forgetting = run.metrics["forgetting"]
    print(f"forgetting {forgetting.value:.3f} ± {forgetting.half_width:.3f}")
    run.plot().savefig(run.folder / "my_matrix.png")

    one_shot = run.evaluate(EpisodicDataModule([Glyphs()], n_shot=1))  # the same domains, harder tasks
    print("one shot:", one_shot.matrix.round(3).tolist())

    again = lifelong.load(run.folder)  # later, in another process: a Run again
    print("test:", again.test().matrix.round(3).tolist())
