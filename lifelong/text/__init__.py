"""Texts: their sources, and their encodings for networks."""

from lifelong.text.encoding import TextEncoding
from lifelong.text.frozen_encoder import FrozenEncoder
from lifelong.text.hashed_words import HashedWords
from lifelong.text.reader import TextReader
from lifelong.text.source import TextDomain, TextSource
from lifelong.text.table import Table, read_table
from lifelong.text.tokens import Tokens

__all__ = [
    "FrozenEncoder",
    "HashedWords",
    "Table",
    "TextDomain",
    "TextEncoding",
    "TextReader",
    "TextSource",
    "Tokens",
    "read_table",
]
