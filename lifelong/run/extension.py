"""The extension of a finished run: the sources of its longer stream, available or absent, and new ones."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.fabric.utilities.rank_zero import rank_zero_only

from lifelong.data.absent import Absent
from lifelong.data.record import DomainRecord
from lifelong.data.source import Source
from lifelong.data.stream_datamodule import StreamDataModule
from lifelong.evaluation.results import RESULTS
from lifelong.training.checkpoint import StreamCheckpoint
from lifelong.utilities.checkpoint_file import newest_whole, read_run_checkpoint
from lifelong.utilities.quiet import say
from lifelong.utilities.recording import record


class Learnt:
    """Read from a run's newest checkpoint what the run has learnt of its stream.

    Args:
        folder: the run folder.

    Raises:
        ValueError: when there is no complete checkpoint, or the checkpoint does not record its domains.
    """

    def __init__(self, folder: Path) -> None:
        newest = newest_whole(folder / "checkpoints")
        if newest is None:
            raise ValueError(f"{folder} is no run folder with a whole checkpoint: give the folder of a finished run")
        state = read_run_checkpoint(newest)
        self.checkpoint = str(newest)
        """The path of the checkpoint."""
        self.domains = [DomainRecord.from_dict(content) for content in state["lifelong"].get("domains", ())]
        if not self.domains:
            raise ValueError(f"{newest} is of a version of lifelong that kept no record of its domains: run it again")
        ended = state["callbacks"].get(StreamCheckpoint.__qualname__, {}).get("ended")
        self.is_finished = ended is not None and ended + 1 == sum(domain.is_learnt for domain in self.domains)
        """Whether all experiences of its stream were learnt."""
        results = folder / RESULTS
        self.is_reported = results.is_file() and bool(json.loads(results.read_text(encoding="utf-8"))["finished"])
        """Whether the results of the whole stream were written: a run may be killed before that."""

    @property
    def n_sources(self) -> int:
        """Return the number of sources in the stream of the checkpoint."""
        return 1 + max(domain.source for domain in self.domains if domain.is_learnt)

    def without_examples(self, source: int) -> Absent:
        """Return the placeholder for a source whose data are not available, by the source's index."""
        return Absent([r.to_dict() for r in self.domains if r.source == source and r.is_learnt])

    def check_finished(self, folder: Path) -> None:
        """Refuse to extend a stream that is not learnt to its end.

        Raises:
            ValueError: naming the command that continues the run.
        """
        if not self.is_finished:
            raise ValueError(
                f"the stream of {folder} is not learnt to its end: go on with it first, by python -m lifelong extend "
                f"{folder} (in Python run.extend([])) without new sources"
            )


def check_extends(joint: bool, folder: Path) -> None:
    """Refuse to extend a stream that is one joint experience of all domains.

    Args:
        joint: whether the stream is joint.
        folder: the run folder, for the message.

    Raises:
        ValueError: when the stream is joint.
    """
    if joint:
        raise ValueError(
            f"{folder} has learnt all domains at once (--data.joint), so nothing can come after them: fit a stream of "
            "all sources anew"
        )


def say_what_is_learnt(data: StreamDataModule) -> None:
    """Print which domains are learnt and which of them have no data available.

    Args:
        data: the longer stream.
    """
    if rank_zero_only.rank != 0:  # type: ignore[attr-defined]
        return
    names = [data.stream.domains[number] for number in range(data.stream.n_learnt)]
    say(f"the stream: {' → '.join(names)}")
    if data.stream.absent:
        absent = "; ".join(data.stream.domains[number] for number in sorted(data.stream.absent))
        say(f"not at hand, and so not evaluated: {absent}")


def longer_sources(
    old: Sequence[Mapping[str, Any]], given: Sequence[Mapping[str, Any]], learnt: Learnt, folder: Path
) -> list[Mapping[str, Any]]:
    """Return the sources of the longer stream, in the form of a config.

    An old source that is not given again is replaced by :class:`~lifelong.data.absent.Absent` in the same position.
    Repeating a command line continues what it began; if everything is learnt already, it writes the report again.

    Args:
        old: the sources in the run's config.
        given: the given sources: old ones whose data are available, then new ones.
        learnt: what the checkpoint has learnt.
        folder: the run folder, for messages.

    Raises:
        ValueError: when there is nothing to learn, or a new source is given before the stream is learnt to its end.
    """
    if len(old) < learnt.n_sources:
        raise ValueError(f"the run in {folder} has gone on meanwhile: load it anew, by lifelong.load({str(folder)!r})")
    kept = [source for source in given if source in old]
    new = [source for source in given if source not in old]
    has_begun = len(old) > learnt.n_sources or not (learnt.is_finished and learnt.is_reported)
    if not new and (has_begun or list(given) != list(old)):
        return list(old)
    if not new:
        raise ValueError(
            f"the stream of {folder} is learnt to its end, and no new source is given: add one by --data.sources+=…"
        )
    learnt.check_finished(folder)
    if len(old) > learnt.n_sources:
        raise ValueError(
            f"{folder} has begun to learn other sources: go on first, by python -m lifelong extend {folder}"
        )
    places = range(len(old))
    return [old[i] if old[i] in kept else record(learnt.without_examples(i), "data", []) for i in places] + new


def objects_of_longer(old: Sequence[Source], new: Sequence[Source], keep_old: bool, folder: Path) -> list[Source]:
    """Return the sources of the longer stream as objects; see :func:`longer_sources`.

    Args:
        old: the sources of the run.
        new: the sources that follow them. None are needed to continue a longer stream that was begun.
        keep_old: whether the data of the old sources are available.
        folder: the run folder.

    Raises:
        ValueError: when there is nothing to learn, or a new source is given before the stream is learnt to its end.
    """
    keyed = [(_key(source), source) for source in (*old, *new)]
    keys_of_old = [key for key, _ in keyed[: len(old)]]
    keys_of_new = [key for key, _ in keyed[len(old) :]]
    given = keys_of_old + keys_of_new if keep_old or not new else keys_of_new
    chosen = longer_sources(keys_of_old, given, Learnt(folder), folder)
    return [next((s for k, s in keyed if k == key), None) or Absent(**key["init_args"]) for key in chosen]


def _key(source: Source) -> Mapping[str, Any]:
    """Return a source's config, by which sources are compared; if it is incomplete, identify the object itself."""
    missing: list[str] = []
    content: Mapping[str, Any] = record(source, "source", missing)
    return {"source": id(source)} if missing else content
