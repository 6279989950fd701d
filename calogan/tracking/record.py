"""What a run folder keeps of its run, to be sent to MLflow at once or later; there are no secrets in it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from calogan.atomic import write_atomically
from calogan.config import Config
from calogan.errors import StoreError
from calogan.redaction import redact
from calogan.tracking.store import store_uri

__all__ = [
    "FIGURES",
    "MACHINE",
    "REQUIREMENTS",
    "TRAINING",
    "Attempt",
    "Note",
    "RunRecord",
    "Status",
    "file_digest",
    "safe_name",
]

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]

TRAINING = "train/metrics.jsonl"
FIGURES = "tracking/figures.jsonl"
MACHINE = "tracking/machine.jsonl"
REQUIREMENTS = "tracking/requirements.txt"
_RECORD, _NOTE = "tracking/record.json", "mlflow.json"
_LONGEST_VALUE = 6000
_UNSAFE = re.compile(r"[^\w\-. :/]")


@dataclass
class Attempt:
    """One command on the run folder.

    Attributes:
        start: When it began [ms since 1970].
        host: Machine.
        command: Command line.
        job: Ids that the scheduler gave it, by name; none outside of a scheduler.
        end: When it ended [ms since 1970]; None while it works or if it was killed.
        status: What became of it.
    """

    start: int
    host: str
    command: str
    job: dict[str, str] = field(default_factory=dict)
    end: int | None = None
    status: Status = "RUNNING"


@dataclass
class RunRecord:
    """The run of a folder, as MLflow is to have it.

    The figures are in files of their own, see `history`; all else is in ``tracking/record.json``.

    Attributes:
        folder: Run folder.
        id: Tells this run from all others, also before MLflow has given it an id.
        name: Study.
        experiment: MLflow experiment.
        uri: Store that the configuration names.
        parent: Folder of the run that this one is a part of, relative to `folder`.
        params: Settings; the first value of each stays, as in MLflow.
        tags: What else is known.
        dataset: Name, digest, files and counts of the training data.
        artifacts: Files and folders to copy: place in MLflow -> path in the run folder.
        histories: Files of figures -> last step to send, beyond which the steps may be done again; None is all.
        attempts: Commands that worked on the folder, the first one first.
    """

    folder: Path
    id: str
    name: str
    experiment: str
    uri: str
    parent: str | None = None
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    dataset: dict[str, Any] | None = None
    artifacts: dict[str, str] = field(default_factory=dict)
    histories: dict[str, int | None] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)

    @classmethod
    def of(cls, config: Config) -> Self:
        """The record of a study's run folder, or a new one where there is none; of what it has, the store may change.

        Raises:
            StoreError: It is damaged.
        """
        uri = redact(store_uri(config))
        if uri.startswith("sqlite:///") and "?" not in uri:
            uri = f"sqlite:///{Path(uri.removeprefix('sqlite:///')).absolute()}"
        fresh = cls(config.run_dir, uuid.uuid4().hex, config.name, config.tracking.experiment, uri)
        try:
            record = cls.read(config.run_dir)
        except FileNotFoundError:
            record = fresh
        record.name, record.experiment, record.uri = fresh.name, fresh.experiment, fresh.uri
        return record

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The record in a run folder.

        Raises:
            FileNotFoundError: There is none.
            StoreError: It is damaged.
        """
        path = folder / _RECORD
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            attempts = [Attempt(**attempt) for attempt in values.pop("attempts")]
            return cls(folder, attempts=attempts, **values)
        except FileNotFoundError:
            raise
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            msg = f"{path}: damaged record: {' '.join(str(error).split())}; remove it, and run the same command again"
            raise StoreError(msg) from error

    @property
    def status(self) -> Status:
        """What became of the last attempt."""
        return self.attempts[-1].status

    @property
    def start(self) -> int:
        """When the first attempt began [ms since 1970]."""
        return self.attempts[0].start

    @property
    def end(self) -> int | None:
        """When the last attempt ended [ms since 1970]; None while it works."""
        return self.attempts[-1].end

    def begin(self, host: str, command: str, job: Mapping[str, str]) -> None:
        """Count an attempt."""
        self.attempts.append(Attempt(_now(), host, redact(command), dict(job)))
        self._describe_attempt()

    def finish(self, status: Status, end: int | None = None) -> None:
        """Say what became of the last attempt, and when [ms since 1970], by default now; all figures are to be sent."""
        self.attempts[-1].status, self.attempts[-1].end = status, _now() if end is None else end
        self.histories = dict.fromkeys(self.histories)
        self._describe_attempt()

    def add_params(self, params: Mapping[str, object]) -> None:
        """Add settings that are new."""
        for name, value in params.items():
            text = value if isinstance(value, str) else json.dumps(value)
            self.params.setdefault(safe_name(name), _cut(redact(text)))

    def add_tags(self, tags: Mapping[str, object]) -> None:
        """Set or replace tags."""
        self.tags.update({name: _cut(redact(str(value))) for name, value in tags.items()})

    def add_artifact(self, path: Path, place: str) -> None:
        """Add a file or a folder of the run folder, by its place in MLflow."""
        self.artifacts[place] = os.path.relpath(path, self.folder)

    def save(self) -> None:
        """Write the record as a whole.

        Raises:
            OSError: It cannot be written.
        """
        values = asdict(self)
        del values["folder"]
        path = self.folder / _RECORD
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (json.dumps(values, indent=1) + "\n").encode())

    def files(self) -> dict[str, Path]:
        """Files to copy by their places in MLflow, those in folders one by one; they may be missing.

        A history that is still written is left out.
        """
        found: dict[str, Path] = {}
        for place, name in self.artifacts.items():
            path = self.folder / name
            if path.is_dir():
                inside = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
                found |= {f"{place}/{file.relative_to(path).as_posix()}": file for file in inside}
            elif self.status != "RUNNING" or name not in self.histories:
                found[place] = path
        return found

    def mark(self) -> str:
        """Hash of all that is to be sent: two records with the same mark say the same."""
        digest = hashlib.sha256((self.folder / _RECORD).read_bytes())
        for name in self.histories:
            path = self.folder / name
            digest.update(f"{name} {path.stat().st_size if path.exists() else 0}\n".encode())
        for place, path in self.files().items():
            digest.update(f"{place} {file_digest(path) if path.exists() else None}\n".encode())
        return digest.hexdigest()

    def last_change(self) -> int:
        """When the folder was last written to by the work itself [ms since 1970]."""
        files = [self.folder / name for name in (_RECORD, *self.histories)]
        return max(round(1000 * file.stat().st_mtime) for file in files if file.exists())

    def _describe_attempt(self) -> None:
        attempt = self.attempts[-1]
        begun = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(attempt.start / 1000))
        job = ", ".join(f"{name} {value}" for name, value in attempt.job.items()) or "no scheduler"
        text = f"{begun} on {attempt.host}, {job}: {attempt.status}"
        self.add_tags({f"calogan.attempt.{len(self.attempts)}": text, "calogan.attempts": len(self.attempts)})


@dataclass
class Note:
    """What is known of the run in MLflow, in ``mlflow.json``.

    Attributes:
        run_id: MLflow's id of the run.
        tracking_uri: Store that it is in.
        artifacts: SHA-256 of the files that are there, by place.
        complete: `RunRecord.mark` of the record that it has the whole of; empty if it does not.
    """

    run_id: str
    tracking_uri: str
    artifacts: dict[str, str] = field(default_factory=dict)
    complete: str = ""

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """The note in a run folder; None if there is none, or none that can be read."""
        try:
            values = json.loads((folder / _NOTE).read_text(encoding="utf-8"))
            known = {key: values[key] for key in ("artifacts", "complete") if key in values}
            return cls(values["run_id"], values.get("tracking_uri", ""), **known)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def save(self, folder: Path) -> None:
        """Write the note as a whole.

        Raises:
            OSError: It cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / _NOTE, (json.dumps(asdict(self), indent=1) + "\n").encode())


def safe_name(name: str) -> str:
    """A name of a param or a metric as MLflow takes it.

    Example:
        >>> safe_name("edges [mm]")
        'edges _mm_'
    """
    return _UNSAFE.sub("_", name)


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _now() -> int:
    return round(1000 * time.time())


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
