"""What was learnt from one support set: it answers many queries, is saved alone, and is exported.

Shapes: ``S`` support and ``M`` query examples, ``N`` classes, ``*X`` one input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from typing_extensions import Self

from lifelong.compute.evaluating import evaluating
from lifelong.compute.params import Params
from lifelong.data.episode import Episode
from lifelong.learners.features import precise
from lifelong.run.familiarity import Familiarity
from lifelong.training.stream_module import StreamModule

KEY = "adapted"
"""Key of what was learnt from a support set, in a checkpoint."""


@dataclass(frozen=True)
class Adapted:
    """Hold what a learner learnt from one support set, so that it answers queries without the support set.

    Args:
        params: the parameters that the strategies chose for the support set.
        state: what ``adapt`` returned, as nested tensors.
        entry: name of the experience whose parameters answer. None if no experience is chosen.
        familiarity: measures how far a query is from all classes. None if this cannot be measured.
    """

    params: Params
    state: Any
    entry: str | None = None
    familiarity: Familiarity | None = None

    @classmethod
    def of(cls, module: StreamModule, episode: Episode, experiences: tuple[str, ...]) -> Self:
        """Adapt to a support set once.

        Args:
            module: the learner with its strategies.
            episode: one task with the support set and any query.
            experiences: names of the learnt experiences, in order.
        """
        learner, runner = module.learner, module.runner
        with evaluating(module), torch.inference_mode(False), torch.no_grad():
            own = learner.meta_parameters()
            task = episode.to(learner.dtype)
            x, y = task.support_x[0], learner.objective.encode(task.support_y, task.n_way)[0].to(learner.dtype)
            params = runner.route(own, x, y)
            chosen = module.strategies.answered_by(learner, own, episode, runner=runner)
            state = learner.adapt(params, x, y)
        state = pytree.tree_map_only(Tensor, Tensor.detach, state)
        params = {name: p.detach() for name, p in params.items()}
        entry = None if chosen is None else experiences[int(chosen[0])]
        return cls(params, state, entry, Familiarity.of(learner, params, task.support_x[0], task.support_y[0]))

    def answer(self, module: StreamModule, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the learner's outputs ``(M, N)`` and, where known, each query's distance from all classes ``(M,)``.

        Args:
            module: the learner with its strategies.
            x: ``(M, *X)``, on the learner's device.
        """
        learner, device = module.learner, module.learner.device
        params, state = pytree.tree_map_only(Tensor, lambda part: part.to(device), (self.params, self.state))
        x = x.to(learner.dtype) if x.is_floating_point() else x
        with evaluating(module), torch.inference_mode(False), torch.no_grad():
            if self.familiarity is None:
                return learner.predict(params, state, x), None
            features = learner.embed(params, x)
            outputs = learner.predict_embedded(params, state, features)  # the network's features are reused
            outputs = learner.predict(params, state, x) if outputs is None else outputs
            return outputs, self.familiarity.far(precise(features).flatten(1))


def adapted_checkpoint(content: dict[str, Any], adapted: Adapted, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return the checkpoint of an adapted model: it answers among its classes without the support set.

    Args:
        content: the checkpoint of the model before adaptation.
        adapted: what was learnt from the support set.
        classes: names of the classes.

    Raises:
        ValueError: when the learner's state contains more than nested tensors.
    """
    check_plain(adapted.state)
    weights = {name: tensor for name, tensor in content["state_dict"].items() if name.startswith("learner.")}
    weights |= {f"learner.{name}": p for name, p in adapted.params.items()}
    # The support set has already chosen among the strategies' parameters, so the weights contain the choice.
    record: dict[str, Any] = {**content["lifelong"], "strategies": []}
    record["config"] = {**record["config"], "strategies": []}
    familiarity = None if adapted.familiarity is None else asdict(adapted.familiarity)
    record[KEY] = {"classes": list(classes), "state": adapted.state, "entry": adapted.entry, "familiarity": familiarity}
    content = {**content, "state_dict": weights, "lifelong": record}
    return pytree.tree_map_only(Tensor, lambda tensor: tensor.cpu(), content)  # type: ignore[no-any-return]


def read_adapted(taught: Mapping[str, Any], module: StreamModule) -> tuple[tuple[str, ...], Adapted] | None:
    """Return the classes and what was learnt from a support set, if a checkpoint contains them.

    Args:
        taught: the checkpoint's record of what the model was taught.
        module: the learner with the weights of the checkpoint.

    Raises:
        ValueError: when the record was changed after it was written.
    """
    if (content := taught.get(KEY)) is None:
        return None
    classes, entry = content.get("classes"), content.get("entry")
    is_whole = isinstance(classes, list) and all(isinstance(name, str) for name in classes) and "state" in content
    if not is_whole or not isinstance(entry, str | None) or not _is_familiarity(content.get("familiarity")):
        raise ValueError("what the checkpoint says of its support set was changed after it was written: adapt it again")
    check_plain(content["state"])
    familiarity = None if (told := content.get("familiarity")) is None else Familiarity(**told)
    return tuple(classes), Adapted(dict(module.learner.meta_parameters()), content["state"], entry, familiarity)


def _is_familiarity(content: Any) -> bool:
    if content is None:
        return True
    is_whole = isinstance(content, dict) and set(content) == {"means", "threshold"}
    return is_whole and isinstance(content["means"], Tensor) and isinstance(content["threshold"], float)


def check_plain(state: Any) -> None:
    """Refuse a state that a checkpoint cannot store: anything but tensors and numbers in dicts, lists and tuples."""
    if state is None or isinstance(state, (bool, int, float, str, Tensor)):
        return
    if type(state) not in (dict, list, tuple):
        raise ValueError(
            f"the learner's adapt returns a {type(state).__name__}, which no file of a model can hold: return tensors "
            "in dicts, lists and tuples"
        )
    for part in state.values() if isinstance(state, dict) else state:
        check_plain(part)
