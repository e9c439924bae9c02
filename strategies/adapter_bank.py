"""Adapter bank: a shared trunk, a few parameters per experience, and a router that selects them from the data alone.

Shapes: ``S`` support examples, ``B`` labelled examples, ``E`` entries of the bank, ``F`` features of a signature.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from lifelong.compute.params import Params, parameters_of
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode, Task
from lifelong.data.position import Visit
from lifelong.learners.base import Learner
from lifelong.learners.objective import one_hot
from lifelong.utilities.checkpoint_file import read_checkpoint
from lifelong.utilities.ranges import check_number
from lifelong.utilities.recorded import init_arguments
from strategies.adapters.answers import EntryAnswers
from strategies.adapters.base import ROUTING, WITH_RIGHT_ENTRY, Adapters, outputs_with
from strategies.adapters.class_gaussians import ClassGaussians, class_statistics
from strategies.adapters.embedded import embed, embedded_experience
from strategies.adapters.entry import add_entry, stacked, unstacked
from strategies.adapters.head_rows import HeadRows
from strategies.adapters.merging import averaged, fused, with_differences
from strategies.adapters.signatures import Signatures, describe, held_out_loss, signature_of

Router = Literal["signature", "support_loss", "entropy", "average", "fused"]
ROUTERS = {"tasks": ("signature", "support_loss"), "examples": ("signature", "entropy", "average", "fused")}
"""The routers for each unit of a stream."""
MERGED = {"average": averaged, "fused": fused}


class AdapterBank(Adapters):
    """Adapt a frozen trunk by a small entry per experience; in evaluation, the data alone select the entry.

    An entry of the bank is a set of differences to the trunk's parameters: the centres of convolution kernels, low-rank
    updates of linear layers, and all biases and norm scales. Adding to the centre of a 3×3 kernel is equivalent to a
    parallel 1×1 convolution. In a network that already has adapters (a ``Transformer`` with LoRA), an entry consists of
    these adapters and the head. An entry starts at zero, which leaves the trunk unchanged, or as a copy of the nearest
    entry.

    A few-shot task is routed by its support set. A labelled example is routed individually,
    ``log p(c | x) = log Σ_e p(e | x) p(c | e, x)``, where entry ``e`` predicts among those ways of the example that are
    classes of its own experience. In the task scenario the ways thus determine the entry; in the other scenarios the
    router selects it. The head rows of an experience's classes belong to its entry and are trained with it. Predictions
    do not depend on other examples of the batch.

    Args:
        rank: rank of the updates of linear layers.
        router: selection of entries. For few-shot tasks, ``signature`` compares the mean and standard deviation of the
            support set, of the inputs and of the trunk's embedding, with those of each experience by standardised
            distance; ``support_loss`` adapts to one half of the support set, predicts the other, and selects the entry
            with the lowest loss. For labelled examples, ``signature`` compares the trunk's embedding with the class
            means of each experience, as Gaussians with a shared covariance
            (:class:`~strategies.adapters.class_gaussians.ClassGaussians`); ``entropy`` evaluates all entries and
            selects the one whose prediction has the least entropy; ``average`` and ``fused`` do not route but merge all
            entries, by their mean or by the largest difference with the elected sign
            (:func:`~strategies.adapters.merging.fused`).
        temperature: 0 selects the best entry; above 0 mixes all entries with weights
            ``softmax(−distance / temperature)``: their parameters for few-shot tasks, their predictions for labelled
            examples.
        start: initial value of a new entry. ``nearest`` copies the nearest entry.
        n_signature_tasks: support sets from which an experience's signature is estimated. For labelled examples, all
            examples are used.
        trunk: checkpoint of a learner to use as the trunk, frozen. Default: the first experience trains the trunk.
        frozen_from_start: never train the network, for a pre-trained one.

    Raises:
        ValueError: when the network has running statistics, which change even if parameters are frozen, or the router
            does not support the kind of stream.

    Reference:
        Rebuffi, Bilen & Vedaldi, "Efficient parametrization of multi-domain deep neural networks", CVPR 2018 (parallel
        adapters); Hu et al., "LoRA", ICLR 2022 (linear layers). Difference: the entry is selected from the data.

    Example:
        >>> AdapterBank().memory_bytes()
        0
    """

    def __init__(
        self,
        *,
        rank: int = 4,
        router: Router = "signature",
        temperature: float = 0.0,
        start: Literal["zero", "nearest"] = "zero",
        n_signature_tasks: int = 64,
        trunk: str | None = None,
        frozen_from_start: bool = False,
    ) -> None:
        super().__init__(rank=rank, frozen_from_start=frozen_from_start or trunk is not None)
        check_number("AdapterBank's temperature", temperature, least=0)
        check_number("AdapterBank's n_signature_tasks", n_signature_tasks, least=1, whole=True)
        self.router, self.temperature, self.start = router, temperature, start
        self.n_signature_tasks, self.trunk = n_signature_tasks, trunk
        self.signatures = Signatures()
        """Used for few-shot tasks."""
        self.gaussians, self.heads = ClassGaussians(), HeadRows()
        """Used for labelled examples."""
        self._merged: Params | None = None

    def arguments_to_load(self) -> dict[str, Any]:
        """Return the arguments without the trunk's file, as the state is loaded afterwards."""
        has_trunk = self.trunk is not None
        return init_arguments(self) | ({"trunk": None, "frozen_from_start": True} if has_trunk else {})

    # -- life of an entry ---------------------------------------------------------------------------------------------

    def attach(self, learner: Learner) -> None:
        """Create an entry for the learner's network, and load the trunk if its file is given."""
        if self.router not in (possible := ROUTERS[learner.unit]):
            kind = "few-shot tasks" if learner.unit == "tasks" else "labelled examples, which have no support set"
            raise ValueError(
                f"AdapterBank's router {self.router} is not made for {kind}: choose {', '.join(possible[:-1])} or "
                f"{possible[-1]}"
            )
        super().attach(learner)
        if self.trunk is not None:
            _load_trunk(learner.network, self.trunk)

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Start a new entry at zero or as a copy of the nearest one."""
        super().begin(learner, visit, runner=runner)
        if not self.entries:
            return
        number = self._nearest(learner, visit, runner) if self.start == "nearest" else 0
        self.restart(self.entries[number], copies=self.start == "nearest")
        if self.heads.of_entries:
            self.heads.put_back(learner, number, self.classes[number], self.own)

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Add the entry to the bank with the signature of its experience."""
        if learner.unit == "tasks":
            self.signatures.add(describe(learner, visit, runner, self.n_signature_tasks))
        else:
            self.gaussians.add(*class_statistics(learner, learner.meta_parameters(), visit, self.own, runner))
            self.heads.keep(learner, self.own)
        super().end(learner, visit, runner=runner)

    def forget_copies(self) -> None:
        """Drop cached tensors that were computed from the entries."""
        super().forget_copies()
        self._merged = None

    def _nearest(self, learner: Learner, visit: Visit, runner: TaskRunner) -> int:
        if learner.unit == "tasks":
            signature = describe(learner, visit, runner, self.n_signature_tasks)
            return int(self.signatures.distances(signature["mean"]).argmin())
        total = torch.zeros(len(self.entries), device=learner.device)
        for (features,), _ in embedded_experience(learner, visit, [learner.meta_parameters()]):
            total += self.gaussians.distances(features).sum(1)
        return int(runner.sum(total).argmin())

    # -- few-shot tasks -----------------------------------------------------------------------------------------------

    def route(self, learner: Learner, params: Params, support_x: Tensor, support_y: Tensor) -> Params:
        """Return the trunk plus the current entry in training, or plus the one selected by the support set."""
        if self.training or not self.entries or learner.unit == "examples":
            return super().route(learner, params, support_x, support_y)
        weights = self.weigh(learner, params, support_x, support_y)
        stacks = self.stack(support_x)
        if self.temperature == 0:  # reads one entry, where a weighted sum would read all
            best = weights.argmax()[None]
            return add_entry(params, {key: stack.index_select(0, best)[0] for key, stack in stacks.items()})
        return add_entry(params, {key: torch.einsum("e,e...->...", weights, stack) for key, stack in stacks.items()})

    def weigh(self, learner: Learner, params: Params, support_x: Tensor, support_y: Tensor) -> Tensor:
        """Return weights ``(E,)`` of the entries for one support set; one-hot when the temperature is 0."""
        if self.router == "signature":
            distances = self.signatures.distances(torch.cat(signature_of(learner, params, support_x)))
        else:
            distances = torch.stack(
                [held_out_loss(learner, add_entry(params, e), support_x, support_y) for e in self.entries]
            )
        if self.temperature > 0:
            return (-distances / self.temperature).softmax(0)
        return one_hot(distances.argmin(), len(self.entries)).to(distances.dtype)

    # -- labelled examples --------------------------------------------------------------------------------------------

    def respond(self, learner: Learner, params: Params, batch: Episode, *, runner: TaskRunner) -> Tensor | None:
        """Return ``log p(c | x)`` ``(B, 1, N)`` of labelled examples; None for tasks, which ``route`` routes."""
        if learner.unit == "tasks" or not self.entries:
            return None
        if self.router in MERGED:
            return self._merged_answers(learner, params, batch, runner).of_entry(0)[:, None]
        answers = self.answers(learner, params, batch, runner)
        distances = self._example_distances(learner, params, batch, answers)
        if self.temperature > 0:
            return answers.mixed(distances, self.temperature)[:, None]
        return answers.of_best(answers.best(distances))[:, None]

    def with_entry(self, params: Params, number: int) -> Params:
        """Return the trunk's parameters with an entry added, and its rows in the head."""
        changed = super().with_entry(params, number)
        return self.heads.in_head(changed, number, self.classes[number]) if self.heads.of_entries else changed

    def answered_by(self, learner: Learner, params: Params, batch: Episode, *, runner: TaskRunner) -> Tensor | None:
        """Return the entry ``(B,)`` that the router selects, or that has the largest weight; None if it merges all."""
        if not self.entries or self.router in MERGED:
            return None
        if learner.unit == "examples":
            answers = self.answers(learner, params, batch, runner)
            return answers.best(self._example_distances(learner, params, batch, answers))

        def chosen(task: Task) -> Tensor:
            return self.weigh(learner, params, task.support_x, task.support_y).argmax()

        return runner.map(chosen, learner, batch)  # type: ignore[no-any-return]

    def _merged_answers(self, learner: Learner, params: Params, batch: Episode, runner: TaskRunner) -> EntryAnswers:
        """Return the predictions of one merged entry, which knows every class that any entry knows."""
        if self._merged is None:
            added = MERGED[self.router](params, self.moved_entries(learner.device))
            self._merged = with_differences(params, added) | self.heads.mean(params, self.classes)
        changed = self._merged
        known = self.known(learner).any(0, keepdim=True)
        return EntryAnswers(batch, lambda _, some: outputs_with(learner, changed, some, runner), known)

    def _example_distances(self, learner: Learner, params: Params, batch: Episode, answers: EntryAnswers) -> Tensor:
        if self.router == "entropy":
            return answers.entropies()
        return self.gaussians.distances(embed(learner, params, batch))

    # -- measures -----------------------------------------------------------------------------------------------------

    @property
    def routing_measures(self) -> tuple[str, ...]:
        """Return the names of both routing measures; none for a merged bank, which does not route."""
        return (WITH_RIGHT_ENTRY,) if self.router in MERGED else (ROUTING, WITH_RIGHT_ENTRY)

    def measure_routing(
        self, learner: Learner, params: Params, batch: Episode, domain: int, *, runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Measure whether each unit was routed to the entry of its own experience, and the score of that entry."""
        if learner.unit == "examples":
            return self._routing_of_examples(learner, params, batch, domain, runner)

        def is_right(task: Task) -> Tensor:
            weights = self.weigh(learner, params, task.support_x, task.support_y)
            return (weights.argmax() == domain).to(task.support_x.dtype)

        entry = {key: stack[domain] for key, stack in self.stack(batch.support_x).items()}
        scores = runner.rerouted(lambda p, sx, sy: add_entry(p, entry)).scores(learner, params, batch)
        return {ROUTING: runner.map(is_right, learner, batch), WITH_RIGHT_ENTRY: scores}

    def _routing_of_examples(
        self, learner: Learner, params: Params, batch: Episode, domain: int, runner: TaskRunner
    ) -> dict[str, Tensor]:
        answers = self.answers(learner, params, batch, runner)
        with_id = {WITH_RIGHT_ENTRY: learner.scores_of(answers.of_entry(domain)[:, None], batch)}
        if self.router in MERGED:
            return with_id
        best = answers.best(self._example_distances(learner, params, batch, answers))
        return {ROUTING: (best == domain).to(batch.weight)} | with_id

    # -- checkpoint ---------------------------------------------------------------------------------------------------

    def get_extra_state(self) -> dict[str, Any]:
        """Return the bank, for the checkpoint."""
        state = super().get_extra_state() | {"signatures": stacked(self.signatures.of_experiences)}
        return state | {"gaussians": self.gaussians.state(), "heads": self.heads.state()}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restore the bank from the checkpoint."""
        super().set_extra_state(state)
        self.signatures.replace(unstacked(state["signatures"]))
        self.gaussians.load(state["gaussians"])
        self.heads.load(state["heads"])


NETWORK = "learner.network"
"""Prefix of the network's parameters in a checkpoint."""


def _load_trunk(network: nn.Module, path: str) -> None:
    try:
        state = parameters_of(read_checkpoint(path)["state_dict"], NETWORK)
    except ValueError as error:
        raise ValueError(f"AdapterBank's trunk: {error}") from error
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(
            f"AdapterBank's trunk {path} does not fit the network ({' '.join(str(error).split())[:200]}): give a "
            "checkpoint of a run with the same --model.network"
        ) from error
