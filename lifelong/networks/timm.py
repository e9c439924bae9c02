"""Networks of the package timm, with or without pre-trained weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lifelong.networks.backbone import read_weights
from lifelong.networks.shapes import check_images, check_sizes, count_features
from lifelong.utilities.recorded import Recorded


class Timm(Recorded, nn.Module):
    """Wrap any image network of the package timm, with a linear head instead of its classifier.

    Most of these networks have norm layers with running statistics, which suit metric learners. Learners that adapt by
    gradients reject them and need a network with a group or layer norm (``vit_…``, ``convnext_…``, ``resnet50_gn``).
    Attention does not use fused kernels, because these have no second derivative, which such learners need.

    Args:
        name: a name from ``timm.list_models()``.
        pretrained: load timm's weights for this name (downloaded at first use), and scale images with values from 0 to
            1 as in the training of the weights.
        weights: a file with weights for this network, either safetensors or a torch file that contains only tensors, to
            load instead of timm's weights. It works like ``pretrained`` but without a download. Weights of a classifier
            are ignored.
        in_channels: number of channels of the images.
        image_size: height and width of the images in pixels. Transformers are built for this size.
        n_outputs: outputs of a linear head. If None, the network returns the features.

    Raises:
        ValueError: when timm cannot be imported or does not know the name, the network cannot process such images, or
            the weights in the file do not fit it.

    Reference:
        Wightman, "PyTorch Image Models", https://github.com/huggingface/pytorch-image-models, 2019.

    Example:
        >>> net = Timm(name="resnet18", image_size=32, n_outputs=5)  # doctest: +SKIP
        >>> net(torch.zeros(2, 3, 32, 32)).shape  # doctest: +SKIP
        torch.Size([2, 5])
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        *,
        name: str,
        pretrained: bool = False,
        weights: str | None = None,
        in_channels: int = 3,
        image_size: int = 224,
        n_outputs: int | None = None,
    ) -> None:
        super().__init__()
        check_sizes(in_channels=in_channels, image_size=image_size, n_outputs=n_outputs)
        self.input_shape = (in_channels, image_size, image_size)
        trained = pretrained or weights is not None
        self.body = _body(name, pretrained, weights, in_channels, image_size)
        for key, value in zip(("mean", "deviation"), _scale(self.body, trained, in_channels), strict=True):
            self.register_buffer(key, value.view(-1, 1, 1), persistent=False)
        self.n_features = count_features(self, self.features, self.input_shape)
        self.head = nn.Identity() if n_outputs is None else nn.Linear(self.n_features, n_outputs)

    def features(self, x: Tensor) -> Tensor:
        """Map ``(n, C, H, W)`` to ``(n, D)``."""
        check_images(x, self.input_shape, "Timm")
        return self.body((x - self.mean) / self.deviation)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, C, H, W)`` to ``(n, D)`` or ``(n, n_outputs)``."""
        return self.head(self.features(x))  # type: ignore[no-any-return]


def _body(name: str, pretrained: bool, weights: str | None, in_channels: int, image_size: int) -> nn.Module:
    timm = _timm()
    known = timm.get_pretrained_cfg(name)
    # Only networks that are built for one size have this option.
    sized = {"img_size": image_size} if known is not None and known.fixed_input_size else {}

    def create(**options: Any) -> nn.Module:
        made: nn.Module = timm.create_model(name, in_chans=in_channels, num_classes=0, **sized, **options)
        return made

    try:
        body = create(pretrained=pretrained) if weights is None else _from_file(create, Path(weights).expanduser())
    except RuntimeError as error:  # raised by timm for unknown names and missing weights
        raise ValueError(
            f"timm cannot make {name!r} ({error}): set --model.network.name to one of timm.list_models(), or "
            f"--model.network.{'pretrained false' if weights is None else 'weights to a file with weights for it'}"
        ) from error
    parts: Iterable[Any] = body.modules()
    for part in parts:
        if hasattr(part, "fused_attn"):
            part.fused_attn = False
    return body


def _from_file(create: Callable[..., nn.Module], path: Path) -> nn.Module:
    """Create a network with the weights in a file, which timm adapts to the network's channels and size."""
    content = read_weights(path, "lifelong.networks.Timm")
    # Without a classifier, timm skips weights that do not fit. A weight that equals that of a second random network,
    # drawn from the same random state, was not loaded.
    with torch.random.fork_rng(devices=[]):
        state = torch.get_rng_state()
        body = create(pretrained=True, pretrained_cfg_overlay={"state_dict": content})
        torch.set_rng_state(state)
        drawn = create(pretrained=False).state_dict()
    for name, weight in body.named_parameters():
        if weight.numel() > 1 and torch.equal(weight, drawn[name]) and (weight != weight.flatten()[0]).any():
            raise ValueError(
                f"the weights in {path} have no {name} for {type(body).__name__}: give --model.network.weights a file "
                "with those of --model.network.name"
            )
    return body


def _scale(body: nn.Module, pretrained: bool, in_channels: int) -> tuple[Tensor, Tensor]:
    """Return mean and deviation of the images that the weights were trained on, or 0 and 1 without such weights."""
    if not pretrained:
        return torch.zeros(1), torch.ones(1)
    config: Any = body.pretrained_cfg
    mean, deviation = torch.tensor(config["mean"]), torch.tensor(config["std"])
    # For other numbers of channels, timm sums or repeats the weights of the colour channels.
    return (mean, deviation) if in_channels == len(mean) else (mean.mean(0, True), deviation.mean(0, True))


def _timm() -> Any:
    # Imported here, because it is an extra and its import takes seconds.
    try:
        import timm
    except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision does not match the build of torch
        raise ValueError(
            f"lifelong.networks.Timm needs the package timm ({error}): pip install -c constraints.txt -e '.[timm]', "
            "with torchvision from the same index as torch"
        ) from error
    return timm
