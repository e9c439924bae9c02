"""Class names and docstrings, read from source code without importing it, as importing torch takes seconds."""

from __future__ import annotations

import ast
import functools
from importlib.util import find_spec
from pathlib import Path

from lifelong.utilities.docstrings import plain_words

Definition = ast.ClassDef | ast.FunctionDef


def find_definition(path: str) -> tuple[Definition, str] | None:
    """Return the definition of an import path, following imports, and the name of the module that contains it.

    Args:
        path: import path of a class or function, such as ``lifelong.learners.MAML``.

    Returns:
        The definition and the module. None if the source is not available.

    Example:
        >>> find_definition("lifelong.learners.MAML")[1]
        'lifelong.learners.maml'
    """
    return _find(*path.rpartition(".")[::2], frozenset())


def first_line(definition: ast.AST) -> str:
    """Return the first line of a docstring, without markup.

    Example:
        >>> first_line(ast.parse("def area():\\n    '''Return ``a · b`` of a :class:`~geometry.Square`.'''").body[0])
        'Return a · b of a Square'
    """
    return plain_line(_docstring(definition).partition("\n")[0])


def first_paragraph(definition: ast.AST) -> str:
    """Return the first paragraph of a docstring on one line, without markup.

    Example:
        >>> first_paragraph(ast.parse("def area():\\n    '''Return ``a``\\n    times ``b``.\\n\\n    More.'''").body[0])
        'Return a times b.'
    """
    return " ".join(plain_words(_docstring(definition).partition("\n\n")[0]).split())


def plain_line(text: str) -> str:
    """Return a line of a docstring without markup and without the punctuation at its end.

    Example:
        >>> plain_line("the ``norm`` of a :class:`~lifelong.networks.MLP`:")
        'the norm of a MLP'
    """
    return " ".join(plain_words(text).split()).rstrip(".:")


def arguments(path: str) -> list[str]:
    """Return the names of a class's constructor arguments, including those of its bases if it has no constructor.

    Args:
        path: import path of a class.

    Example:
        >>> "inner_rate" in arguments("lifelong.learners.MAML")
        True
    """
    if (found := find_definition(path)) is None:
        return []
    definition, module = found
    if isinstance(definition, ast.FunctionDef):
        return _parameters(definition)
    for node in definition.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return [name for name in _parameters(node) if name != "self"]
    if any("dataclass" in ast.unparse(decorator) for decorator in definition.decorator_list):
        return [ast.unparse(node.target) for node in definition.body if isinstance(node, ast.AnnAssign)]
    bases = (arguments(f"{module}.{base.id}") for base in definition.bases if isinstance(base, ast.Name))
    return next((names for names in bases if names), [])


@functools.cache
def module_tree(module: str) -> ast.Module | None:
    """Return the parsed source of a module. None if there is no source."""
    if (file := _file(module)) is None:
        return None
    return ast.parse(file.read_text(encoding="utf-8"))


def exported(module: str) -> list[str]:
    """Return the names in a module's ``__all__``, without importing it.

    Example:
        >>> "MLP" in exported("lifelong.networks")
        True
    """
    tree = module_tree(module)
    for node in tree.body if tree else ():
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return list(ast.literal_eval(node.value))
    return []


def _docstring(definition: ast.AST) -> str:
    text = ast.get_docstring(definition) if isinstance(definition, ast.ClassDef | ast.FunctionDef | ast.Module) else ""
    return text or ""


def _find(module: str, name: str, seen: frozenset[tuple[str, str]]) -> tuple[Definition, str] | None:
    if (module, name) in seen or (tree := module_tree(module)) is None:
        return None
    seen |= {(module, name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return node, module
        if not isinstance(node, ast.ImportFrom):
            continue
        for alias in node.names:
            if (alias.asname or alias.name) == name and (home := _home(module, node)):
                return _find(home, alias.name, seen)
    return None


def _home(module: str, node: ast.ImportFrom) -> str:
    """Return the module of an import statement; a relative import is resolved within its package."""
    if not node.level:
        return node.module or ""
    file = _file(module)
    parts = module.split(".") if file is not None and file.name == "__init__.py" else module.split(".")[:-1]
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, node.module] if node.module else parts)


def _file(module: str) -> Path | None:
    """Return the file of a module, without importing its packages."""
    top, *rest = module.split(".")
    try:
        spec = find_spec(top)  # for a name without dots, this imports nothing
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not rest and spec.origin and spec.origin.endswith(".py"):
        return Path(spec.origin)
    for folder in spec.submodule_search_locations or ():
        path = Path(folder).joinpath(*rest)
        for file in (path / "__init__.py", path.with_suffix(".py")):
            if file.is_file():
                return file
    return None


def _parameters(function: ast.FunctionDef) -> list[str]:
    given = function.args
    return [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
