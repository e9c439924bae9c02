"""Errors about the value of an option, in one sentence instead of the parser's list of everything that it tried."""

from __future__ import annotations

import importlib
import inspect
import re

from lifelong.cli.classes import SET_ELSEWHERE
from lifelong.cli.nearest import KEY, nearest_name

CLASS = re.compile(r"(?:given class_path|class_path=)\s*'([\w.]+)'")
EXPECTED = re.compile(r"Expected an? (<class '[\w.]+'>|typing\.Literal\[.*?\]|tuple with \d+ elements)")
OTHER_CLASS = re.compile(
    r"(?:Expected '([\w.]+)' to be a subclass of <class '(\w+)'>|does not correspond to a subclass of (\w+))"
)
KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "list": "a list such as [a, b]",
    "tuple": "a list such as [a, b]",
    "collections.abc.Sequence": "a list such as [a, b]",
    "dict": "a mapping such as {a: 1}",
}
"""What a user has to give, by type."""


def wrong_value(message: str) -> str | None:
    """Return a message about a value that an option does not accept. None if the message is about something else.

    Args:
        message: error message of the parser.

    Example:
        >>> wrong_value('Parser key "data":\\n Parser key "joint":\\n Expected a <class \\'bool\\'>. Got value: 2')
        '--data.joint is 2: it must be true or false;'
    """
    keys = KEY.findall(message)
    if not keys:
        return None
    option, last = ".".join(keys), message[list(KEY.finditer(message))[-1].end() :]
    if match := re.search(r"Option '([\w.]+)' is not accepted", last):
        return _unknown(option, match.group(1), CLASS.findall(message))
    if match := re.search(r"the following arguments are required: ([\w, ]+)", last):
        names = ", ".join(f"--{option}.{name.strip()}" for name in match.group(1).split(","))
        return f"{names} is missing: {_class_name(message)} cannot be made without it;"
    if match := re.search(r"given class_path '([\w.]+)':\s*No module named '([\w.]+)'", last):
        return f"there is no class {match.group(1)} for {option}: no module of the name {match.group(2)} is installed;"
    if match := re.search(r"Unable to load config ['\"](.*?)['\"]", message):
        return f"--{keys[0]} is {match.group(1)}: it must be a group of options, such as {{name: value}};"
    if match := OTHER_CLASS.search(last):
        return f"--{option} is {match.group(1) or _given(last)}, which is no {match.group(2) or match.group(3)};"
    words = _expected(last)
    if not words and "Not a valid subclass" not in last and "dot import path string" not in last:
        return None
    value = _given(last)
    if not any(KINDS[kind] in words for kind in ("int", "float")) and re.search(r"path string: [\w.]|attribute", last):
        return None  # the name of a class that does not exist
    if "Not a valid subclass" in last or ("dot import path string" in last and not words):
        words = ["the name of a class", "{class_path: …, init_args: {…}}"]
    return f"--{option} is {value or 'empty'}: it must be {' or '.join(words)};"


def _expected(text: str) -> list[str]:
    """Return what the parser would have accepted, in words and without null."""
    words: list[str] = []
    for kind in EXPECTED.findall(text):
        if kind.startswith("typing.Literal"):
            words.append("one of " + kind[len("typing.Literal[") : -1].replace("'", ""))
        elif kind.startswith("tuple"):
            words.append(f"a list of {kind.split()[2]}")
        elif (name := kind[len("<class '") : -2]) in KINDS:
            words.append(KINDS[name])
    if "a number" in words:
        words = [word for word in words if word != "a whole number"]
    return list(dict.fromkeys(words))


def _given(text: str) -> str:
    match = re.search(r"(?:Got|Given) value: (.*)", text)
    value = match.group(1).strip() if match else ""
    nested = re.fullmatch(r"NestedArg\(key='[\w.]+', val='?(.*?)'?\)", value)
    value = nested.group(1) if nested else value.partition(". Got value:")[0]
    return value if len(value) <= 200 else f"{value[:200]}…"


def _class_name(message: str) -> str:
    found = CLASS.findall(message)
    return found[-1].rpartition(".")[2] if found else "it"


def _unknown(option: str, name: str, classes: list[str]) -> str:
    owner = classes[-1].rpartition(".")[2] if classes else ""
    last = option.rpartition(".")[2]
    known = [n for n in _arguments(classes[-1]) if (last, n) not in SET_ELSEWHERE] if classes else []
    if near := nearest_name(name, known):
        answer = f"did you mean --{option}.{near[0]}?"
    else:
        answer = f"{owner} takes {', '.join(known) or 'no options'};" if owner else ""
    listing = f" python -m lifelong fit --{option}.help {owner} says what each of its options does" if owner else ""
    return f"there is no option --{option}.{name}{f': {answer}' if answer else ';'}{listing}"


def _arguments(path: str) -> list[str]:
    module, _, name = path.rpartition(".")
    try:
        return list(inspect.signature(getattr(importlib.import_module(module), name)).parameters)
    except (ImportError, AttributeError, TypeError, ValueError):
        return []
