"""The MLflow run of a run folder: what its record says and the run lacks is sent, each thing once."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any

from calogan.redaction import redact
from calogan.tracking.history import Line, read_lines
from calogan.tracking.record import Note, RunRecord, file_digest, safe_name
from calogan.tracking.store import Failures, missing_as_none

__all__ = ["Mirror", "Sent", "kept_run"]

_PARAMS_A_BATCH = 100
_METRICS_A_BATCH = 1000
_RECORD_TAG = "calogan.record"
_PARENT_TAG = "mlflow.parentRunId"


@dataclass
class Sent:
    """How much was sent; false if nothing was.

    Attributes:
        params: Settings.
        tags: Tags.
        datasets: Descriptions of data.
        metrics: Values of metrics.
        artifacts: Files.
        states: Changes of the run's status.
        missing: Files that are to be copied and are not there.
    """

    params: int = 0
    tags: int = 0
    datasets: int = 0
    metrics: int = 0
    artifacts: int = 0
    states: int = 0
    missing: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether anything was sent."""
        return any(getattr(self, one.name) for one in fields(self) if one.name != "missing")

    def __str__(self) -> str:
        """The counts in words."""
        counts = {"params": self.params, "metrics": self.metrics, "tags": self.tags, "artifacts": self.artifacts}
        return ", ".join(f"{count} {name}" for name, count in counts.items())


class _Values:
    """The latest value that a metric has in MLflow at each step, with its moment.

    Lines are sent in the order of their moments: what is older than the latest value was sent before it.
    """

    def __init__(self, metrics: Iterable[Any]) -> None:
        self._latest: dict[int, tuple[int, float]] = {}
        for metric in metrics:
            self.adds(metric.step, metric.timestamp, metric.value)

    def adds(self, step: int, moment: int, value: float) -> bool:
        """Count a value in; tell whether it is new."""
        known = self._latest.get(step)
        if known is not None and (moment <= known[0] or _same(value, known[1])):
            return False
        self._latest[step] = (moment, value)
        return True


