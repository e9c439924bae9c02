from __future__ import annotations

from pathlib import Path

import pytest

from docs.generate.files import file_page


def test_page_shows_the_file_whole(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\n")
    assert file_page(tmp_path, "a.py") == "# a.py\n\n```python\nx = 1\n```\n"


def test_fence_is_longer_than_those_in_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("````sh\nls\n````\n")
    assert file_page(tmp_path, "a.md").splitlines()[2] == "`````markdown"


def test_page_of_a_folder_lists_its_files(tmp_path: Path) -> None:
    (tmp_path / "b" / "__pycache__").mkdir(parents=True)
    (tmp_path / "b" / "c.yaml").touch()
    (tmp_path / "b" / "__pycache__" / "d.pyc").touch()
    assert file_page(tmp_path, "b") == "# b\n\n- `b/c.yaml`\n"


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a page links to a\.py, which is not there: correct the link"):
        file_page(tmp_path, "a.py")
