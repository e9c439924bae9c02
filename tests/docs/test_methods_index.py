from __future__ import annotations

from docs.generate.catalogue import methods
from docs.generate.methods_index import methods_index


def test_index_links_every_method_with_its_paper() -> None:
    every = methods()
    text = methods_index(every, {method.name: 3 for method in every} | {"SI": 0}, {})
    for method in every:
        [row] = [line for line in text.splitlines() if line.startswith(f"| [{method.name}]")]
        assert f"({method.name.lower()}.md)" in row
        assert method.docstring.paper in row
        assert row.endswith("| – |" if method.name == "SI" else "| 3 |")
    assert text.index("## Learners") < text.index("### Without adaptation") < text.index("## Strategies")
