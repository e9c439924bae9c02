"""The learner contract: what is learnt from one support set, and what is answered with it.

Shapes: ``B`` tasks, ``S`` support and ``Q`` query examples of a task, ``N`` ways, ``*X`` one input, ``*Y`` one target.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from lifelong.compute.params import Params, floating_type, parameters_of
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode, Task
from lifelong.data.kinds import Unit
from lifelong.data.position import Visit
from lifelong.learners.objective import Classification, Objective
from lifelong.networks.heads import apply_embedding, output_dtype
from lifelong.utilities.recorded import Recorded


class Learner(Recorded, nn.Module):
    """Build a mapping from a support set (``adapt``) and apply it (``predict``); both are pure and see ONE task.

    Everything else follows from the two: losses per task, training, evaluation, per-task gradients for a Fisher. A
    learner knows nothing of optimizers, streams and processes;
    a :class:`~lifelong.compute.runner.TaskRunner` runs it over batches and a
    :class:`~lifelong.training.stream_module.StreamModule` trains it.

    Args:
        network: any module; its parameters, and those that a subclass registers, are the meta-parameters.
        objective: loss and score; classification where None.

    Example:
        >>> class NearestExample(Learner):
        ...     def adapt(self, params, support_x, support_y):
        ...         return self.apply_network(params, support_x), support_y
        ...     def predict(self, params, state, query_x):
        ...         features, labels = state
        ...         return (-torch.cdist(self.apply_network(params, query_x), features)).softmax(-1) @ labels
        >>> learner = NearestExample(nn.Linear(2, 2))
        >>> x, y = torch.eye(2)[None], torch.arange(2)[None]
        >>> batch = Episode(x, y, x, y, torch.ones(1), n_way=2)
        >>> TaskRunner().losses(learner, learner.meta_parameters(), batch).shape
        torch.Size([1])
    """

    unit: ClassVar[Unit] = "tasks"
    """What it learns from: few-shot tasks, or labelled examples (tasks with an empty support set)."""
    sees_other_queries: ClassVar[bool] = False
    """Whether an answer depends on the queries that are asked with it."""
    channels_last: ClassVar[bool] = True
    """Whether convolutions are faster with the channels last where tasks run in a loop on a CPU."""
    recomputes_steps: ClassVar[bool] = False
    """Whether ``--runner.recompute steps`` makes a difference."""
    takes_vmap: ClassVar[bool] = True
    """Whether ``vmap`` can run its functions of one task; otherwise they run in a loop."""

    def __init__(self, network: nn.Module, *, objective: Objective | None = None) -> None:
        super().__init__()
        self.network = network
        self.objective = objective or Classification()
        self.n_classes = 0
        """Training classes of the whole stream, once prepared."""

    # -- the contract ---------------------------------------------------------------------------------------------

    @abstractmethod
    def adapt(self, params: Params, support_x: Tensor, support_y: Tensor) -> Any:
        """Return what is learnt from one support set ``(S, *X)``, ``(S, N)`` one-hot or ``(S, *Y)``: nested tensors."""

    @abstractmethod
    def predict(self, params: Params, state: Any, query_x: Tensor) -> Tensor:
        """Return the outputs for one task's queries ``(Q, *X)``: logits ``(Q, N)`` or values ``(Q, *Y)``."""

    # -- pure functions of the meta-parameters and one task --------------------------------------------------------

    def meta_parameters(self) -> Params:
        """Return the parameters by name."""
        return dict(self.named_parameters())

    def apply_network(self, params: Params, x: Tensor) -> Tensor:
        """Return the network's output on ``x (n, *X)`` with the given parameters instead of its own."""
        network_params = parameters_of(params, "network")
        if all(network_params.get(name) is p for name, p in self.network.named_parameters()):
            output: Tensor = self.network(x)  # the same, and for a small network twice as fast
        else:
            output = torch.func.functional_call(self.network, network_params, (x,))
        # Under autocast the outputs are halves; distances, means and solves need more digits than they have.
        return output.to(output_dtype(x, params))

    def embed(self, params: Params, x: Tensor) -> Tensor:
        """Return the embedding ``(n, D)`` of ``x (n, *X)``: the network's features, or its output."""
        return apply_embedding(self.network, params, x)

    def predict_embedded(self, params: Params, state: Any, features: Tensor) -> Tensor | None:
        """Return what :meth:`predict` returns for queries whose embeddings ``(Q, D)`` are known, without the network.

        None, the default, where an answer is made of more than :meth:`embed` returns.
        """
        return None

    def answer(self, params: Params, task: Task) -> Tensor:
        """Return the outputs for the queries of ONE task: adapt to its support set, then predict.

        Args:
            params: the parameters for this task, routed already.
            task: one task, targets encoded.

        Raises:
            ValueError: when the outputs are not shaped as the targets, so that no score would mean anything.
        """
        output = self.predict(params, self.adapt(params, task.support_x, task.support_y), task.query_x)
        check_outputs(self, output, task.query_y)
        return output

    def task_loss(self, params: Params, task: Task) -> tuple[Tensor, Tensor]:
        """Return the training loss of ONE task and its outputs; the query loss of ``answer`` unless overridden."""
        output = self.answer(params, task)
        return self.objective.loss(output, task.query_y), output

    def score(self, params: Params, task: Task) -> Tensor:
        """Return the score of ONE task, higher is better."""
        return self.objective.score(self.answer(params, task), task.query_y)

    def likelihood_outputs(self, params: Params, task: Task) -> Tensor:
        """Return the outputs of ONE task that the training loss is a likelihood of (for its Fisher).

        Override it, with :meth:`likelihood_targets`, where ``task_loss`` is the objective's loss of anything else than
        the outputs for the queries.
        """
        return self.answer(params, task)

    def likelihood_targets(self, task: Task) -> Tensor:
        """Return the data's targets for :meth:`likelihood_outputs`, encoded, of the same shape."""
        return task.query_y

    # -- a whole batch ----------------------------------------------------------------------------------------------

    def batch_outputs(self, params: Params, batch: Episode) -> Tensor | None:
        """Return the outputs ``(B, Q, …)`` by one pass over the batch; None where tasks have to be run one by one."""
        return None

    def losses_of(self, outputs: Tensor, batch: Episode) -> Tensor:
        """Return the loss of each task ``(B,)``, given the outputs that :meth:`batch_outputs` returned."""
        targets = self.objective.encode(batch.query_y, batch.n_way).to(outputs.dtype)
        return torch.func.vmap(self.objective.loss)(outputs, targets)

    def scores_of(self, outputs: Tensor, batch: Episode) -> Tensor:
        """Return the score ``(B,)`` of given outputs ``(B, Q, …)`` for the queries of each task."""
        return self.objective.scores(outputs, batch.query_y, batch.n_way)

    # -- life on a stream ---------------------------------------------------------------------------------------------

    def prepare(self, n_classes: int, example: Tensor | None = None) -> None:
        """Size what depends on the stream, before an optimizer is made and a checkpoint loaded.

        Args:
            n_classes: training classes of the whole stream.
            example: ``(n, *X)`` a few inputs, as the network takes them, where they are at hand.
        """
        self.n_classes = n_classes

    def grow(self, n_outputs: int) -> None:
        """Make room for so many classes in what the constructor has sized, for a longer stream; neutral by default.

        Values do not matter: those of a checkpoint, and rows drawn for the classes it does not know, are loaded after.

        Args:
            n_outputs: classes that there must be an output for.
        """

    def start_step(self, n_steps: int) -> None:
        """Hear how many optimizer steps were made, before each training step; neutral by default."""

    def learn(self, params: Params, batch: Episode, runner: TaskRunner) -> Tensor | None:
        """Learn from a batch without gradients and return its outputs ``(B, Q, …)`` from before.

        None where an optimizer trains the learner on its losses; by default there is nothing else to learn.
        """
        if self.is_trained:
            return None
        with torch.no_grad():
            return runner.outputs(self, params, batch)

    @property
    def is_trained(self) -> bool:
        """Tell whether an optimizer trains its parameters: where it has any.

        A learner in closed form says no and overrides ``learn``.
        """
        return next(self.parameters(), None) is not None

    def finish(self, visit: Visit, runner: TaskRunner) -> None:
        """Hear that an experience ended, before its strategies end and it is evaluated; neutral by default."""

    @property
    def needs_boundaries(self) -> bool:
        """Tell whether it works at the end of experiences, so is useless on a stream without boundaries."""
        return type(self).finish is not Learner.finish

    @property
    def transductive(self) -> bool:
        """Tell whether an answer depends on the queries asked with it, by the learner or by its network's norm."""
        return self.sees_other_queries or any(getattr(m, "sees_other_examples", False) for m in self.network.modules())

    def memory_bytes(self) -> int:
        """Return the bytes of what it carries from experience to experience beside its network and parameters.

        Example:
            >>> from lifelong.learners import ProtoNet
            >>> ProtoNet(torch.nn.Identity()).memory_bytes()
            0
        """
        return sum(b.nbytes for name, b in self.named_buffers() if not name.startswith("network."))

    @property
    def device(self) -> torch.device:
        """Return the device of its parameters."""
        return next((tensor.device for tensor in (*self.parameters(), *self.buffers())), torch.device("cpu"))

    @property
    def dtype(self) -> torch.dtype:
        """Return the most precise floating type of its parameters; single precision where it has none."""
        return floating_type(self.parameters())

    def phase(self) -> Hashable | None:
        """Return what the training losses depend on beside parameters and batch; None where nobody can tell.

        A learner that answers, and changes its answer whenever they would change, may be trained by captured graphs. A
        subclass says so for itself: ``phase = MAML.phase``.
        """
        return None

    @property
    def can_capture(self) -> bool:
        """Tell whether this very class says what its ``phase`` is: a subclass may depend on more than its parent."""
        return "phase" in vars(type(self))

    def signature(self) -> dict[str, Any]:
        """Return what must agree before weights can be loaded: the class and the shapes of the parameters."""
        return {"learner": type(self).__name__, "shapes": {n: tuple(p.shape) for n, p in self.named_parameters()}}


def check_outputs(learner: Learner, output: Tensor, target: Tensor) -> None:
    """Refuse outputs of one task that are not shaped as its targets, so that no score would mean anything.

    Args:
        learner: whose outputs they are.
        output: ``(Q, N)`` or ``(Q, *Y)``.
        target: what they are compared with.

    Raises:
        ValueError: when the shapes differ.
    """
    if output.shape == target.shape:
        return
    if output.dim() == target.dim() == 2:
        raise ValueError(
            f"the network has {output.shape[-1]} outputs, but the tasks ask for {target.shape[-1]}: "
            f"set --model.network.n_outputs {target.shape[-1]} or change --data.n_way"
        )
    raise ValueError(
        f"{type(learner).__name__} answers {tuple(output.shape[1:])} numbers for each example, but its target has the "
        f"shape {tuple(target.shape[1:])}: give the network outputs of that shape"
    )
