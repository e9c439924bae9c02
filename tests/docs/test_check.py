from __future__ import annotations

from pathlib import Path

import pytest

from docs.generate.check import main, problems


def site(folder: Path, **pages: str) -> Path:
    for name, body in pages.items():
        file = folder / f"{name.replace('__', '/')}.html"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"<html><head></head><body>{body}</body></html>")
    return folder


def test_good_site_has_no_problems(tmp_path: Path) -> None:
    (tmp_path / "a b.css").write_text("a { background: url(data:image/png;base64,xx) }")
    index = (
        '<a href="in/b.html#x">b</a><a href="https://else.where/x">e</a><a href="mailto:a@b.c">m</a><a href="#y">y</a>'
        '<p id=y><link rel=stylesheet href="a%20b.css">'
        '<link rel=canonical href="https://a.b/"><img src="data:image/png;,">'
        '<script>svg("http://www.w3.org/2000/svg")</script>'
    )
    assert problems(site(tmp_path, index=index, in__b='<h2 id="x"></h2><a href="..">up</a><a href="/">root</a>')) == []


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('<a href="no.html">', "links to no.html, which is not there"),
        ('<a href="#no">', "links to #no, and there is no such anchor"),
        ('<img src="no.png">', "links to no.png, which is not there"),
        ('<script src="https://cdn.net/x.js"></script>', "loads https://cdn.net/x.js"),
        ('<script src="//cdn.net/x.js"></script>', "loads //cdn.net/x.js"),
        ('<link rel="preconnect" href="https://fonts.net">', "loads https://fonts.net"),
        ('<img srcset="https://cdn.net/x.png 2x">', "loads https://cdn.net/x.png 2x"),
        ('<script>load("https://cdn.net/x.js")</script>', "names https://cdn.net in a script or style"),
        ('<style>@import "https://fonts.net/f"</style>', "names https://fonts.net in a script or style"),
        ('<pre class="mermaid">', "has an element of the class mermaid"),
        ('<a href="" data-md-component="source">', "shows facts of a repository"),
    ],
)
def test_problem_is_named_with_its_page(body: str, problem: str, tmp_path: Path) -> None:
    [found] = problems(site(tmp_path, index=body))
    assert found.startswith(f"index.html {problem}")


def test_styles_are_read_as_well(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text('@font-face { src: url("https://fonts.net/f.woff2") }')
    assert problems(site(tmp_path, index="")) == ['a.css loads url("https://fonts.net/f.woff2']


def test_command_ends_with_1_where_there_is_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as bad:
        main([str(site(tmp_path, index='<a href="no.html">'))])
    assert bad.value.code == 1
    assert capsys.readouterr().out == "index.html links to no.html, which is not there\n"
    with pytest.raises(ValueError, match="build the site first"):
        main([str(tmp_path / "empty")])
