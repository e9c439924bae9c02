"""Files that GitHub, PyPI and citation managers read: they fit their schemas and tell the same version."""

from __future__ import annotations

import importlib.util
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from docs.generate.links import outward_links
from tests.test_layout import ORDER, ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
FORMS = sorted(path for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
SCHEMAS = [
    *(("vendor.github-workflows", path) for path in WORKFLOWS),
    *(("custom.github-workflows-require-timeout", path) for path in WORKFLOWS),
    *(("vendor.github-issue-forms", path) for path in FORMS),
    ("vendor.github-issue-config", ROOT / ".github/ISSUE_TEMPLATE/config.yml"),
    ("vendor.citation-file-format", ROOT / "CITATION.cff"),
]
SECTIONS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
"""Of a version, by keepachangelog.com 1.1.0."""
NO_EXTRAS = ("lowest", "package", "run")
"""Scripts of .ci that jobs of their own call."""
IN_DOCS = ("docs",)


def test_the_picture_of_the_architecture_is_drawn_by_its_script() -> None:
    script = ROOT / "docs/pictures/way_of_a_batch.py"
    drawn = runpy.run_path(str(script))["drawing"]()
    assert drawn == script.with_suffix(".svg").read_text(encoding="utf-8")


def test_the_architecture_tells_the_import_order() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    told = re.findall(r"`(\w+)`(?: →|\n\n)", text.split("## The import order", 1)[1].split("`strategies/`", 1)[0])
    assert tuple(told) == ORDER


def naming_documents() -> list[Path]:
    """Files with messages, comments and links that send people to documents."""
    folders = ("lifelong", "strategies", "datamodules", "configs", "benchmarks", "examples", ".ci", ".github")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*")]
    texts = [file for file in files if file.suffix in (".py", ".yaml", ".yml", ".md", ".css", ".html", ".ipynb", "")]
    roots = [*ROOT.glob("*.md"), *(ROOT / name for name in ("Makefile", "pyproject.toml", "mkdocs.yml"))]
    return sorted(file for file in [*texts, *roots] if file.is_file())


def test_documents_that_are_named_exist() -> None:
    named = {
        (file.relative_to(ROOT).as_posix(), path)
        for file in naming_documents()
        for path in re.findall(r"(?<![\w/.-])docs/[\w./-]*\w", file.read_text(encoding="utf-8"))
    }
    assert ("lifelong/utilities/learn2learn.py", "docs/guides/learn2learn.md") in named
    assert sorted(place for place in named if not (ROOT / place[1]).exists()) == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda path: path.stem)
def test_pages_link_to_files_that_exist(page: Path) -> None:
    links = outward_links(page.read_text(encoding="utf-8"), page.relative_to(ROOT).as_posix())
    assert [path for path in links if not (ROOT / path).exists()] == []


def version() -> str:
    (found,) = re.findall(r'^version = "([^"]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), flags=re.M)
    return str(found)


@pytest.mark.skipif(importlib.util.find_spec("check_jsonschema") is None, reason="needs check-jsonschema (extra dev)")
@pytest.mark.parametrize(("schema", "path"), SCHEMAS, ids=lambda part: part if isinstance(part, str) else part.name)
def test_a_file_fits_its_schema(schema: str, path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        schema,
        "--force-filetype",
        "yaml",
        str(path),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(importlib.util.find_spec("pre_commit") is None, reason="needs pre-commit (extra dev)")
def test_the_config_of_pre_commit_is_valid() -> None:
    command = [sys.executable, "-m", "pre_commit", "validate-config", str(ROOT / ".pre-commit-config.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_of_workflows_are_pinned(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    uses = re.findall(r"uses: (.+)", text)
    assert uses
    assert [line for line in uses if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v[\d.]+", line)] == []
    assert "permissions: {}" in text


def test_workflows_run_every_script_of_ci() -> None:
    scripts = {file.name for file in (ROOT / ".ci").iterdir() if not file.suffix and file.name not in IN_DOCS}
    texts = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    tests = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))
    extras = set(tests["jobs"]["extra"]["strategy"]["matrix"]["script"])
    assert extras == scripts - {*NO_EXTRAS}
    assert [name for name in NO_EXTRAS if f".ci/{name}" not in texts] == []


def test_the_version_is_told_alike_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    headings = re.findall(
        r"^## \[(.+?)\](?: - (\S+))?$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.M
    )
    assert citation["version"] == version()
    assert headings[0] == ("Unreleased", "")
    assert headings[1] == (version(), str(citation["date-released"]))
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for _, date in headings[1:])


def test_the_changelog_has_the_sections_that_people_know() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for part in re.split(r"^## ", text, flags=re.M)[1:]:
        sections = re.findall(r"^### (.+)$", part, flags=re.M)
        assert sections == [name for name in SECTIONS if name in sections]
