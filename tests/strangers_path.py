"""The path of a stranger, timed: from a clone to a first result, to answers about own photos, to a strategy compared.

Every command is copied from README.md and docs/start/install.md as it stands, and run in a fresh clone:

    python -m tests.strangers_path --folder /tmp/stranger --record benchmarks/results/measured/strangers_path.yaml

makes a virtual environment there, trains at full size and records the seconds. With ``--quick`` the environment at hand
is used and trainings are cut to a few steps; the slow tests run that. Needs nothing but Python and git.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent.parent
QUICK = "--data.steps_per_experience=2 --data.n_eval_tasks=3 --trainer.logger=false"
"""Appended to commands that train."""
PHOTOS = """
from pathlib import Path
from tests.drawn_photos import FRUIT, write_photos
kinds = list(FRUIT)
write_photos(Path("photos/orchard"), kinds[:5], range(12))
write_photos(Path("photos/workshop"), kinds[5:], range(12))
write_photos(Path("more/market"), kinds[2:7], range(20, 32))
write_photos(Path("support"), kinds[3:6], range(40, 45))
write_photos(Path("new_photos"), kinds[3:6], range(50, 53))
"""
"""The stranger's own photos: two sites of five classes, a third for next week, and three classes to be told apart."""
STEPS = (
    ("install", "docs/start/install.md", "Install"),
    ("first result", "README.md", "Install"),
    ("own photos answered", "README.md", "Your own photos"),
    ("own strategy compared", "README.md", "A strategy of your own"),
)
"""What is reached, and the document and heading whose first block of commands reaches it."""


def commands(document: Path, heading: str) -> list[str]:
    """Return the lines of the first ``sh`` block below a heading, continued lines joined."""
    text = re.split(rf"^#+ {re.escape(heading)}\n", document.read_text(encoding="utf-8"), flags=re.M)[1]
    block = text.split("```sh\n", 1)[1].split("```", 1)[0]
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def files(document: Path) -> dict[str, str]:
    """Return the Python files that a document shows, by the name in their first line."""
    return dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", document.read_text(encoding="utf-8"), flags=re.S))


def walk(folder: Path, quick: bool) -> Iterator[dict[str, object]]:
    """Run the whole path in ``folder/clone`` and yield each command with its seconds and what it printed.

    Raises:
        RuntimeError: a command failed, with what it printed.
    """
    clone = folder / "clone"
    started = time.perf_counter()
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    yield {"step": "clone", "command": "git clone", "seconds": time.perf_counter() - started, "printed": ""}
    environment = _environment(clone, quick)
    for step, document, heading in STEPS:
        if step == "own photos answered":
            _run(f"{shlex.quote(_python(clone, quick))} -c {shlex.quote(PHOTOS)}", clone, environment)
        if step == "own strategy compared":
            (clone / "my_strategy.py").write_text(files(clone / document)["my_strategy.py"], encoding="utf-8")
        lines = commands(clone / document, heading)
        if quick:
            lines = [_shortened(line) for line in lines if _is_possible(line)]
        for line in lines:
            started = time.perf_counter()
            run = _ask_page if " serve " in line else _run
            printed = run(line, clone, environment)
            yield {"step": step, "command": line, "seconds": time.perf_counter() - started, "printed": printed}


def _python(clone: Path, quick: bool) -> str:
    return sys.executable if quick else str(clone / ".venv" / "bin" / "python")


def _environment(clone: Path, quick: bool) -> dict[str, str]:
    # What activating the environment does, for commands that each run in a shell of their own.
    folder = Path(sys.executable).parent if quick else clone / ".venv" / "bin"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LIFELONG_", "PYTHONPATH"))}
    own = {"PATH": f"{folder}{os.pathsep}{kept['PATH']}", "WANDB_MODE": "offline"}
    own["LIFELONG_CACHE"] = str(clone.parent / "cache")
    return kept | own | ({"PYTHONPATH": str(clone)} if quick else {})


def _is_possible(line: str) -> bool:
    """Tell whether a command can be run in the environment at hand, which is not to be changed."""
    needs = {"export": "onnxruntime", "serve": "starlette"}
    missing = [command for command, package in needs.items() if find_spec(package) is None]
    return not re.match(r"(pip|python3 -m venv|\. )", line) and not any(f"lifelong {name} " in line for name in missing)


def _shortened(line: str) -> str:
    command = line.split("  #")[0]
    return f"{command} {QUICK}" if re.match(r"python -m lifelong (fit|extend) ", f"{command} ") else command


def _run(line: str, clone: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-c", line], cwd=clone, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode != 0:
        raise RuntimeError(f"{line} ended with exit code {done.returncode}:\n{done.stdout[-3000:]}")
    return done.stdout


def _ask_page(line: str, clone: Path, environment: dict[str, str]) -> str:
    # The page is there until it is stopped, as by Ctrl-C.
    with subprocess.Popen(
        ["bash", "-c", f"exec {line}"],
        cwd=clone,
        env=environment | {"PYTHONUNBUFFERED": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        printed = ""
        for text in process.stdout:
            printed += text
            if address := re.search(r"http://[\w.:]+", text):
                with urllib.request.urlopen(address[0]) as page:
                    printed += f"\n{page.status} {page.headers['content-type']}"
                process.send_signal(signal.SIGINT)
                break
        process.stdout.read()
    if "200 text/html" not in printed:
        raise RuntimeError(f"{line} showed no page:\n{printed}")
    return printed


def record(walked: list[dict[str, object]]) -> str:
    """Return the seconds of each step as a record of what was measured, in YAML (which every JSON is)."""
    seconds: dict[str, float] = {}
    for part in walked:
        seconds[str(part["step"])] = seconds.get(str(part["step"]), 0) + float(str(part["seconds"]))
    seconds["in all"] = sum(seconds.values())
    content = {
        "about": "From a clone to a first result, to answers about own photos, to a strategy compared with Replay: "
        "every command of README.md as it stands, in a fresh clone and a fresh virtual environment.",
        "command": "python -m tests.strangers_path --folder FOLDER --record FILE",
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, packages from an index nearby",
        "tables": {"steps": {"columns": ["seconds"], "rows": {step: [round(time)] for step, time in seconds.items()}}},
    }
    heading = "# As printed when it was measured; python -m benchmarks.figures writes it into the documents.\n"
    return heading + json.dumps(content, indent=1) + "\n"


def main() -> None:
    """Walk the path, print each command with its seconds, and write ``path.json`` into the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="an empty folder to work in")
    parser.add_argument("--quick", action="store_true", help="this environment, and a few steps of training")
    parser.add_argument("--record", type=Path, help="where the seconds of the steps are recorded")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    walked = []
    for part in walk(arguments.folder, arguments.quick):
        walked.append(part)
        print(f"{part['seconds']:7.1f} s  {part['step']}: {part['command']}", flush=True)
    (arguments.folder / "path.json").write_text(json.dumps(walked, indent=1), encoding="utf-8")
    if arguments.record:
        arguments.record.write_text(record(walked), encoding="utf-8")
    print(f"{sum(float(str(part['seconds'])) for part in walked):7.1f} s  in all")


if __name__ == "__main__":
    main()
