"""Adapter bank: a shared trunk, a few parameters per experience, and a router that reads the support set.

Shapes: ``S`` support examples, ``E`` entries of the bank, ``F`` numbers in a signature.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from lifelong.compute.evaluating import evaluating
from lifelong.compute.params import Params, parameters_of
from lifelong.compute.plan import has_running_statistics
from lifelong.compute.runner import TaskRunner
from lifelong.data.episode import Episode, Task
from lifelong.data.kinds import StreamKind
from lifelong.data.position import Position, Visit
from lifelong.learners.base import Learner
from lifelong.learners.objective import one_hot
from lifelong.networks.heads import apply_embedding
from lifelong.strategy import Strategy
from lifelong.utilities.checkpoint_file import read_checkpoint
from lifelong.utilities.ranges import check_number

Entry = dict[str, Tensor]


class AdapterBank(Strategy):
    """Adapt a frozen trunk by a small entry for each experience; at test time the support set alone picks the entry.

    A residual 1×1 convolution beside a 3×3 one is the same as adding to the centre of its kernel, so an entry is a set
    of differences to the trunk's parameters: the centres of convolutions, low-rank updates of linear layers, and all
    biases and norm scales; of a network with adapters of its own (a ``Transformer`` with LoRA) its adapters and its
    head. Entries start at zero (or at a copy of the nearest one), which is the trunk itself.

    Args:
        rank: rank of the updates of linear layers.
        router: ``signature`` compares means and deviations of the support set, in pixels and in the trunk's embedding,
            with those of each experience, by standardised distance; ``support_loss`` learns one half of the support
            set, predicts the other, and takes the entry that does it best.
        temperature: 0 picks the best entry; above 0 mixes all, weighted by ``softmax(−distance / temperature)``.
        start: a new entry is ``zero`` or a copy of the ``nearest``.
        n_signature_tasks: support sets from which an experience's signature is estimated.
        trunk: checkpoint of a trained learner; where None the first experience trains the trunk.

    Raises:
        ValueError: when the network keeps running statistics, which no freezing of parameters holds still.

    Reference:
        Rebuffi, Bilen & Vedaldi, "Efficient parametrization of multi-domain deep neural networks", CVPR 2018 (parallel
        adapters); Hu et al., "LoRA", ICLR 2022 (linear layers). Difference: the entry is routed by the support set.

    Example:
        >>> AdapterBank().memory_bytes()
        0
    """

    isolates_parameters: ClassVar[bool] = True
    streams: ClassVar[frozenset[StreamKind]] = frozenset(("few-shot",))

    def __init__(
        self,
        *,
        rank: int = 4,
        router: Literal["signature", "support_loss"] = "signature",
        temperature: float = 0.0,
        start: Literal["zero", "nearest"] = "zero",
        n_signature_tasks: int = 64,
        trunk: str | None = None,
    ) -> None:
        super().__init__()
        check_number("AdapterBank's rank", rank, least=1, whole=True, hint=", 4 as a rule")
        check_number("AdapterBank's temperature", temperature, least=0)
        check_number("AdapterBank's n_signature_tasks", n_signature_tasks, least=1, whole=True)
        self.rank, self.router, self.temperature, self.start = rank, router, temperature, start
        self.n_signature_tasks, self.trunk = n_signature_tasks, trunk
        self.current = nn.ParameterDict()
        self.entries: list[Entry] = []
        self.signatures: list[dict[str, Tensor]] = []
        self._stacked: dict[str, Tensor] | None = None
        self._known: tuple[Tensor, Tensor, Tensor] | None = None

    # -- life of an entry ---------------------------------------------------------------------------------------------

    def attach(self, learner: Learner) -> None:
        """Size an entry after the learner's network, and load the trunk where one is given."""
        if has_running_statistics(learner.network):
            raise ValueError(
                "AdapterBank freezes its trunk, but running statistics of norm layers move on in every experience: "
                "choose another norm (--model.network.norm batch, group, layer or instance), or another strategy"
            )
        if self.trunk is not None:
            _load_trunk(learner.network, self.trunk)
        for key, value in _empty_entry(learner.network, self.rank).items():
            self.current[key] = nn.Parameter(value)

    @property
    def trunk_is_frozen(self) -> bool:
        """Tell whether the trunk stays as it is: from the second experience on, or always when it was given."""
        return bool(self.entries) or self.trunk is not None

    def begin(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Start a new entry, at zero or at the nearest one."""
        if not self.entries:
            return
        source = self.entries[0]
        if self.start == "nearest":
            signature = self._describe(learner, visit, runner)
            source = self.entries[int(self._distances(signature["mean"]).argmin())]
        with torch.no_grad():
            for key, parameter in self.current.items():
                fresh = key.endswith(SUFFIX_DOWN) or self.start == "nearest"
                parameter.copy_(source[key] if fresh else torch.zeros_like(parameter))

    def end(self, learner: Learner, visit: Visit, *, runner: TaskRunner) -> None:
        """Add the entry to the bank with the signature of its experience."""
        self.signatures.append(self._describe(learner, visit, runner))
        self.entries.append({key: p.detach().clone() for key, p in self.current.items()})
        self._stacked = self._known = None

    def project(
        self, learner: Learner, gradients: dict[str, Tensor], position: Position, *, runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Keep the trunk's gradients in the first experience only, those of entries from then on only."""
        return {name: g for name, g in gradients.items() if name.startswith("strategies.") == self.trunk_is_frozen}

    # -- routing ------------------------------------------------------------------------------------------------------

    def route(self, learner: Learner, params: Params, support_x: Tensor, support_y: Tensor) -> Params:
        """Return the trunk plus the entry in training, or plus the one that the support set asks for."""
        if self.training:
            return _add(_detached(params), dict(self.current.items())) if self.trunk_is_frozen else params
        if not self.entries:
            return params
        weights = self.weigh(learner, params, support_x, support_y)
        stacks = self._stack(support_x)
        if self.temperature == 0:  # one entry is read, where a sum would read all of them
            best = weights.argmax()[None]
            return _add(params, {key: stack.index_select(0, best)[0] for key, stack in stacks.items()})
        return _add(params, {key: torch.einsum("e,e...->...", weights, stack) for key, stack in stacks.items()})

    def weigh(self, learner: Learner, params: Params, support_x: Tensor, support_y: Tensor) -> Tensor:
        """Return weights ``(E,)`` of the entries for one support set; one-hot when the temperature is 0."""
        if self.router == "signature":
            distances = self._distances(torch.cat(_signature(learner, params, support_x)))
        else:
            distances = torch.stack(
                [_held_out_loss(learner, _add(params, e), support_x, support_y) for e in self.entries]
            )
        if self.temperature > 0:
            return (-distances / self.temperature).softmax(0)
        return one_hot(distances.argmin(), len(self.entries)).to(distances.dtype)

    def diagnose(
        self, learner: Learner, params: Params, batch: Episode, domain: int, *, runner: TaskRunner
    ) -> dict[str, Tensor]:
        """Measure whether each task was routed to its own entry, and the score that its own entry gives."""
        if not self.entries:
            return {}
        if domain >= len(self.entries):
            unknown = torch.full_like(batch.weight, torch.nan)
            return {"routing_accuracy": unknown, "score_with_right_entry": unknown}

        def is_right(task: Task) -> Tensor:
            weights = self.weigh(learner, params, task.support_x, task.support_y)
            return (weights.argmax() == domain).to(task.support_x.dtype)

        entry = {key: stack[domain] for key, stack in self._stack(batch.support_x).items()}
        scores = runner.rerouted(lambda p, sx, sy: _add(p, entry)).scores(learner, params, batch)
        return {"routing_accuracy": runner.map(is_right, learner, batch), "score_with_right_entry": scores}

    def _stack(self, like: Tensor) -> dict[str, Tensor]:
        if self._stacked is None:
            self._stacked = {key: torch.stack([e[key] for e in self.entries]).to(like.device) for key in self.current}
        return self._stacked

    def _describe(self, learner: Learner, visit: Visit, runner: TaskRunner) -> dict[str, Tensor]:
        params = _detached(learner.meta_parameters())
        sums: list[Tensor] = []
        with evaluating(learner.network), torch.no_grad():  # as when a support set is routed
            for _, batch in visit.batches("signature", self.n_signature_tasks):
                for support_x in batch.support_x:
                    blocks = _signature(learner, params, support_x)
                    block = torch.cat(blocks).double()
                    sums.append(torch.stack([block, block.square()]))
        mean, square = runner.sum(torch.stack(sums).sum(0)) / self.n_signature_tasks
        sizes = torch.cat([torch.full_like(b, len(b)) for b in blocks])
        return {"mean": mean.float(), "variance": (square - mean.square()).clamp_min(0).float(), "sizes": sizes}

    def _distances(self, signature: Tensor) -> Tensor:
        means, variance, sizes = self._compared(signature.device)
        # Every block of the signature counts alike, however many numbers it has.
        return ((signature - means).square() / (variance + VARIANCE_FLOOR) / sizes).sum(-1)

    def _compared(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Return means ``(E, F)``, variance and sizes of the blocks ``(F,)``, for comparison with a signature."""
        if self._known is None:
            mean, variance = (torch.stack([s[key] for s in self.signatures]) for key in ("mean", "variance"))
            self._known = (mean.to(device), variance.mean(0).to(device), self.signatures[0]["sizes"].to(device))
        return self._known

    # -- checkpoint ----------------------------------------------------------------------------------------------------

    def get_extra_state(self) -> dict[str, Any]:
        """Return the bank, for the checkpoint."""
        return {"entries": _stacked(self.entries), "signatures": _stacked(self.signatures)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take the bank from the checkpoint."""
        self.entries, self.signatures = _unstacked(state["entries"]), _unstacked(state["signatures"])
        self._stacked = self._known = None


NETWORK = "learner.network"
"""How a checkpoint calls the network's parameters."""
SUFFIX_DOWN, SUFFIX_UP, SUFFIX_CENTRE, SUFFIX_FULL = "-down", "-up", "-centre", "-full"
VARIANCE_FLOOR = 1e-6
"""Below it a number of the signature does not vary, and must not decide alone."""


def _stacked(entries: list[Entry]) -> Entry:
    """Stack entries in one tensor for each key: a file of a thousand of them is written as fast as its bytes."""
    return {key: torch.stack([entry[key] for entry in entries]) for key in entries[0]} if entries else {}


def _unstacked(entries: Entry) -> list[Entry]:
    return [dict(zip(entries, values, strict=True)) for values in zip(*entries.values(), strict=True)]


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


def _empty_entry(network: nn.Module, rank: int) -> Entry:
    if adapters := set(getattr(network, "adapter_names", ())):
        return {_key(n) + SUFFIX_FULL: torch.zeros(p.shape) for n, p in network.named_parameters() if n in adapters}
    kinds = {
        f"{path}.weight" if path else "weight": type(module)
        for path, module in network.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear))
    }
    rng, entry = torch.Generator().manual_seed(0), Entry()
    for name, parameter in network.named_parameters():
        entry |= _empty_part(name, parameter, kinds.get(name), rank, rng)
    return entry


