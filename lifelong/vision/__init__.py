"""Images: read from files, and their features by a network that never changes, computed once."""

from lifelong.vision.frozen_encoder import FrozenEncoder
from lifelong.vision.readers import EncodedReader, ImageReader

__all__ = ["EncodedReader", "FrozenEncoder", "ImageReader"]
