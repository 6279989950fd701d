"""The record of a run: kept in the run folder, and mirrored in MLflow while the work goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from calogan.atomic import write_atomically
from calogan.config import Config
from calogan.errors import StoreError, TrainingInterrupted
from calogan.progress import Reporter
from calogan.redaction import redact
from calogan.tracking.history import append_line
from calogan.tracking.machine import MachineWatch
from calogan.tracking.origin import command_line, host, origin_tags, requirements, scheduler_job
from calogan.tracking.record import FIGURES, MACHINE, REQUIREMENTS, TRAINING, RunRecord, Status
from calogan.tracking.sender import Sender
from calogan.tracking.store import load_mlflow, network_file_system, one_line, store_uri

__all__ = ["PARENT", "NullTracker", "RunTracker", "Tracker", "make_tracker", "tracked"]

PARENT = "CALOGAN_PARENT_RUN"
"""Variable that names the run folder which a run is a part of, such as that of a sweep."""


class Tracker(Protocol):
    """Where a stage sends what should be remembered of a run."""

    def log_params(self, params: Mapping[str, object]) -> None:
        """Remember settings by name."""

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Remember figures of one step; a figure that is already there is not sent again."""

    def log_training(self, last: int | None = None) -> None:
        """Remember the lines of the training's metrics.jsonl up to a step, beyond which it may do them again."""

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Copy a file into `folder`, or the content of a folder into `folder` (by default one of its name)."""

    def log_dataset(self, name: str, digest: str, source: Sequence[str], counts: Mapping[str, int]) -> None:
        """Remember the data: hash of the content, files, and showers in each split."""

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set or replace tags."""

    def finish(self, status: Status) -> None:
        """Send what is left and close the record."""

    def leave(self) -> None:
        """Send what is left, and leave the record open for a process that joins the attempt."""


