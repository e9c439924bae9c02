"""A learner and strategies in a plain PyTorch loop: no Lightning, no Trainer, no run folder.

    python examples/plain_pytorch.py

The same numbers as ``lifelong.fit`` with SGD (a test holds it).
"""

from __future__ import annotations

import torch

import lifelong
from datamodules import EpisodicDataModule, Glyphs
from lifelong.learners import ProtoNet
from lifelong.networks import MLP
from lifelong.strategy import Step
from strategies import EWC, Replay


def train(learner: lifelong.Learner, data: EpisodicDataModule, strategies: lifelong.Chain, lr: float) -> None:
    """Learn a stream, experience by experience."""
    cpu = torch.device("cpu")
    strategies.attach(learner)
    learner.prepare(data.n_classes, data.example(cpu))
    runner = strategies.bind(learner, lifelong.TaskRunner())
    optimizer = torch.optim.SGD(learner.parameters(), lr=lr)
    for number in range(len(data.stream.experiences)):
        visit = data.visit(number, cpu)
        strategies.begin(learner, visit, runner=runner)
        for step in range(data.steps_per_experience):
            position = data.position(number, step)
            batch = data.draw_for_training(number, data.units(number, step)).gather(cpu)
            batch = strategies.rehearse(learner, batch, position, runner=runner)
            params = learner.meta_parameters()
            losses, outputs = runner.training_losses(learner, params, batch)
            loss = runner.mean(losses, batch.weight)
            penalty = strategies.penalty(learner, Step(batch, params, outputs, losses, position), runner=runner)
            optimizer.zero_grad()
            (loss if penalty is None else loss + penalty).backward()
            optimizer.step()
        learner.finish(visit, runner)
        strategies.end(learner, visit, runner=runner)


def evaluate(learner: lifelong.Learner, data: EpisodicDataModule, strategies: lifelong.Chain) -> list[float]:
    """Return the mean score on the first validation tasks of each domain."""
    runner, params = strategies.bind(learner, lifelong.TaskRunner()), learner.meta_parameters()
    learner.eval()
    scores = []
    for domain in range(len(data.stream.domains)):
        batch = data.draw_for_evaluation("val", domain, range(data.n_eval_tasks)).gather(torch.device("cpu"))
        with torch.no_grad():
            scores.append(float(runner.scores(learner, params, batch).mean()))
    return scores


if __name__ == "__main__":
    lifelong.seed_everything(0, verbose=False)
    stream = EpisodicDataModule([Glyphs(image_size=16)], steps_per_experience=40)
    protonet = ProtoNet(MLP(n_inputs=256, hidden=[64], n_outputs=32))
    chain = lifelong.Chain([EWC(strength=100.0), Replay()])
    train(protonet, stream, chain, lr=0.05)
    for name, score in zip(stream.stream.domains, evaluate(protonet, stream, chain), strict=True):
        print(f"{name:<16} {100 * score:.1f}")
