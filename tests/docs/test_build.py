"""The site is built, strictly, and nothing of it is dead or comes from elsewhere; needs the extra docs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from docs.generate.catalogue import methods
from docs.generate.check import problems

ROOT = Path(__file__).parents[2]
REQUIRED = os.environ.get("LIFELONG_DOCS") == "required"
needs_mkdocs = pytest.mark.skipif(
    not REQUIRED and not all(map(find_spec, ("material", "mkdocs_jupyter", "mkdocstrings_handlers"))),
    reason="needs the extra docs: pip install -c constraints.txt -e '.[docs]'",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    )
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.mark.slow
@needs_mkdocs
def test_every_link_leads_somewhere_on_this_site(built: Path) -> None:
    assert problems(built) == []


@pytest.mark.slow
@needs_mkdocs
def test_every_method_has_its_page(built: Path) -> None:
    for method in methods():
        page = (built / method.page).with_suffix(".html").read_text(encoding="utf-8")
        assert f"<title>{method.name} - Lifelong</title>" in page
        assert ":class:`" not in page
        assert f'href="../reference/{"learners" if method.role == "learner" else "strategies"}.html#' in page


@pytest.mark.slow
@needs_mkdocs
def test_reference_renders_the_sections_of_docstrings(built: Path) -> None:
    page = (built / "reference" / "strategies.html").read_text(encoding="utf-8")
    ewc = page.split('id="strategies.EWC"', 1)[1].split('id="strategies.GDumb"', 1)[0]
    assert all(f">{title}:<" in ewc for title in ("Parameters", "Raises", "Examples"))
    assert 'class="reference"' in ewc
    assert "Args:" not in ewc


@pytest.mark.slow
@needs_mkdocs
def test_llms_txt_names_every_page_in_the_contents(built: Path) -> None:
    text = (built / "llms.txt").read_text(encoding="utf-8")
    assert re.fullmatch(r"# Lifelong\n\n> .+\n(\n## .+\n\n(- \[.+\]\(.+\)(: .+)?\n)+)+", text)
    named = re.findall(r"^- \[.+?\]\((.+?)\)", text, flags=re.M)
    assert all((built / url).is_file() for url in named)
    pages = {file.relative_to(built).as_posix() for file in built.rglob("*.html")}
    assert {page for page in pages if not page.startswith("files/")} - {"404.html"} == set(named)
    assert len(named) == len(set(named))


def test_settings_of_the_site_are_strict() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    settings = yaml.safe_load(text)
    assert settings["strict"] is True
    assert set(settings["validation"].values()) == {"warn"}
    assert settings["theme"]["font"] is False
    assert "repo_url" not in settings
