"""``python -m lifelong serve RUN``: a local page on which a user teaches a model classes and gets predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lifelong.cli.command import Command
from lifelong.cli.loaded import device_of, load_run
from lifelong.serve.server import serve as serve_session
from lifelong.serve.session import Session


@dataclass(frozen=True)
class Serve:
    """Open a local page on which a model learns classes from a few examples of each, and predicts.

    Args:
        run: a run folder, a checkpoint, a file of ``adapt``, or ``last``: the newest run below runs/.
        host: address of the page; 0.0.0.0 is every address of this machine.
        port: port of the page; 0 chooses a free one.
        device: ``auto``, ``cpu``, ``cuda``, ….
        trust: import every class that the run's config names.
    """

    run: str
    host: str = "127.0.0.1"
    port: int = 0
    device: str = "auto"
    trust: bool = False


COMMAND = Command("serve", Serve)


def serve(args: Sequence[str]) -> None:
    """Serve the page until the program is interrupted.

    Args:
        args: the command line after ``serve``.

    Raises:
        ArgumentError: when an option is unknown.
        ValueError: when there is no such model, or the address is not available.
    """
    asked = COMMAND.parse(args)
    device = device_of(asked.device)
    model = load_run(asked.run, asked.trust).model
    serve_session(Session(model.to(device)), asked.host, asked.port)
