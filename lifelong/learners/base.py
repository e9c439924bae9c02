"""The learner contract: adapt to one support set, then predict the queries.

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

    Losses per task, training, evaluation and the per-task gradients of a Fisher estimate all follow from these two.
    A learner does not depend on optimizers, streams or processes: a :class:`~lifelong.compute.runner.TaskRunner` runs
    it over batches and a :class:`~lifelong.training.stream_module.StreamModule` trains it.

    Args:
        network: any module. The meta-parameters are its parameters and those that a subclass registers.
        objective: loss and score. Default: classification.

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
    """What the learner trains on: few-shot tasks, or labelled examples (tasks with an empty support set)."""
    sees_other_queries: ClassVar[bool] = False
    """Whether a prediction depends on the other queries of the task."""
    channels_last: ClassVar[bool] = True
    """Whether convolutions are faster in the channels-last memory format when tasks run in a loop on a CPU."""
    recomputes_steps: ClassVar[bool] = False
    """Whether ``--runner.recompute steps`` has an effect."""
    takes_vmap: ClassVar[bool] = True
    """Whether ``vmap`` can run the learner's functions of one task. If not, tasks run in a loop."""

    def __init__(self, network: nn.Module, *, objective: Objective | None = None) -> None:
        super().__init__()
        self.network = network
        self.objective = objective or Classification()
        self.n_classes = 0
        """Number of training classes of the whole stream, set by :meth:`prepare`."""

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
            output: Tensor = self.network(x)  # the same result, and twice as fast for a small network
        else:
            output = torch.func.functional_call(self.network, network_params, (x,))
        # Under autocast the outputs have half precision, which is too coarse for distances, means and linear systems.
        return output.to(output_dtype(x, params))

    def embed(self, params: Params, x: Tensor) -> Tensor:
        """Return the embedding ``(n, D)`` of ``x (n, *X)``: the network's features, or its output."""
        return apply_embedding(self.network, params, x)

    def predict_embedded(self, params: Params, state: Any, features: Tensor) -> Tensor | None:
        """Return what :meth:`predict` returns for queries whose embeddings ``(Q, D)`` are known, without the network.

        Returns None, the default, if a prediction needs more than :meth:`embed` returns.
        """
        return None

    def answer(self, params: Params, task: Task) -> Tensor:
        """Return the outputs for the queries of ONE task: adapt to its support set, then predict.

        Args:
            params: the parameters for this task, after routing.
            task: one task with encoded targets.

        Raises:
            ValueError: when outputs and targets differ in shape, because a score would then be meaningless.
        """
        output = self.predict(params, self.adapt(params, task.support_x, task.support_y), task.query_x)
        check_outputs(self, output, task.query_y)
        return output

    def task_loss(self, params: Params, task: Task) -> tuple[Tensor, Tensor]:
        """Return the training loss of ONE task and its outputs; by default, the query loss of ``answer``."""
        output = self.answer(params, task)
        return self.objective.loss(output, task.query_y), output

    def score(self, params: Params, task: Task) -> Tensor:
        """Return the score of ONE task, higher is better."""
        return self.objective.score(self.answer(params, task), task.query_y)

    def likelihood_outputs(self, params: Params, task: Task) -> Tensor:
        """Return the outputs of ONE task whose negative log-likelihood is the training loss (for its Fisher).

        Override it together with :meth:`likelihood_targets` if ``task_loss`` applies the objective's loss to anything
        other than the outputs for the queries.
        """
        return self.answer(params, task)

    def likelihood_targets(self, task: Task) -> Tensor:
        """Return the encoded targets for :meth:`likelihood_outputs`, in the same shape."""
        return task.query_y

    # -- a whole batch ----------------------------------------------------------------------------------------------

    def batch_outputs(self, params: Params, batch: Episode) -> Tensor | None:
        """Return the outputs ``(B, Q, …)`` from one pass over the batch, or None if tasks must run one by one."""
        return None

    def losses_of(self, outputs: Tensor, batch: Episode) -> Tensor:
        """Return the loss of each task ``(B,)``, given the outputs that :meth:`batch_outputs` returned."""
        targets = self.objective.encode(batch.query_y, batch.n_way).to(outputs.dtype)
        return torch.func.vmap(self.objective.loss)(outputs, targets)

    def scores_of(self, outputs: Tensor, batch: Episode) -> Tensor:
        """Return the score of each task ``(B,)``, given the outputs ``(B, Q, …)`` for its queries."""
        return self.objective.scores(outputs, batch.query_y, batch.n_way)

    # -- life on a stream ---------------------------------------------------------------------------------------------

    def prepare(self, n_classes: int, example: Tensor | None = None) -> None:
        """Create what depends on the stream's size, before the optimizer is created and a checkpoint is loaded.

        Args:
            n_classes: number of training classes of the whole stream.
            example: a few inputs ``(n, *X)`` in the form that the network receives, if available.
        """
        self.n_classes = n_classes

    def grow(self, n_outputs: int) -> None:
        """Enlarge what the constructor has sized to ``n_outputs`` classes, for a longer stream; no-op by default.

        The new values do not matter: the values of a checkpoint, and newly drawn rows for its missing classes, are
        loaded afterwards.

        Args:
            n_outputs: number of classes that need an output.
        """

    def start_step(self, n_steps: int) -> None:
        """Receive the number of optimizer steps so far, before each training step; no-op by default."""

    def learn(self, params: Params, batch: Episode, runner: TaskRunner) -> Tensor | None:
        """Learn from a batch without gradients and return the outputs ``(B, Q, …)`` from before this update.

        Returns None if an optimizer trains the learner on its losses. By default, nothing is learnt without gradients.
        """
        if self.is_trained:
            return None
        with torch.no_grad():
            return runner.outputs(self, params, batch)

    @property
    def is_trained(self) -> bool:
        """Return whether an optimizer trains the parameters; by default, whether there are any.

        A closed-form learner returns False and overrides ``learn``.
        """
        return next(self.parameters(), None) is not None

    def finish(self, visit: Visit, runner: TaskRunner) -> None:
        """Handle the end of an experience, before the strategies do and before evaluation; no-op by default."""

    @property
    def needs_boundaries(self) -> bool:
        """Return whether the learner acts at the end of experiences, so that it needs a stream with boundaries."""
        return type(self).finish is not Learner.finish

    @property
    def transductive(self) -> bool:
        """Return whether a prediction depends on other queries, through the learner or its network's norm layers."""
        return self.sees_other_queries or any(getattr(m, "sees_other_examples", False) for m in self.network.modules())

    def memory_bytes(self) -> int:
        """Return the bytes that the learner keeps between experiences, excluding its network and parameters.

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
        """Return the most precise floating type of its parameters, or single precision if it has none."""
        return floating_type(self.parameters())

    def phase(self) -> Hashable | None:
        """Return what the training losses depend on besides parameters and batch, or None if that is unknown.

        A learner may be trained with captured CUDA graphs if it returns a value that changes whenever the computation
        of the losses changes. Each subclass must opt in explicitly: ``phase = MAML.phase``.
        """
        return None

    @property
    def can_capture(self) -> bool:
        """Return whether this class itself defines ``phase``: a subclass may depend on more than its parent."""
        return "phase" in vars(type(self))

    def signature(self) -> dict[str, Any]:
        """Return what must match before weights can be loaded: the class and the shapes of the parameters."""
        return {"learner": type(self).__name__, "shapes": {n: tuple(p.shape) for n, p in self.named_parameters()}}


def check_outputs(learner: Learner, output: Tensor, target: Tensor) -> None:
    """Refuse outputs of one task that differ from its targets in shape, since a score would be meaningless.

    Args:
        learner: the learner that computed the outputs.
        output: ``(Q, N)`` or ``(Q, *Y)``.
        target: the encoded targets.

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
        f"{type(learner).__name__} predicts {tuple(output.shape[1:])} numbers for each example, but its target has the "
        f"shape {tuple(target.shape[1:])}: give the network outputs of that shape"
    )
