from __future__ import annotations

from docs.generate.notebooks import without_fetching


def test_scripts_from_elsewhere_go_and_others_stay() -> None:
    kept = '<script>draw()</script><script src="../a.js"></script><p>text</p>'
    gone = '<script type="text/x-mathjax-config">\nx = "$"\n</script><script type="module">import("https://cdn.net")</script>'
    assert without_fetching(f'{gone}{kept}<script src=""> </script>') == kept
