"""The page of a learner or a strategy, made from its docstring and its recorded runs."""

from __future__ import annotations

import inspect
import json
import shlex
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from docs.generate.catalogue import Method
from docs.generate.commands import COMMANDS, needs
from docs.generate.docstring import described_arguments, to_markdown
from docs.generate.evidence import reproduced, unrecorded
from docs.generate.llms import plain
from docs.generate.markup import choices, code, estimate, fenced, shell, styled, table
from docs.generate.records import Record
from lifelong.cli.rows import metavar, shown_value
from lifelong.utilities.amounts import bytes_text


def method_page(method: Method, records: Sequence[Record], documented: Mapping[str, str]) -> str:
    """Write the page of a method, as Markdown.

    Args:
        method: the method.
        records: recorded rows of the method.
        documented: as for :func:`docs.generate.docstring.to_markdown`.
    """
    summary = to_markdown(method.docstring.summary, documented)
    parts = [
        f"---\ndescription: {json.dumps(plain(summary), ensure_ascii=False)}\n---",
        f"# {method.name}",
        f"*{method.role.capitalize()} · {method.kind.lower()} · [`{method.path}`][{method.path}]*",
        summary,
        method.docstring.body,
        *_section("Run it", f"{shell(shlex.split(COMMANDS[method.name]))}\n\n{needs(method.name)}"),
        *_section("Paper", method.docstring.reference),
        *_section("Differences from the paper", _capital(method.docstring.differences)),
        *_section("Results", _results(method, records)),
        *_section("Options", _options(method, documented)),
        *_section("Errors", "\n".join(f"- `{name}` {text}" for name, text in method.docstring.raises.items())),
        *_section("Example", fenced("pycon", method.docstring.example)),
    ]
    return to_markdown("\n\n".join(filter(None, parts)), documented) + "\n"


def _section(title: str, text: str) -> Iterator[str]:
    if title and text:
        yield f"## {title}"
        yield text


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _options(method: Method, documented: Mapping[str, str]) -> str:
    """Make the table of arguments: type, default and description."""
    described = described_arguments(method.of_class)
    kinds = typing.get_type_hints(method.of_class.__init__)  # type: ignore[misc]
    rows = []
    for parameter in inspect.signature(method.of_class).parameters.values():
        default = "required" if parameter.default is parameter.empty else code(_shown(parameter.default))
        kind = _kind(kinds[parameter.name], documented)
        rows.append([code(parameter.name), kind, default, described.get(parameter.name, "")])
    if not rows:
        return "It takes no options."
    option = f"{method.option}.{rows[-1][0].strip('`')}"
    about = f"On the command line: `{method.option} {method.name}`, and options such as `{option} VALUE`."
    return f"{about}\n\n" + styled("options", table(["option", "type", "default", "description"], rows))


def _kind(kind: Any, documented: Mapping[str, str]) -> str:
    """Return the type of an option: a link to a documented class, else the type as shown on the command line."""
    path = documented.get(f"{kind.__module__}.{kind.__qualname__}") if isinstance(kind, type) else None
    return f"[`{kind.__name__}`][{path}]" if path else choices(metavar(kind))


def _shown(value: Any) -> str:
    """Return a default as a user would write it; a budget by its limits."""
    limits = (
        {name: limit for name, limit in vars(value).items() if limit is not None} if hasattr(value, "__dict__") else {}
    )
    return ", ".join(f"{name}: {limit}" for name, limit in limits.items()) if limits else shown_value(value, room=60)


def _results(method: Method, records: Sequence[Record]) -> str:
    """Make the section from recorded runs and values of papers; or state that no run is recorded."""
    ours = _recorded(method, records) if records else ""
    return "\n\n".join(filter(None, [ours, reproduced(method.name)])) or unrecorded(method.name)


def _recorded(method: Method, records: Sequence[Record]) -> str:
    """Make the table of reproduced and reported scores, with costs."""
    is_learner = method.role == "learner"
    columns = ["stream", "row", *([] if is_learner else ["learner"])]
    columns += ["reproduced", "reported", "forgetting", "seeds", "memory", "minutes"]
    records = sorted(records, key=lambda record: not record.row.published)
    rows = [
        [
            record.stream,
            record.row.label,
            *([] if is_learner else [record.learner]),
            estimate(record.score),
            record.row.published or "–",
            estimate(record.row.metrics["forgetting"].scaled(100)) if "forgetting" in record.row.metrics else "n/a",
            str(len(record.row.seeds)),
            bytes_text(record.n_bytes(method.name)),
            f"{record.minutes:.1f}",
        ]
        for record in records
    ]
    files = dict.fromkeys(record.sweep.as_posix() for record in records)
    seeds = "its first seed" if len(records[0].row.seeds) > 1 else "its seed"
    return "\n\n".join(
        [
            f"From the recorded runs of {', '.join(f'[{file}](../../{file})' for file in files)}. {_about(records)}",
            styled("figures", table(columns, rows)),
            f"This runs the first row with {seeds}; `python -m lifelong sweep {records[0].sweep}` runs the table:",
            shell(["fit", *records[0].options]),
        ]
    )


def _about(records: Sequence[Record]) -> str:
    """Explain the numbers of the table."""
    *first, last = dict.fromkeys(record.score_name for record in records)
    scores = f"{', '.join(first)} or {last}" if first else last
    as_errors = ", ".join(dict.fromkeys(f"`{record.sweep.name}`" for record in records if record.row.spread == "sem"))
    over = "over seeds, and with one seed over tasks" if any(len(r.row.seeds) == 1 for r in records) else "over seeds"
    spread = f"± is the 95 % interval {over}" + (f"; in {as_errors} it is the standard error" if as_errors else "")
    return (
        f"The score is {scores} in %: the average over all domains after the last experience. {spread}. "
        "Memory is what the method stores in addition to the network's weights; minutes are for a run on one CPU core."
    )
