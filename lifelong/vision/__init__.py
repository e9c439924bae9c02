"""Photos: reading files, random augmentation for training, and features of a frozen network."""

from lifelong.vision.frozen_encoder import FrozenEncoder
from lifelong.vision.photo_augmentation import PhotoAugmentation
from lifelong.vision.readers import EncodedReader, ImageReader

__all__ = ["EncodedReader", "FrozenEncoder", "ImageReader", "PhotoAugmentation"]
