"""Glyphs: procedurally drawn image domains, a stream with visible forgetting that needs no files.

Shapes: ``K`` classes, ``I`` images (classes times examples), ``P`` pixels, ``S`` strokes, ``G`` gratings, ``T`` points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from lifelong.data.domain import Domain
from lifelong.data.source import Source
from lifelong.utilities.ranges import check_number
from lifelong.vision import ImageReader

CHUNK = 1 << 18
"""Number of distances between pixels and points computed at once, which bounds the memory of drawing."""
POINTS_PER_STROKE = 22
"""Dense enough that a stroke across the image looks like a line instead of dots."""


class Glyphs(Source):
    """Draw few-shot image domains of very different appearance, in about a second.

    Features that distinguish classes in one style are distractors in another: strokes are drawn on gratings like those
    of ``textures``, constellations among strokes, silhouettes among dots. A network trained on the styles sequentially
    therefore learns to ignore features that it needed before.

    Args:
        styles: style of each domain, in the order of the stream. ``strokes``: three pen strokes per character.
            ``textures``: two gratings per class, with random phases. ``inscriptions``: strokes on distractor gratings.
            ``constellations``: five dark dots among distractor strokes. ``silhouettes``: blobs with different outlines,
            light on dark or dark on light, among distractor dots.
        n_classes: classes per domain.
        n_examples: examples per class.
        image_size: height and width in pixels.
        seed: seed of all drawings; the global random state is neither read nor changed.

    Raises:
        ValueError: when a style is unknown or there is nothing to draw.

    Example:
        >>> domain = Glyphs(styles=("strokes",), n_classes=3, n_examples=2).domains()[0]
        >>> domain.name, domain.x.shape, domain.x.dtype
        ('strokes', torch.Size([6, 1, 28, 28]), torch.uint8)
    """

    def __init__(
        self,
        *,
        styles: Sequence[str] = ("strokes", "textures", "inscriptions", "constellations", "silhouettes"),
        n_classes: int = 60,
        n_examples: int = 20,
        image_size: int = 28,
        seed: int = 0,
    ) -> None:
        if unknown := [style for style in styles if style not in STYLES]:
            raise ValueError(f"Glyphs has no style {unknown[0]!r}: choose from {', '.join(STYLES)}")
        for name, value in (("n_classes", n_classes), ("n_examples", n_examples), ("image_size", image_size)):
            check_number(f"Glyphs' {name}", value, least=1, whole=True)
        check_number("Glyphs' seed", seed, least=0, whole=True)
        self.styles = styles
        self.n_classes = n_classes
        self.n_examples = n_examples
        self.image_size = image_size
        self.seed = seed

    def domains(self) -> list[Domain]:
        """Draw one domain per style; a domain does not depend on the other styles."""
        return [self._domain(style) for style in self.styles]

    def reader(self) -> ImageReader:
        """Return the reader that reads a grey image as the drawn ones."""
        return ImageReader(image_size=self.image_size, channels=1)

    def _domain(self, style: str) -> Domain:
        key = np.random.SeedSequence([self.seed, *style.encode()]).generate_state(1)[0]
        rng = torch.Generator().manual_seed(int(key))
        pixels = STYLES[style](_Canvas(self.n_classes, self.n_examples, self.image_size, rng))
        x = (pixels.clamp(0, 1) * 255).round().to(torch.uint8).reshape(-1, 1, self.image_size, self.image_size)
        y = np.repeat(np.arange(self.n_classes), self.n_examples)
        return Domain(style, x, y, [f"{style} {c + 1:02d}" for c in range(self.n_classes)])


@dataclass(frozen=True)
class _Canvas:
    """Store the sizes of the drawings and the random generator."""

    n_classes: int
    n_examples: int
    size: int
    rng: torch.Generator

    @property
    def n_images(self) -> int:
        return self.n_classes * self.n_examples

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return torch.rand(*shape, generator=self.rng) * (high - low) + low

    def normal(self, *shape: int, scale: float) -> Tensor:
        return torch.randn(*shape, generator=self.rng) * scale

    def varied(self, classes: Tensor, scale: float) -> Tensor:
        """Return the parameters of classes ``(K, ...)`` with a small variation for each example ``(I, ...)``."""
        examples = classes.repeat_interleave(self.n_examples, 0)
        return examples + self.normal(*examples.shape, scale=scale)

    def grid(self) -> Tensor:
        """Return pixel centres ``(P, 2)`` as (x, y) in [−1, 1]."""
        axis = (torch.arange(self.size) + 0.5) / self.size * 2 - 1
        return torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).reshape(-1, 2)


def _strokes(canvas: _Canvas) -> Tensor:
    return _handwriting(canvas)


def _textures(canvas: _Canvas) -> Tensor:
    classes = _waves(canvas, canvas.n_classes)
    waves = classes.repeat_interleave(canvas.n_examples, 0) * (1 + canvas.normal(canvas.n_images, 2, 2, scale=0.05))
    contrast = canvas.uniform(canvas.n_images, 1, low=0.15, high=0.45)
    noise = canvas.normal(canvas.n_images, canvas.size**2, scale=0.08)
    return 0.5 + contrast * _gratings(canvas, waves) + noise


def _inscriptions(canvas: _Canvas) -> Tensor:
    ground = 0.3 + 0.3 * _gratings(canvas, _waves(canvas, canvas.n_images))
    return _over(ground, _handwriting(canvas), 1.0)


def _constellations(canvas: _Canvas) -> Tensor:
    stars = canvas.varied(canvas.uniform(canvas.n_classes, 5, 2, low=-0.8, high=0.8), 0.05)
    clutter = _strokes_through(canvas.uniform(canvas.n_images, 2, 3, 2, low=-1.0, high=1.0))
    ground = _over(torch.tensor(0.65), _ink(canvas, clutter, torch.tensor(0.05)), 1.0)
    return _over(ground, _dots(canvas, _posed(canvas, stars), 0.14), 0.0)


def _silhouettes(canvas: _Canvas) -> Tensor:
    inside = _blobs(canvas)
    dots = _dots(canvas, canvas.uniform(canvas.n_images, 8, 2, low=-1.0, high=1.0), 0.1)
    contrast = torch.where(canvas.uniform(canvas.n_images, 1) < 0.5, -0.4, 0.4)
    brightness = torch.where(canvas.uniform(canvas.n_images, 1) < 0.5, 0.0, 1.0)
    return _over(0.5 + contrast * (inside - 0.5), dots, brightness)


STYLES: dict[str, Callable[[_Canvas], Tensor]] = {
    "strokes": _strokes,
    "textures": _textures,
    "inscriptions": _inscriptions,
    "constellations": _constellations,
    "silhouettes": _silhouettes,
}
"""Functions that draw all images of a domain, ``(I, P)``, where 0 is black and 1 white."""


def _handwriting(canvas: _Canvas) -> Tensor:
    """Draw characters of three strokes ``(I, P)`` that vary in slant, size, position and stroke width."""
    classes = canvas.uniform(canvas.n_classes, 3, 3, 2, low=-0.75, high=0.75)
    points = _posed(canvas, _strokes_through(canvas.varied(classes, 0.1)))
    return _ink(canvas, points, canvas.uniform(canvas.n_images, 1, low=0.05, high=0.1))


def _strokes_through(control: Tensor) -> Tensor:
    """Return points ``(I, T, 2)`` on quadratic Bézier curves with control points ``(I, S, 3, 2)``."""
    t = torch.linspace(0, 1, POINTS_PER_STROKE)[:, None]
    basis = torch.cat([(1 - t) ** 2, 2 * t * (1 - t), t**2], 1)
    return (basis @ control).flatten(1, 2)


def _posed(canvas: _Canvas, points: Tensor, strength: float = 1.0) -> Tensor:
    """Move points ``(I, T, 2)`` by a small random rotation, stretch, shear and shift for each image."""
    angle = canvas.normal(canvas.n_images, scale=0.2 * strength)
    rotation = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1).reshape(-1, 2, 2)
    stretch = torch.eye(2) + canvas.normal(canvas.n_images, 2, 2, scale=0.12 * strength)
    return points @ (rotation @ stretch) + canvas.normal(canvas.n_images, 1, 2, scale=0.15 * strength)


def _distance(canvas: _Canvas, points: Tensor) -> Tensor:
    """Compute the distance ``(I, P)`` of each pixel to the nearest of ``points (I, T, 2)``."""
    grid = canvas.grid()
    chunk = max(1, CHUNK // (len(grid) * points.shape[1]))
    # |g − p|² = |g|² + (|p|² − 2 g·p): the minimum is taken first, so that only P square roots are needed.
    nearest = [(p.square().sum(-1)[:, None] - 2 * grid @ p.mT).amin(-1) for p in torch.split(points, chunk)]
    return (torch.cat(nearest) + grid.square().sum(-1)).clamp(min=0).sqrt()


def _ink(canvas: _Canvas, points: Tensor, half_width: Tensor) -> Tensor:
    """Draw lines ``(I, P)`` through ``points (I, T, 2)``, 1 for ink, with a soft edge one pixel wide."""
    return ((half_width - _distance(canvas, points)) * canvas.size + 0.5).clamp(0, 1)


def _dots(canvas: _Canvas, points: Tensor, radius: float) -> Tensor:
    """Draw soft dots ``(I, P)`` at ``points (I, T, 2)``, 1 at their centres."""
    return torch.exp(-(_distance(canvas, points) / radius).square())


def _waves(canvas: _Canvas, count: int) -> Tensor:
    """Draw random wave vectors of two gratings, ``(count, 2, 2)``, in radians per half of the image's width."""
    angle, length = canvas.uniform(count, 2, high=math.pi), canvas.uniform(count, 2, low=4.0, high=22.0)
    return torch.stack([angle.cos(), angle.sin()], -1) * length[..., None]


