"""Networks of the package timm, with or without weights from elsewhere."""

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
    """Wrap any image network of the package timm by its name, without its classifier, with a linear head of our own.

    Its norm layers as a rule keep running statistics, which suit metric learners; learners that adapt by gradients
    refuse them, and take names with a group or layer norm (``vit_…``, ``convnext_…``, ``resnet50_gn``). Attention is
    computed step by step: its fused kernels have no second derivative, which such learners need.

    Args:
        name: as in ``timm.list_models()``.
        pretrained: load the weights that timm offers for the name (from the net at the first time) and scale images,
            which have values from 0 to 1, as in their training.
        weights: a file with weights for the name, safetensors or torch's with tensors alone, to load in place of those
            that timm offers: as ``pretrained`` without the net. Weights of a classifier are left out.
        in_channels: channels of the images.
        image_size: height and width of the images in pixels; transformers are built for it.
        n_outputs: outputs of a linear head; None returns the features.

    Raises:
        ValueError: when timm cannot be imported, does not know the name, its network cannot take such images, or the
            weights in the file are those of another one.

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
    # Only networks that are built for one size know the option.
    sized = {"img_size": image_size} if known is not None and known.fixed_input_size else {}

    def create(**options: Any) -> nn.Module:
        made: nn.Module = timm.create_model(name, in_chans=in_channels, num_classes=0, **sized, **options)
        return made

    try:
        body = create(pretrained=pretrained) if weights is None else _from_file(create, Path(weights).expanduser())
    except RuntimeError as error:  # how timm refuses unknown names and absent weights
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
    """Make a network with the weights in a file, which timm adapts to its channels and size as it does its own."""
    content = read_weights(path, "lifelong.networks.Timm")
    # Without a classifier timm loads what fits and no more: what a second one has by the same chance was not loaded.
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
    """Return mean and deviation of the images that the weights were trained on; 0 and 1 without such weights."""
    if not pretrained:
        return torch.zeros(1), torch.ones(1)
    config: Any = body.pretrained_cfg
    mean, deviation = torch.tensor(config["mean"]), torch.tensor(config["std"])
    # timm sums or repeats the weights of the colours for images that have other channels.
    return (mean, deviation) if in_channels == len(mean) else (mean.mean(0, True), deviation.mean(0, True))


def _timm() -> Any:
    # Here and not above, because it is an extra and takes seconds.
    try:
        import timm
    except (ImportError, RuntimeError) as error:  # a torchvision of another build of torch: RuntimeError
        raise ValueError(
            f"lifelong.networks.Timm needs the package timm ({error}): pip install -c constraints.txt -e '.[timm]', "
            "with torchvision from the same index as torch"
        ) from error
    return timm
