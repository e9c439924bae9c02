"""Nothing that is read can run code: no call is there that would unpickle, evaluate, unpack or download unchecked."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_layout import FILES, ROOT, name_of

NEEDS = {
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "from_pretrained": ("trust_remote_code", False),
}
"""Calls that are safe with an argument alone."""
TEXT_ALONE = "yaml.BaseLoader"
"""As second argument of yaml.load: it makes nothing but strings, lists and dictionaries, less than safe_load."""
NEVER = (
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.hub.load", "torch.jit.load",
    "pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.loads", "shelve.open", "joblib.load",
    "yaml.load", "yaml.full_load", "yaml.unsafe_load", "shutil.unpack_archive",
    "gzip.decompress", "lzma.decompress", "zlib.decompress", "urllib.request.urlopen", "urllib.request.urlretrieve",
    "requests.get", "ssl._create_unverified_context",
)  # fmt: skip
METHODS = ("extractall", "extract")
"""The same, of whatever object."""
OTHERS = [file for folder in ("benchmarks", "examples") for file in sorted((ROOT / folder).rglob("*.py"))]


def dotted(node: ast.expr) -> str:
    return ast.unparse(node) if isinstance(node, (ast.Name, ast.Attribute)) else getattr(node, "attr", "")


def unsafe(tree: ast.AST) -> Iterator[str]:
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in documentation and str(node.value).startswith("http://"):
            yield f"{node.value} is no address over TLS"
        if not isinstance(node, ast.Call):
            continue
        name, given = dotted(node.func), {word.arg: word.value for word in node.keywords}
        last = node.func.attr if isinstance(node.func, ast.Attribute) else name
        reads_text = name == "yaml.load" and [ast.unparse(word) for word in node.args[1:]] == [TEXT_ALONE]
        if (name in NEVER and not reads_text) or last in METHODS:
            yield f"{name} is called"
        if "shell" in given:
            yield f"{name} starts a shell"
        for call in (name, last):
            if call in NEEDS and not is_constant(given.get(NEEDS[call][0]), NEEDS[call][1]):
                yield f"{name} is called without {NEEDS[call][0]}={NEEDS[call][1]}"


def is_constant(node: ast.expr | None, value: bool) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


@pytest.mark.parametrize("file", [*FILES, *OTHERS], ids=name_of)
def test_no_call_can_run_what_it_reads(file: Path) -> None:
    assert list(unsafe(ast.parse(file.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize(
    "code",
    [
        "torch.load(path)", "torch.load(path, weights_only=False)", "np.load(path)", "np.load(path, allow_pickle=True)",
        "yaml.load(text)", "yaml.load(text, yaml.Loader)", "pickle.loads(data)", "eval(text)",
        "archive.extractall(folder)",
        "auto().from_pretrained(x)",        "urllib.request.urlopen(url)", "subprocess.run(line, shell=True)", "URL = 'http://localhost/'",
        "file.extract(member)",
    ],
)  # fmt: skip
def test_an_unsafe_call_is_found(code: str) -> None:
    assert len(list(unsafe(ast.parse(code)))) == 1


@pytest.mark.parametrize(
    "code",
    ["torch.load(path, weights_only=True)", "network.eval()", "np.load(path, allow_pickle=False)", "yaml.safe_load(x)"],
)
def test_a_safe_call_is_left_alone(code: str) -> None:
    assert list(unsafe(ast.parse(code))) == []
