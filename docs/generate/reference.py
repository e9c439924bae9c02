"""Pages of the API reference, which mkdocstrings fills from signatures and docstrings."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass

from docs.generate.docstring import read_docstring, to_markdown
from docs.generate.markup import table


@dataclass(frozen=True)
class ReferencePage:
    """Describe a page of the reference.

    Args:
        name: name of its file.
        title: title of the page.
        about: its content, in one sentence.
        module: module that exports the listed objects.
        names: names of the listed objects.
        with_members: also show methods and attributes of classes.
    """

    name: str
    title: str
    about: str
    module: str
    names: tuple[str, ...]
    with_members: bool = False

    @property
    def page(self) -> str:
        """Return its path in the site."""
        return f"reference/{self.name}.md"


ELSEWHERE = {
    "__version__": "`lifelong.__version__` is the version of the installed package, as text.",
    "seed_everything": "`lifelong.seed_everything` is Lightning's: it seeds Python, NumPy and PyTorch.",
}
"""Names that the package `lifelong` exports and other pages document."""


METHODS = "[Methods](../methods/index.md) has a page for each, with results"


def reference_pages() -> list[ReferencePage]:
    """List the pages of the reference, in their order."""
    return [
        _exported("api", "lifelong", "The public API: `import lifelong`", "lifelong", with_members=True),
        _exported(
            "learners",
            "Learners",
            f"Values of `--model`; {METHODS}",
            "lifelong.learners",
        ),
        _exported(
            "strategies",
            "Strategies",
            f"Values of `--strategies`; {METHODS}",
            "strategies",
        ),
        _exported("sources", "Sources and DataModules", "Values of `--data` and `--data.sources`", "datamodules"),
        _exported(
            "networks",
            "Networks",
            "Values of `--model.network`, in addition to any `torch.nn.Module`",
            "lifelong.networks",
        ),
        ReferencePage(
            "metrics",
            "Metrics",
            "Pure functions of the scores of a run",
            "lifelong.evaluation.metrics",
            _functions("lifelong.evaluation.metrics"),
        ),
        _exported(
            "callbacks", "Callbacks", "Values of `--trainer.callbacks` for further measurements", "lifelong.evaluation"
        ),
    ]


def reference_page(page: ReferencePage) -> str:
    """Write a page of the reference, with the directives that mkdocstrings fills.

    Args:
        page: its description.
    """
    members = "" if page.with_members else "\n    options:\n      members: false"
    listed = [f"::: {page.module}.{name}{members}" for name in page.names if name not in ELSEWHERE]
    others = [ELSEWHERE[name] for name in page.names if name in ELSEWHERE]
    return "\n\n".join([f"# {page.title}", f"{page.about}.", *others, *listed]) + "\n"


def reference_index() -> str:
    """Write the page that lists everything in the reference, each with its first sentence."""
    documented = documented_paths()
    parts = ["# Reference", "Everything that is public, from its signatures and docstrings. Every other path may move."]
    for page in reference_pages():
        parts += [f"## [{page.title}]({page.name}.md)", f"{page.about}.", _index_table(page, documented)]
    return "\n\n".join(parts) + "\n"


def documented_paths() -> dict[str, str]:
    """Return the public path of everything in the reference: by that path, by where it is defined, and by its name."""
    documented: dict[str, str] = {}
    for page in reference_pages():
        module = importlib.import_module(page.module)
        for name in page.names:
            if name not in ELSEWHERE:
                thing, path = getattr(module, name), f"{page.module}.{name}"
                defined = f"{thing.__module__}.{thing.__qualname__}"
                documented |= {key: path for key in (path, defined, name) if key not in documented}
    return documented


def _index_table(page: ReferencePage, documented: dict[str, str]) -> str:
    module = importlib.import_module(page.module)
    rows = [
        [f"[`{name}`][{page.module}.{name}]", to_markdown(read_docstring(getattr(module, name)).summary, documented)]
        for name in page.names
        if name not in ELSEWHERE
    ]
    return table(["name", "what it does"], rows)


def _exported(name: str, title: str, about: str, module: str, *, with_members: bool = False) -> ReferencePage:
    names = tuple(sorted(importlib.import_module(module).__all__, key=str.lower))
    return ReferencePage(name, title, about, module, names, with_members)


def _functions(module: str) -> tuple[str, ...]:
    """The public functions and classes that a module defines, in its order."""
    made = importlib.import_module(module)
    own: Iterator[str] = (
        name for name, thing in vars(made).items() if getattr(thing, "__module__", "") == module and callable(thing)
    )
    return tuple(name for name in own if not name.startswith("_"))
