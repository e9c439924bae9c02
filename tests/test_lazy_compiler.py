"""The compiler comes when something compiles, whole, and not before; each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
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
    "code",
    [
        "import torch._dynamo.utils; found = torch._dynamo.utils",
        "from torch._dynamo import utils as found",
        "import torch._dynamo.config as found",  # which refuses to have attributes set
    ],
)
def test_its_parts_are_found_once_and_know_where_they_are_from(code: str) -> None:
    more = """
part = found.__name__.rpartition(".")[2]
print(found is sys.modules[found.__name__] is getattr(torch._dynamo, part), found.__spec__.origin == found.__file__)
print(torch._dynamo.utils.counters is torch._dynamo.convert_frame.counters, lazy_compiler.is_put_off())
"""
    assert run(f"{code}\n{more}") == ["True True", "True False"]


def test_torch_and_users_who_ask_otherwise_get_the_compiler() -> None:
    code = """
import importlib.util, pickle
from torch._dynamo import graph_break
print(importlib.util.find_spec("torch._dynamo") is not None, lazy_compiler.is_put_off())
@torch.compiler.disable
def told(x):
    return x
print(told.__name__, pickle.loads(pickle.dumps(told)) is told, lazy_compiler.is_put_off())
class Left(torch.nn.Linear):
    pass
left = torch.compiler.disable(Left(2, 1))
print(isinstance(left, torch.nn.Module), len(list(left.parameters())), lazy_compiler.is_put_off())
from torch._dynamo.testing import CompileCounter
seen = CompileCounter()
def broken(x):
    x = x + 1
    graph_break()
    return x * 2
torch.compile(broken, backend=seen)(torch.ones(1))
print(seen.frame_count)
"""
    assert run(code) == ["True True", "told True True", "True 2 False", "2"]


def test_two_threads_that_ask_at_once_get_the_same() -> None:
    code = """
import threading, time
found, is_put_off = [], lazy_compiler.is_put_off
def slowly():  # time enough for the other to be told the same
    answer = is_put_off()
    time.sleep(0.2)
    return answer
lazy_compiler.is_put_off = slowly
def ask():
    found.append(lazy_compiler.compiler())
threads = [threading.Thread(target=ask) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(found), found[0] is found[1] is torch._dynamo, hasattr(found[0], "explain"))
"""
    assert run(code) == ["2 True True"]


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
