"""Parsing docstrings and converting them to Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass

import docstring_parser

TITLES = ("Args", "Returns", "Raises", "Reference", "Example")
"""The sections of a docstring, in their order."""
_TITLE = re.compile(rf"^({'|'.join(TITLES)}):$", flags=re.M)
_DIFFERENCES = re.compile(r"\s*\bDifferences?:\s+")
_ROLE = re.compile(r":\w+:`(~?)([\w.]+)`")
_PAPER = re.compile(r".*?\b(?:19|20)\d\d\b", flags=re.S)


@dataclass(frozen=True)
class Docstring:
    """Store the parts of a docstring; missing parts are empty.

    Args:
        summary: the first paragraph.
        body: the text between the summary and the sections.
        args: description of each argument, by name.
        raises: conditions of each error, by name.
        reference: the papers.
        differences: differences of the code from the papers.
        example: the runnable example.
    """

    summary: str
    body: str
    args: Mapping[str, str]
    raises: Mapping[str, str]
    reference: str
    differences: str
    example: str

    @property
    def paper(self) -> str:
        """Return the first paper of the reference, up to its year."""
        found = _PAPER.match(self.reference)
        return found[0] if found else self.reference.rstrip(".")


def read_docstring(thing: object) -> Docstring:
    """Parse the docstring of a class or function.

    Args:
        thing: the class or function.

    Example:
        >>> from strategies import Replay
        >>> read_docstring(Replay).paper
        'Chaudhry et al., "On Tiny Episodic Memories in Continual Learning", 2019'
    """
    text = inspect.getdoc(thing) or ""
    head, *rest = _TITLE.split(text)
    sections = {title: inspect.cleandoc(part) for title, part in zip(rest[::2], rest[1::2], strict=True)}
    summary, _, body = head.partition("\n\n")
    parsed = docstring_parser.parse(text, style=docstring_parser.DocstringStyle.GOOGLE)
    reference, *differences = _DIFFERENCES.split(sections.get("Reference", ""), maxsplit=1)
    return Docstring(
        summary=_joined(summary),
        body=body.strip(),
        args={param.arg_name: _joined(param.description or "") for param in parsed.params},
        raises={str(error.type_name): _joined(error.description or "") for error in parsed.raises},
        reference=_joined(reference),
        differences=_joined(differences[0]) if differences else "",
        example=sections.get("Example", ""),
    )


def described_arguments(of_class: type) -> dict[str, str]:
    """Return the description of each argument of a class, from its own docstring or those of its bases.

    Args:
        of_class: the class.

    Example:
        >>> from lifelong.learners import ANIL
        >>> described_arguments(ANIL)["inner_rate"]
        '``α``, the learning rate of the inner steps.'
    """
    described: dict[str, str] = {}
    for base in reversed(of_class.__mro__):
        if base.__doc__ and base.__module__.split(".")[0] in ("lifelong", "strategies", "datamodules"):
            described |= {name: text for name, text in read_docstring(base).args.items() if text}
    return described


def to_markdown(text: str, documented: Mapping[str, str]) -> str:
    """Convert reStructuredText roles to Markdown: links to documented objects, plain code for others.

    Args:
        text: text of a docstring.
        documented: public path of each object in the reference, by all of its paths.

    Example:
        >>> to_markdown("Train a :class:`~networks.conv4.Conv4`.", {"networks.conv4.Conv4": "networks.Conv4"})
        'Train a [`Conv4`][networks.Conv4].'
        >>> to_markdown("as :func:`strategies.memory.rows.take` does", {})
        'as `strategies.memory.rows.take` does'
    """

    def link(found: re.Match[str]) -> str:
        path = found[2]
        name = path.rpartition(".")[2] if found[1] or path in documented else path
        return f"[`{name}`][{documented[path]}]" if path in documented else f"`{name}`"

    return _ROLE.sub(link, text)


def _joined(text: str) -> str:
    """Join the lines of each paragraph."""
    return "\n\n".join(" ".join(part.split()) for part in text.strip().split("\n\n"))
