"""What is uploaded: wheel and sdist are built, checked, and the wheel works in an environment of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TOOLS = [name for name in ("build", "hatchling", "twine") if importlib.util.find_spec(name) is None]
FOLDER = "Scripts" if os.name == "nt" else "bin"
MOST_BYTES = 3_000_000
"""Of wheel and sdist: recorded runs, pictures and data sets do not belong there."""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(TOOLS), reason=f"needs {', '.join(TOOLS)}, of the extra dev"),
]


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command that must succeed, without the paths of this process, and return what it printed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LIFELONG"))}
    environment |= {"OMP_NUM_THREADS": "1", "LIFELONG_CACHE": str(cwd / "cache"), "PYTHONUTF8": "1"}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the sdist, and the wheel from it, with hatchling of this environment."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def bin_folder(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a fresh environment that finds the other packages in this one."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    python = folder / "venv" / FOLDER / "python"
    (site,) = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).split("\n")[:1]
    (wheel,) = built.glob("*.whl")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    # Behind the wheel on the path, and its own .pth files, an editable install of ours among them, are not read.
    others = dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
    Path(site, "others.pth").write_text("\n".join(others), encoding="utf-8")
    return python.parent


def python_says(bin_folder: Path, code: str, tmp_path: Path) -> str:
    return run(bin_folder / "python", "-c", code, cwd=tmp_path).strip()


def test_twine_finds_nothing_wrong(built: Path) -> None:
    printed = run(sys.executable, "-m", "twine", "check", "--strict", *sorted(built.iterdir()), cwd=built)
    assert printed.count("PASSED") == 2


def test_the_wheel_holds_packages_configs_and_types(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    configs = {path.relative_to(ROOT).as_posix() for path in (ROOT / "configs").rglob("*.yaml")}
    assert {f"lifelong/{name}" for name in configs} <= names
    assert {f"{package}/py.typed" for package in ("lifelong", "strategies", "datamodules")} <= names
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"lifelong", "strategies", "datamodules"}
    assert wheel.stat().st_size < MOST_BYTES


def test_the_sdist_holds_what_a_wheel_is_built_from(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "configs/default.yaml", "PKG-INFO"} <= names
    assert not {name for name in names if name.startswith(("runs", "docs", "benchmarks", "tests", "data/"))}
    assert sdist.stat().st_size < MOST_BYTES


def test_the_installed_version_is_that_of_pyproject(bin_folder: Path, tmp_path: Path) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = text.split('\nversion = "', 1)[1].partition('"')[0]
    place = python_says(bin_folder, "import lifelong; print(lifelong.__file__, lifelong.__version__)", tmp_path)
    assert str(bin_folder.parent) in place
    assert place.endswith(version)
    assert run(bin_folder / "lifelong", "--version", cwd=tmp_path).split()[1] == version


def test_installed_plug_ins_and_configs_are_found(bin_folder: Path, tmp_path: Path) -> None:
    code = "import importlib.metadata as m, json; print(json.dumps({g: sorted(e.name for e in m.entry_points(group=g))"
    groups = ("lifelong.learners", "lifelong.strategies", "lifelong.datamodules")
    found = json.loads(python_says(bin_folder, f"{code} for g in {groups}}}))", tmp_path))
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(f'\n{name} = "' in text for names in found.values() for name in names)
    assert sum(map(len, found.values())) == sum(text.count(f'= "{place}') for place in PLACES)
    listed = {line.split()[0] for line in run(bin_folder / "lifelong", "list", "configs", cwd=tmp_path).splitlines()}
    files = {path.relative_to(ROOT / "configs").with_suffix("") for path in (ROOT / "configs").rglob("*.yaml")}
    assert listed == {path.as_posix() for path in files}


PLACES = ("lifelong.learners:", "strategies:", "datamodules:")
"""Where classes lie that are announced."""


def test_an_installed_package_trains(bin_folder: Path, tmp_path: Path) -> None:
    options: Sequence[str] = ("--data.steps_per_experience=2", "--data.n_eval_tasks=2", "--run.name=first")
    quiet = ("--trainer.logger=false", "--trainer.accelerator=cpu")
    run(bin_folder / "python", "-m", "lifelong", "fit", *options, *quiet, cwd=tmp_path)
    results = json.loads((tmp_path / "runs/first/results.json").read_text(encoding="utf-8"))
    assert results["finished"]
    assert {path.name for path in tmp_path.iterdir()} <= {"runs", "cache"}
