"""Any image network as a feature extractor, with weights from a file, for networks without a class in this package.

Shapes: ``n`` images, ``L`` tokens, ``D`` features.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lifelong.networks.shapes import check_images, check_sizes, count_features
from lifelong.utilities.extras import imported
from lifelong.utilities.ranges import check_number
from lifelong.utilities.recorded import Recorded, init_arguments

WHO = "lifelong.networks.Backbone"
INSIDE = ("state_dict", "model")
"""Keys under which weight files of other libraries store the weights."""


class Backbone(Recorded, nn.Module):
    """Turn any image network into a feature extractor: scale pixels, load weights, pool to one vector per image.

    ``f(x) = pool(network((x − mean) / std))`` for images with values from 0 to 1. Maps ``(n, D, H, W)`` are averaged
    over positions, tokens ``(n, L, D)`` are pooled by ``pooling``, and vectors ``(n, D)`` are unchanged. On the command
    line::

        --model.network lifelong.networks.Backbone --model.network.network torchvision.models.resnet18
        --model.network.weights resnet18.pth --model.network.without fc

    Args:
        network: path of its class or factory function, with that class's own arguments.
        weights: file with all weights of the network: safetensors, or a ``torch.save`` file that contains only tensors.
            Default: keep the network's weights.
        without: submodule to remove after loading the weights, such as a classifier ``fc``.
        mean: pixel mean of the images that the weights were trained on, one value or one per channel.
        std: pixel standard deviation of these images, one value or one per channel.
        pooling: pooling of tokens: ``mean``, or only the ``first`` token.
        in_channels: number of channels of the images.
        image_size: height and width of the images in pixels.
        n_outputs: outputs of a linear head. If None, the network returns the features.

    Raises:
        ValueError: when the file cannot be read, its weights do not fit the network, or the network cannot process such
            images.

    Example:
        >>> net = Backbone(nn.Conv2d(3, 8, 3), mean=[0.5], std=[0.25], image_size=16, n_outputs=2)
        >>> net.n_features, net(torch.zeros(4, 3, 16, 16)).shape
        (8, torch.Size([4, 2]))
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        weights: str | None = None,
        without: str | None = None,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        pooling: Literal["mean", "first"] = "mean",
        in_channels: int = 3,
        image_size: int = 224,
        n_outputs: int | None = None,
    ) -> None:
        super().__init__()
        check_sizes(in_channels=in_channels, image_size=image_size, n_outputs=n_outputs)
        self.input_shape, self.pooling = (in_channels, image_size, image_size), pooling
        for name, values in (("mean", mean), ("std", std)):
            self.register_buffer(name, _by_channel(name, values, in_channels), persistent=False)
        if weights is not None:
            _load(network, Path(weights).expanduser())
        if without is not None:
            _take_out(network, without)
        self.body = network
        self.n_features = count_features(self, self.features, self.input_shape)
        self.head = nn.Identity() if n_outputs is None else nn.Linear(self.n_features, n_outputs)

    def arguments_to_load(self) -> dict[str, Any]:
        """Return the arguments without the weight file, for a network whose state is loaded afterwards."""
        return init_arguments(self) | {"weights": None}

    def features(self, x: Tensor) -> Tensor:
        """Map ``(n, C, H, W)`` to ``(n, D)``."""
        check_images(x, self.input_shape, "Backbone")
        found = self.body((x - self.mean) / self.std)
        if not isinstance(found, Tensor) or found.dim() not in (2, 3, 4):
            what = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise ValueError(
                f"{type(self.body).__name__} returns {what}: vectors (n, D), tokens (n, L, D) or maps (n, D, H, W) "
                "were expected"
            )
        if found.dim() == 4:
            return found.mean((2, 3))
        if found.dim() == 3:
            return found.mean(1) if self.pooling == "mean" else found[:, 0]
        return found

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, C, H, W)`` to ``(n, D)`` or ``(n, n_outputs)``."""
        return self.head(self.features(x))  # type: ignore[no-any-return]


def _by_channel(name: str, values: Sequence[float], in_channels: int) -> Tensor:
    for value in values:
        check_number(f"Backbone's {name}", value, above=0 if name == "std" else None)
    if len(values) not in (1, in_channels):
        raise ValueError(f"Backbone's {name} has {len(values)} values: give 1, or {in_channels}, one per channel")
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)


def _load(network: nn.Module, path: Path) -> None:
    theirs, ours = read_weights(path, WHO), network.state_dict()
    names = (name for name in {**ours, **theirs} if _shape(ours, name) != _shape(theirs, name))
    if (wrong := next(names, None)) is not None:
        raise ValueError(
            f"the weights in {path} are not those of {type(network).__name__}: {wrong} is {_shape(theirs, wrong)} "
            f"there and {_shape(ours, wrong)} here; give its network the arguments that it was trained with"
        )
    network.load_state_dict(theirs)


def read_weights(path: Path, who: str) -> dict[str, Tensor]:
    """Read the weights in a file: safetensors, or a torch file that contains only tensors.

    Args:
        path: the file; a name ending in ``.safetensors`` selects the format.
        who: name of the caller, for error messages.

    Raises:
        ValueError: when the file does not exist or contains anything but weights.
    """
    if not path.is_file():
        raise ValueError(f"{who} finds no weights in {path}: give its weights the path of a file")
    try:
        if path.suffix == ".safetensors":
            content: Any = imported("safetensors.torch", who, "vision").load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and safetensors raise many types of errors for damaged or wrong files
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"the weights in {path} cannot be read ({reason}): give its weights a file of safetensors, or "
            "of torch.save(network.state_dict(), …)"
        ) from error
    for name in INSIDE:
        content = content[name] if isinstance(content, dict) and isinstance(content.get(name), dict) else content
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f"{path} has no weights by name: save network.state_dict() into it")
    return content


def _shape(weights: dict[str, Tensor], name: str) -> Any:
    return tuple(weights[name].shape) if name in weights else "absent"


def _take_out(network: nn.Module, name: str) -> None:
    parent, _, last = name.rpartition(".")
    names = dict(network.named_modules())
    if name not in names or not name:
        top = ", ".join(child for child, _ in network.named_children())
        raise ValueError(f"Backbone's without is {name!r}: {type(network).__name__} has the modules {top}")
    setattr(names[parent], last, nn.Identity())
