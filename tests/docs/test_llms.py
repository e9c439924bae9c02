from __future__ import annotations

import re

import pytest

from docs.generate.llms import Link, first_sentence, llms_text


def test_text_has_the_form_of_llmstxt() -> None:
    text = llms_text("Name", "What it is.", [("One", [Link("A", "a.html", "About a."), Link("B", "b.html", "")])])
    assert text == "# Name\n\n> What it is.\n\n## One\n\n- [A](a.html): About a.\n- [B](b.html)\n"
    assert re.fullmatch(r"# .+\n\n> .+\n(\n## .+\n\n(- \[.+\]\(.+\)(: .+)?\n)+)+", text)


@pytest.mark.parametrize(
    ("markdown", "sentence"),
    [
        ("# T\n\nOne two. Three.", "One two."),
        ("# T\n\n```sh\nls. Now\n```\n\nSee Doe et al. Now it is said. More.", "See Doe et al. Now it is said."),
        ("# T\n\n| a |\n|---|\n\n- b\n\nAfter the\ntable.", "After the table."),
        ("# T\n\nIt is 0.5 of `a.B`. Then.", "It is 0.5 of a.B."),
        ("# T\n", ""),
    ],
)
def test_first_sentence_is_found(markdown: str, sentence: str) -> None:
    assert first_sentence(markdown) == sentence