def _gratings(canvas: _Canvas, waves: Tensor) -> Tensor:
    """Draw the mean of gratings of wave vectors ``(I, G, 2)``, each at a random phase: ``(I, P)`` in [−1, 1]."""
    phase = canvas.uniform(*waves.shape[:2], 1, high=2 * math.pi)
    return torch.cos(waves @ canvas.grid().T + phase).mean(1)


def _blobs(canvas: _Canvas) -> Tensor:
    """Draw shapes ``(I, P)`` whose radius is a random Fourier series of the angle, 1 inside."""
    series = canvas.varied(canvas.normal(canvas.n_classes, 2, 5, scale=0.18), 0.03)[:, :, None]
    place = _posed(canvas, canvas.grid().expand(canvas.n_images, -1, -1), 0.6)
    angle = torch.atan2(place[..., 1], place[..., 0])[..., None] * torch.arange(2, 7)
    radius = 0.55 * torch.exp((series[:, 0] * angle.cos() + series[:, 1] * angle.sin()).sum(-1))
    return ((radius - place.square().sum(-1).sqrt()) * canvas.size / 2 + 0.5).clamp(0, 1)


def _over(ground: Tensor, cover: Tensor, brightness: Tensor | float) -> Tensor:
    """Paint a brightness over a background where ``cover`` is 1."""
    return ground * (1 - cover) + brightness * cover
