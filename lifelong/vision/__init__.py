"""Images: their features by a network that never changes, computed once."""

from lifelong.vision.frozen_encoder import FrozenEncoder

__all__ = ["FrozenEncoder"]