def _key(name: str) -> str:
    return name.replace(".", "-")  # parameters of a module must not contain dots


def _empty_part(name: str, parameter: Tensor, kind: type | None, rank: int, rng: torch.Generator) -> Entry:
    key = _key(name)
    if kind is nn.Conv2d:
        return {key + SUFFIX_CENTRE: torch.zeros(parameter.shape[:2])}
    if kind is nn.Linear and parameter.numel() > rank * sum(parameter.shape):
        n_out, n_in = parameter.shape
        down = torch.randn(rank, n_in, generator=rng) / n_in**0.5
        return {key + SUFFIX_DOWN: down, key + SUFFIX_UP: torch.zeros(n_out, rank)}
    if kind is nn.Linear or parameter.dim() == 1:
        return {key + SUFFIX_FULL: torch.zeros(parameter.shape)}
    return {}


def _add(params: Params, entry: Entry) -> Params:
    """Add an entry's differences to the trunk's parameters."""
    changed = dict(params)
    for name, p in params.items():
        if not name.startswith("network."):
            continue  # the learner's own, which may be called as one of the network's
        key = _key(name.removeprefix("network."))
        if (centre := entry.get(key + SUFFIX_CENTRE)) is not None:
            height, width = p.shape[-2:]
            margin = ((width - 1) // 2, width // 2, (height - 1) // 2, height // 2)
            changed[name] = p + nn.functional.pad(centre[..., None, None], margin)
        elif (up := entry.get(key + SUFFIX_UP)) is not None:
            changed[name] = p + up @ entry[key + SUFFIX_DOWN]
        elif (full := entry.get(key + SUFFIX_FULL)) is not None:
            changed[name] = p + full
    return changed


def _detached(params: Params) -> Params:
    return {name: p.detach() for name, p in params.items()}


def _signature(learner: Learner, params: Params, x: Tensor) -> list[Tensor]:
    """Return blocks of numbers by which domains differ: means and deviations of the inputs, then of the features."""
    # Not the learner's own embedding, which need not stay where it is (SimpleShot's centre moves).
    features = apply_embedding(learner.network, params, x)
    blocks = [features.mean(0), features.std(0, correction=0)]
    if x.dim() == 4:
        across, down = (x.diff(dim=d).abs().mean((0, 2, 3)) for d in (-1, -2))
        return [torch.cat([x.mean((0, 2, 3)), x.std((0, 2, 3)), across, down]), *blocks]
    if not x.is_floating_point():
        return blocks  # the mean of tokens says nothing
    flat = x.flatten(1)
    return [flat.mean(0), flat.std(0, correction=0), *blocks]


def _held_out_loss(learner: Learner, params: Params, x: Tensor, y: Tensor) -> Tensor:
    """Return the two-fold loss on the support set itself; with one shot, the loss on what was learnt."""
    half = len(x) // 2
    if half < y.shape[-1]:
        return learner.objective.loss(learner.predict(params, learner.adapt(params, x, y), x), y)
    first, second = (x[:half], y[:half]), (x[half:], y[half:])
    losses = [
        learner.objective.loss(learner.predict(params, learner.adapt(params, *known), new[0]), new[1])
        for known, new in ((first, second), (second, first))
    ]
    return torch.stack(losses).mean()