class NullTracker:
    """Remembers nothing: for the processes of a training beside the first."""

    def log_params(self, params: Mapping[str, object]) -> None:
        """Drop the settings."""

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Drop the figures."""

    def log_training(self, last: int | None = None) -> None:
        """Drop the lines."""

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Copy nothing."""

    def log_dataset(self, name: str, digest: str, source: Sequence[str], counts: Mapping[str, int]) -> None:
        """Drop the data's hash."""

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Drop the tags."""

    def finish(self, status: Status) -> None:
        """Close nothing."""

    def leave(self) -> None:
        """Leave nothing."""


class RunTracker:
    """Keeps the record of a run folder in its files, from which a thread sends it.

    Args:
        record: The record; its attempt has begun.
        reporter: Warned, once, if the record cannot be kept.
    """

    def __init__(self, record: RunRecord, reporter: Reporter) -> None:
        self._record, self._reporter = record, reporter
        self._sender: Sender | None = None
        self._watch: MachineWatch | None = None
        self._unkept = False

    def send_to(self, sender: Sender, watch: MachineWatch) -> None:
        """Mirror the record in MLflow from now on, with the use of the machine."""
        self._sender, self._watch = sender, watch

    def log_params(self, params: Mapping[str, object]) -> None:
        """Remember settings that are new to the run; the first value of each stays."""
        self._change(lambda: self._record.add_params(params))

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Remember figures that the training's metrics.jsonl does not have, such as those of a validation."""
        self._keep(lambda: append_line(self._record.folder / FIGURES, step, metrics))

    def log_training(self, last: int | None = None) -> None:
        """Send the training's metrics.jsonl up to a step; by default all of it."""
        self._change(lambda: self._record.histories.update({TRAINING: last}))

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Copy a file, or the content of a folder, to the run's artifacts."""
        place = (folder or path.name) if path.is_dir() else "/".join(filter(None, (folder, path.name)))
        self._change(lambda: self._record.add_artifact(path, place))

    def log_dataset(self, name: str, digest: str, source: Sequence[str], counts: Mapping[str, int]) -> None:
        """Remember the training data as an input of the run."""
        data = {"name": name, "digest": digest, "source": [redact(file) for file in source], "counts": dict(counts)}
        self._change(lambda: setattr(self._record, "dataset", data))

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set or replace tags."""
        self._change(lambda: self._record.add_tags(tags))

    def finish(self, status: Status) -> None:
        """Close the record, stop watching the machine, and give MLflow some seconds for what is left."""
        if self._watch is not None:
            self._watch.stop()
        self._change(lambda: self._record.finish(status))
        self.leave()

    def leave(self) -> None:
        """Leave the record as it is, stop watching the machine, and give MLflow some seconds for what is left."""
        if self._watch is not None:
            self._watch.stop()
        if self._sender is not None:
            self._sender.close()

    def _change(self, change: Callable[[], object]) -> None:
        change()
        self._keep(self._record.save)

    def _keep(self, write: Callable[[], object]) -> None:
        try:
            write()
        except OSError as error:
            if not self._unkept:
                folder = self._record.folder / "tracking"
                self._reporter.warning(f"{folder}: the record cannot be kept: {error.strerror or error}")
            self._unkept = True


def make_tracker(config: Config, reporter: Reporter, parent: Path | None = None, *, joins: bool = False) -> Tracker:
    """Begin an attempt in the record of `config.run_dir`, which MLflow mirrors in one run.

    The store is `MLFLOW_TRACKING_URI` where that is set, else `config.tracking.uri`.

    Args:
        config: The study.
        reporter: Told about losses.
        parent: Run folder whose run this one is a part of; by default that of `CALOGAN_PARENT_RUN`, if it is set.
        joins: Go on in the attempt of another process that has left it open, if there is one.

    Returns:
        A tracker that is never in the way. Without MLflow, or with tracking disabled, it only keeps the record in the
        run folder, for `calogan runs sync`.
    """
    parent = parent or (Path(os.environ[PARENT]) if os.environ.get(PARENT) else None)
    try:
        record = _begun(config, reporter, parent, joins=joins)
    except OSError as error:
        reporter.warning(f"{config.run_dir / 'tracking'}: no record can be kept: {error.strerror or error}")
        return NullTracker()
    tracker = RunTracker(record, reporter)
    if not config.tracking.enabled:
        return tracker
    try:
        connect, failures = load_mlflow()
    except ImportError as error:
        reporter.message(
            f"no MLflow record ({one_line(error)}): pip install 'calogan[train]' for one; "
            f"calogan runs sync {config.run_dir} sends it later"
        )
        return tracker
    uri = store_uri(config)
    _warn_of_shared_file(uri, reporter)
    sender = Sender(config.run_dir, uri, connect, failures, reporter)
    tracker.send_to(sender, MachineWatch(config.run_dir / MACHINE, reporter))
    return tracker


@contextmanager
def tracked(config: Config, reporter: Reporter, parent: Path | None = None) -> Iterator[Tracker]:
    """Keep the run's record and close it with what became of the work: FINISHED, KILLED or FAILED."""
    tracker = make_tracker(config, reporter) if parent is None else make_tracker(config, reporter, parent)
    status: Status = "FAILED"
    try:
        yield tracker
        status = "FINISHED"
    except (KeyboardInterrupt, TrainingInterrupted):
        status = "KILLED"
        raise
    finally:
        tracker.finish(status)


def _begun(config: Config, reporter: Reporter, parent: Path | None, *, joins: bool) -> RunRecord:
    """The record with a new attempt, or one that is joined, in its file."""
    try:
        record = RunRecord.of(config)
    except StoreError as error:
        reporter.warning(f"{error}; a new record is begun")
        (config.run_dir / "tracking" / "record.json").unlink()
        record = RunRecord.of(config)
    if parent is not None:
        record.parent = os.path.relpath(parent, config.run_dir)
    job = scheduler_job()
    if not (joins and record.attempts and record.status == "RUNNING"):
        record.begin(host(), command_line(), job)
    record.add_tags({**origin_tags(), "calogan.config_digest": config.digest(), **job})
    record.histories = {TRAINING: 0, FIGURES: None, MACHINE: None, **record.histories}
    (config.run_dir / REQUIREMENTS).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(config.run_dir / REQUIREMENTS, requirements().encode())
    for name in (REQUIREMENTS, "tracking/record.json"):
        record.add_artifact(config.run_dir / name, name)
    record.save()
    return record


def _warn_of_shared_file(uri: str, reporter: Reporter) -> None:
    """SQLite's locks do not hold between machines: one job may damage what another one writes."""
    kind = network_file_system(uri) if scheduler_job() else None
    if kind is not None:
        reporter.warning(
            f"{uri} lies on a network file system ({kind}), where jobs that write together may damage it: set "
            "MLFLOW_TRACKING_URI to a server, or tracking.enabled=false and send the runs with calogan runs sync"
        )
