"""Photos: read from files, changed at random for training, and their features by a network that never changes."""

from lifelong.vision.frozen_encoder import FrozenEncoder
from lifelong.vision.photo_augmentation import PhotoAugmentation
from lifelong.vision.readers import EncodedReader, ImageReader

__all__ = ["EncodedReader", "FrozenEncoder", "ImageReader", "PhotoAugmentation"]
