"""The compiler comes when something compiles, whole, and not before; each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGIN = """
import sys
from lifelong import lazy_compiler
lazy_compiler.put_off()
import torch
"""
TRAIN = """
from torch._dynamo import OptimizedModule
layer = torch.nn.Linear(2, 1)
adam = torch.optim.Adam(layer.parameters())
def step():
    adam.zero_grad()
    layer(torch.ones(3, 2)).sum().backward()
    torch.func.grad(lambda x: layer(x).sum())(torch.ones(3, 2))
    adam.step()
step()
"""


def run(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", BEGIN + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_lightning_and_an_optimizer_do_without_it_and_so_does_who_looks_through_all_modules() -> None:
    code = """
import inspect
from lightning.fabric.wrappers import _unwrap_compiled
print(isinstance(layer, OptimizedModule), _unwrap_compiled(layer)[0] is layer)
inspect.getmodule(step)
print(hasattr(sys.modules["torch._dynamo"], "__file__"))
print(lazy_compiler.is_put_off(), "torch._dynamo.utils" in sys.modules)
"""
    assert run(TRAIN + code) == ["False True", "False", "True False"]


def test_what_is_compiled_is_recognised_and_what_was_to_be_left_alone_is() -> None:
    code = """
stand_in = sys.modules["torch._dynamo"]
def told(x):
    return x + torch.compiler.is_compiling()
alone = lazy_compiler.disable(told, wrapping=False)
x = torch.ones(3, 2)
compiled = torch.compile(layer, backend="eager")
print(isinstance(compiled, OptimizedModule), isinstance(layer, OptimizedModule))
print(torch.equal(compiled(x), layer(x)), lazy_compiler.is_put_off())
step()
print(torch._dynamo is sys.modules["torch._dynamo"], hasattr(torch._dynamo, "explain"))
with stand_in.compiled_autograd._disable():
    print(torch._dynamo.compiled_autograd.active_disable_ctx)
print(*(torch.compile(lambda x: f(x) * 2, backend="eager")(torch.zeros(1)).item() for f in (alone, told)))
"""
    assert run(TRAIN + code) == ["True False", "True False", "True True", "True", "0.0 2.0"]


@pytest.mark.parametrize(
    "code", ["import torch._dynamo.utils; found = torch._dynamo.utils", "from torch._dynamo import utils as found"]
)
def test_its_parts_are_found_once_and_know_where_they_are_from(code: str) -> None:
    more = """
print(found is sys.modules["torch._dynamo.utils"] is torch._dynamo.utils, found.__spec__.loader is found.__loader__)
print(found.counters is torch._dynamo.convert_frame.counters, lazy_compiler.is_put_off())
"""
    assert run(f"{code}\n{more}") == ["True True", "True False"]


def test_a_part_that_it_does_not_import_itself_is_found_too_and_one_that_is_not_there_is_told() -> None:
    code = """
import torch._dynamo.testing
print(torch._dynamo.testing.CompileCounter.__name__)
try:
    import torch._dynamo.nothing_of_this_name
except ModuleNotFoundError as error:
    print(error)
"""
    assert run(code) == ["CompileCounter", "No module named 'torch._dynamo.nothing_of_this_name'"]


def test_where_it_is_there_already_it_stays() -> None:
    code = "import torch._dynamo as there; lazy_compiler.put_off(); print(sys.modules[lazy_compiler.NAME] is there)"
    assert run(f"del sys.modules[lazy_compiler.NAME]\n{code}") == ["True"]
