"""Texts: where they come from, and what a network sees of them."""

from lifelong.text.encoding import TextEncoding
from lifelong.text.frozen_encoder import FrozenEncoder
from lifelong.text.hashed_words import HashedWords
from lifelong.text.source import TextDomain, TextSource
from lifelong.text.tokens import Tokens

__all__ = ["FrozenEncoder", "HashedWords", "TextDomain", "TextEncoding", "TextSource", "Tokens"]
