from __future__ import annotations

import lifelong
from docs.generate.reference import ELSEWHERE, documented_paths, reference_index, reference_page, reference_pages


def test_everything_public_is_in_the_reference() -> None:
    [front] = [page for page in reference_pages() if page.module == "lifelong"]
    text = reference_page(front)
    for name in set(lifelong.__all__) - set(ELSEWHERE):
        assert f"\n::: lifelong.{name}\n" in text
    assert set(ELSEWHERE) < set(lifelong.__all__)
    assert all(f"lifelong.{name}`" in text for name in ELSEWHERE)


def test_metrics_are_the_functions_that_their_module_defines() -> None:
    [page] = [page for page in reference_pages() if page.name == "metrics"]
    assert {"average_score", "forgetting", "backward_transfer"} <= set(page.names)
    assert "Estimate" not in page.names


def test_paths_lead_to_what_is_public() -> None:
    documented = documented_paths()
    assert documented["lifelong.learners.maml.MAML"] == documented["MAML"] == "lifelong.learners.MAML"
    assert documented["lifelong.strategy.Strategy"] == "lifelong.Strategy"


def test_index_names_every_page() -> None:
    text = reference_index()
    assert all(f"({page.name}.md)" in text for page in reference_pages())
    assert "[`Conv4`][lifelong.networks.Conv4]" in text