class Mirror:
    """The MLflow run of a run folder, which is looked for, or made, at the first `send`.

    After a failure, `send` of the same mirror must not be called again: a request without an answer may have been
    carried out, and only a new mirror asks MLflow what it has.

    Args:
        client: MLflow's client of the store.
        failures: What it raises when the store fails.
        progress: Called after each request that is answered.
    """

    def __init__(self, client: Any, failures: Failures, progress: Callable[[], None] = lambda: None) -> None:
        self._client, self._failures, self._progress = client, failures, progress
        self._note: Note | None = None
        self._is_new = False
        self._params: set[str] = set()
        self._tags: dict[str, str] = {}
        self._datasets: set[str] = set()
        self._state: tuple[str, int | None] = ("", None)
        self._values: dict[str, _Values] = {}
        self._read: dict[Path, tuple[int, int]] = {}  # inode and byte up to which a history is sent
        self._stamps: dict[str, tuple[int, int]] = {}

    @property
    def run_id(self) -> str:
        """MLflow's id of the run."""
        assert self._note is not None, "known after the first send"
        return self._note.run_id

    def send(self, record: RunRecord) -> Sent:
        """Send what the record has and the run lacks.

        Raises:
            Exception: One of the failures: the store does not answer, or refuses.
        """
        note = self._note or self._open(record)
        sent = Sent()
        sent.tags = self._send_tags(record)
        sent.params = self._send_params(record)
        sent.datasets = self._send_dataset(record)
        for name, last in record.histories.items():
            sent.metrics += self._send_history(record.folder / name, last)
        try:
            self._send_artifacts(record, note, sent)
        finally:  # a run whose files cannot be copied has ended, too
            sent.states = self._send_state(record)
        if record.status != "RUNNING" and (mark := record.mark()) != note.complete:
            note.complete = mark if self._is_whole(record) else ""
            note.save(record.folder)
        return sent

    def _open(self, record: RunRecord) -> Note:
        run = kept_run(self._client, record.folder, self._failures)
        note = Note.read(record.folder) if run is not None else None
        if run is None:
            experiment = self._experiment(record.experiment)
            run = self._lost_run(experiment, record) or self._new_run(experiment, record)
        self._progress()
        self._params, self._tags = set(run.data.params), dict(run.data.tags)
        self._datasets = {one.dataset.digest for one in run.inputs.dataset_inputs} if run.inputs else set()
        self._state = (run.info.status, run.info.end_time)
        if note is None:
            note = Note(str(run.info.run_id), redact(self._client.tracking_uri))
            note.save(record.folder)
        self._note = note
        return note

    def _experiment(self, name: str) -> str:
        """Id of an experiment; of several jobs that begin together one makes it."""
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            try:
                return str(self._client.create_experiment(name))
            except self._failures[0] as error:
                if getattr(error, "error_code", "") != "RESOURCE_ALREADY_EXISTS":
                    raise
                experiment = self._client.get_experiment_by_name(name)
        return str(experiment.experiment_id)

    def _lost_run(self, experiment: str, record: RunRecord) -> Any:
        """The run that was made by a request whose answer was lost."""
        found = self._client.search_runs([experiment], f"tags.`{_RECORD_TAG}` = '{record.id}'", max_results=1)
        return found[0] if found else None

    def _new_run(self, experiment: str, record: RunRecord) -> Any:
        self._is_new = True
        tags = {_RECORD_TAG: record.id}
        return self._client.create_run(experiment, start_time=record.start, tags=tags, run_name=record.name)

    def _send_tags(self, record: RunRecord) -> int:
        from mlflow.entities import RunTag

        wanted = {**record.tags, _RECORD_TAG: record.id, **self._parent(record)}
        new = {name: value for name, value in wanted.items() if self._tags.get(name) != value}
        if new:
            self._client.log_batch(self.run_id, tags=[RunTag(name, value) for name, value in new.items()])
            self._progress()
            self._tags |= new
        return len(new)

    def _parent(self, record: RunRecord) -> dict[str, str]:
        """The tag that puts the run below another one, once that is in MLflow."""
        note = Note.read(record.folder / record.parent) if record.parent is not None else None
        return {} if note is None else {_PARENT_TAG: note.run_id}

    def _is_whole(self, record: RunRecord) -> bool:
        return record.parent is None or _PARENT_TAG in self._tags

    def _send_params(self, record: RunRecord) -> int:
        from mlflow.entities import Param

        new = [Param(name, value) for name, value in record.params.items() if name not in self._params]
        for start in range(0, len(new), _PARAMS_A_BATCH):
            batch = new[start : start + _PARAMS_A_BATCH]
            self._client.log_batch(self.run_id, params=batch)
            self._progress()
            self._params |= {param.key for param in batch}
        return len(new)

    def _send_dataset(self, record: RunRecord) -> int:
        """Record the training data as an input of the run; the digest is cut at MLflow's 36 characters."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        data = record.dataset
        if data is None or data["digest"][:36] in self._datasets:
            return 0
        files, counts = json.dumps({"files": data["source"]}), json.dumps(data["counts"])
        dataset = Dataset(data["name"], data["digest"][:36], "local", files, profile=counts)
        self._client.log_inputs(self.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
        self._progress()
        self._datasets.add(dataset.digest)
        return 1

    def _send_history(self, path: Path, last: int | None) -> int:
        from mlflow.entities import Metric

        if not path.exists():
            return 0
        inode, (known, start) = path.stat().st_ino, self._read.get(path, (0, 0))
        start = start if inode == known else 0  # a training that goes on writes the file again
        count, batch = 0, list[Any]()
        for line in _until(read_lines(path, start), last):
            start = line.end
            for name, value in line.figures.items():
                key = safe_name(name)
                if self._known(key).adds(line.step, line.time, value):
                    batch.append(Metric(key, value, line.time, line.step))
            if len(batch) >= _METRICS_A_BATCH:
                count += self._send_metrics(batch)
                batch = []
        count += self._send_metrics(batch)
        self._read[path] = (inode, start)
        return count

    def _send_metrics(self, batch: list[Any]) -> int:
        for start in range(0, len(batch), _METRICS_A_BATCH):
            self._client.log_batch(self.run_id, metrics=batch[start : start + _METRICS_A_BATCH])
            self._progress()
        return len(batch)

    def _known(self, key: str) -> _Values:
        if key not in self._values:
            known = [] if self._is_new else self._client.get_metric_history(self.run_id, key)
            self._values[key] = _Values(sorted(known, key=lambda metric: metric.timestamp))
            self._progress()
        return self._values[key]

    def _send_artifacts(self, record: RunRecord, note: Note, sent: Sent) -> None:
        for place, path in record.files().items():
            try:
                status = path.stat()
            except FileNotFoundError:
                sent.missing.append(str(path))
                continue
            stamp = (status.st_mtime_ns, status.st_size)
            if self._stamps.get(place) == stamp:
                continue
            digest = file_digest(path)
            if note.artifacts.get(place) != digest:
                self._copy(path, PurePosixPath(place))
                note.artifacts[place] = digest
                note.save(record.folder)
                sent.artifacts += 1
            self._stamps[place] = stamp

    def _copy(self, path: Path, place: PurePosixPath) -> None:
        """Copy a file, which MLflow calls as it is called here."""
        assert path.name == place.name, "places end in the names of files"
        folder = str(place.parent) if place.parent.name else None
        self._client.log_artifact(self.run_id, str(path), folder)
        self._progress()

    def _send_state(self, record: RunRecord) -> int:
        state = (record.status, record.end)
        if state == self._state or (record.status == "RUNNING" and self._state[0] == "RUNNING"):
            return 0
        if record.status == "RUNNING":
            self._client.update_run(self.run_id, status="RUNNING")
        else:
            self._client.set_terminated(self.run_id, record.status, end_time=record.end)
        self._progress()
        self._state = state
        return 1


def kept_run(client: Any, folder: Path, failures: Failures) -> Any:
    """The run that a run folder names, or None if it names none that is there."""
    note = Note.read(folder)
    run = None if note is None else missing_as_none(client.get_run, note.run_id, failures)
    return run if run is not None and run.info.lifecycle_stage == "active" else None


def _until(lines: Iterator[Line], last: int | None) -> Iterator[Line]:
    for line in lines:
        if last is not None and line.step > last:
            return
        yield line


def _same(first: float, second: float) -> bool:
    return first == second or (math.isnan(first) and math.isnan(second))
