from __future__ import annotations

from docs.generate.links import outward_links, site_place, to_site

ORIGIN, PLACE = "docs/guides/x.md", "guides/x.md"


def test_links_within_the_site_stay() -> None:
    text = "[a](y.md#b) ![c](../pictures/d.png) [e](https://f.g/../h) [i](#j) <k@l.m>"
    assert to_site(text, ORIGIN, PLACE) == text


def test_links_out_of_the_docs_lead_to_pages_of_files() -> None:
    assert to_site("[t](../../tests/a.py)", ORIGIN, PLACE) == "[t](../files/tests/a.py.md)"
    assert to_site("[r](../../b/r.jsonl)", ORIGIN, PLACE) == "[r](../files/b/r.jsonl)"
    assert to_site("[d](../../README.md#x)", ORIGIN, PLACE) == "[d](../index.md#x)"
    assert to_site("[n](../../examples/notebooks/n.ipynb)", ORIGIN, PLACE) == "[n](../notebooks/n.ipynb)"


def test_definitions_of_links_are_rewritten_too() -> None:
    assert to_site("[a]: ../../SECURITY.md\n", ORIGIN, PLACE) == "[a]: ../project/security.md\n"


def test_code_is_left_alone() -> None:
    text = "`[a](../../b.py)`\n\n```md\n[a](../../b.py)\n```\n\n~~~\n[a](../../b.py)\n~~~\n"
    assert to_site(text, ORIGIN, PLACE) == text
    assert list(outward_links(text, ORIGIN)) == []


def test_code_in_the_text_of_a_link_does_not_hide_it() -> None:
    assert to_site("[`a` b](../../c.py)", ORIGIN, PLACE) == "[`a` b](../files/c.py.md)"


def test_pages_from_the_root_find_the_docs() -> None:
    text = "[a](docs/guides/x.md) [b](CHANGELOG.md#c)"
    assert to_site(text, "SECURITY.md", "project/security.md") == "[a](../guides/x.md) [b](changelog.md#c)"
    assert list(outward_links(text, "SECURITY.md")) == ["CHANGELOG.md"]


def test_folders_and_scripts_without_ending_are_pages() -> None:
    assert site_place("configs") == "files/configs.md"
    assert site_place(".ci/lowest") == "files/.ci/lowest.md"
