"""Pages and files of the site made from repository files."""

from __future__ import annotations

import re
from pathlib import Path

LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".md": "markdown", ".sh": "sh"}


def file_page(root: Path, path: str) -> str:
    """Make the page of a file, which shows its text, or of a folder, which lists its files.

    Args:
        root: root of the repository.
        path: path from the root.

    Raises:
        ValueError: when there is no such file.

    Example:
        >>> print(file_page(Path("."), "configs/default.yaml").splitlines()[0])
        # configs/default.yaml
    """
    file = root / path
    if file.is_dir():
        names = sorted(part.relative_to(root).as_posix() for part in file.rglob("*") if _is_kept(part))
        return f"# {path}\n\n" + "\n".join(f"- `{name}`" for name in names) + "\n"
    if not file.is_file():
        raise ValueError(f"a page links to {path}, which is not there: correct the link")
    text = file.read_text(encoding="utf-8")
    fence = "`" * (1 + max([2, *map(len, re.findall(r"^\s*(`{3,})", text, flags=re.M))]))
    return f"# {path}\n\n{fence}{LANGUAGES.get(file.suffix, 'text')}\n{text.rstrip()}\n{fence}\n"


def _is_kept(file: Path) -> bool:
    return file.is_file() and "__pycache__" not in file.parts
