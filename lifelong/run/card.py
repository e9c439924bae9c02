"""The model card, in Hugging Face's format: what the model is, what it was taught, its results, and how to load it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from lifelong.data.reader import Kind
from lifelong.evaluation.results import Results
from lifelong.utilities.class_names import class_name
from lifelong.utilities.markdown import markdown_table
from lifelong.utilities.versions import installed_version

TASKS: Mapping[Kind | None, str] = {"images": "image-classification", "texts": "text-classification"}
"""Hugging Face's name of the model's task, by what the model reads."""
QUESTIONS: Mapping[Kind | None, tuple[str, tuple[str, str, str]]] = {
    "images": ("FOLDER", ('"a.jpg"', '"b.jpg"', '"new.jpg"')),
    "texts": ("TABLE", ('"crisp and sweet"', '"full of juice"', '"green, and from the vine"')),
    None: ("", ("a", "b", "new")),  # tensors, which the command line cannot read
}
"""Example inputs on the command line and in Python, by what the model reads: two classes and a query."""
MOST_CLASSES = 50
"""Number of classes listed per experience; the rest is only counted."""


def write_card(
    name: str,
    config: Mapping[str, Any],
    experiences: Mapping[str, Sequence[str]],
    *,
    reads: Kind | None,
    unit: str,
    needs_support: bool,
    adapted_to: Sequence[str] | None,
    results: Results | None,
) -> str:
    """Return the text of a model card, with its YAML header.

    Args:
        name: name of the model.
        config: settings of the learner and the strategies.
        experiences: names of the learnt experiences, each with its classes.
        reads: what the model reads: images, texts or, if None, tensors.
        unit: what the model was trained on, in words.
        needs_support: whether the model predicts from a support set.
        adapted_to: classes of the support set that the model was adapted to. None if it was not adapted.
        results: what was measured. None if unknown.
    """
    learner = class_name(config["model"])
    strategies = [class_name(strategy) for strategy in config.get("strategies", ())]
    tags = ["lifelong", "few-shot", "continual-learning", learner, *strategies]
    header = {"library_name": "lifelong", "tags": tags, **({"pipeline_tag": TASKS[reads]} if reads in TASKS else {})}
    question, (apple, grape, query) = QUESTIONS[reads]
    support = f'adapt({{"apple": [{apple}, …], "grape": [{grape}, …]}}).' if needs_support else ""
    options = f"--support {question} " if needs_support else ""
    command = (
        f"\n\n```sh\npython -m lifelong predict --ckpt_path PATH {options}--query {question}\n```" if reads else ""
    )
    taught = "\n".join(f"- **{_text(e)}**: {_listed(classes)}" for e, classes in experiences.items())
    parts = [
        f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---",
        f"# {_text(name)}",
        f"{learner}{''.join(f' with {s}' for s in strategies)}, trained by Lifelong {installed_version('lifelong')} on "
        f"{unit}, one experience after the other. It reads {reads or 'tensors'}.",
        f"## What it was taught\n\n{taught}",
        f'## How to use it\n\n```python\nimport lifelong\n\nmodel = lifelong.Model.from_pretrained("PATH_OR_NAME")\n'
        f"print(model.{support}predict([{query}]))\n```{command}",
        f"## How it was trained\n\n```yaml\n{yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)}```",
    ]
    if adapted_to is not None:
        parts[3:3] = [
            f"## What it answers\n\nIt was adapted to a support set, and answers among {_listed(adapted_to)}."
        ]
    if results is not None:
        parts.append(f"## How well{' before it was adapted' * (adapted_to is not None)}\n\n{_matrix(results)}")
    return "\n\n".join(parts) + "\n"


def _matrix(results: Results) -> str:
    rows = [
        [_text(name), *("" if value != value else f"{100 * value:.1f}" for value in row.tolist())]
        for name, row in zip(results.experiences, results.matrix, strict=False)
    ]
    table = markdown_table(["after", *map(_text, results.domains)], rows)
    return f"Scores in % (rows: after learning; columns: evaluated on).\n\n{table}"


def _listed(classes: Sequence[str]) -> str:
    more = f", … ({len(classes)} in all)" if len(classes) > MOST_CLASSES else ""
    return ", ".join(_text(name) for name in classes[:MOST_CLASSES]) + more


def _text(name: str) -> str:
    return " ".join(str(name).split())
