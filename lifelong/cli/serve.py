"""``python -m lifelong serve RUN``: a page on this machine on which a person teaches a model and asks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lifelong.cli.command import Command
from lifelong.cli.loaded import device_of, load_run
from lifelong.serve.server import serve as serve_session
from lifelong.serve.session import Session


@dataclass(frozen=True)
class Serve:
    """Open a page on this machine on which a model is taught classes by a few examples of each, and asked.

    Args:
        run: a run folder, a checkpoint, a file of ``adapt``, or ``last``: the newest run below runs/.
        host: the address that the page is reached at; 0.0.0.0 is every address of this machine.
        port: 0 takes a free one.
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
    """Serve the page until it is interrupted.

    Args:
        args: what follows ``serve``.

    Raises:
        ArgumentError: when an option is unknown.
        ValueError: when there is no such model, or the address cannot be had.
    """
    asked = COMMAND.parse(args)
    device = device_of(asked.device)
    model = load_run(asked.run, asked.trust).model
    serve_session(Session(model.to(device)), asked.host, asked.port)
