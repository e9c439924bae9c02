from __future__ import annotations

import lifelong.learners
import strategies
from docs.generate.catalogue import methods


def test_every_learner_and_strategy_has_one_kind() -> None:
    names = [method.name for method in methods()]
    exported = {*lifelong.learners.__all__, *strategies.__all__} - {"Budget"}
    assert sorted(names) == sorted(exported)


def test_pages_have_names_of_their_own() -> None:
    pages = [method.page for method in methods()]
    assert len(set(pages)) == len(pages)
