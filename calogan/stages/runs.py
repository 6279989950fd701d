"""Run folders: which there are, how far they are, and sending to MLflow what it lacks of them."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from calogan.bundle import Bundle
from calogan.config import load_config
from calogan.errors import BundleError, CaloganError, ConfigError, MissingDependencyError, StoreError
from calogan.progress import Reporter
from calogan.redaction import redact
from calogan.stages.lock import is_held, locked
from calogan.tracking import Mirror, Note, RunRecord, load_mlflow, one_line, remedy
from calogan.tracking.history import read_lines
from calogan.tracking.record import TRAINING

__all__ = ["Runs", "Synced", "find_runs", "list_runs", "sync_runs"]

_KEPT_CONFIG = "config.yaml"
_NOT_RUNS = {"bundle", "prepared", "train", "tracking", "validation"}
_SCORE = "validation/physics_score"
_SWEEP = "sweep"


@dataclass(frozen=True)
class Runs:
    """Run folders as a table of texts.

    Attributes:
        header: Heads of the columns.
        rows: A row a folder.
        left: Columns, counted from 0, that are words.
        whole: Columns that are to be copied, on one line.
        incomplete: Folders whose record in MLflow lacks something.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[int, ...]
    whole: tuple[int, ...]
    incomplete: tuple[Path, ...]


@dataclass(frozen=True)
class Synced:
    """What became of a run folder.

    Attributes:
        folder: Run folder.
        text: What was sent, or why nothing was.
        failed: Whether something is still missing in MLflow.
    """

    folder: Path
    text: str
    failed: bool = False

    def __str__(self) -> str:
        """The folder and what became of it."""
        return f"{self.folder}: {self.text}"


def find_runs(places: Iterable[Path]) -> list[Path]:
    """Run folders at and below some folders, each once and those above before those below.

    Raises:
        ConfigError: A place is no folder, or has no run folder.
    """
    found: dict[Path, None] = {}
    for place in places:
        if not place.is_dir():
            msg = f"{place}: there is no such folder; give a run folder, or a folder of run folders"
            raise ConfigError(msg)
        below = list(_runs_below(place))
        if not below:
            msg = f"{place}: no run folder there; a run folder has a {_KEPT_CONFIG} that calogan wrote"
            raise ConfigError(msg)
        found |= dict.fromkeys(below)
    return list(found)


def sync_runs(folders: Iterable[Path], reporter: Reporter) -> Iterator[Synced]:
    """Send what MLflow lacks of run folders, one after the other; what it has is not sent again.

    The store is `MLFLOW_TRACKING_URI` where that is set, else the one that the run was configured with. A run whose
    process has gone without a word is closed as KILLED.

    Raises:
        MissingDependencyError: MLflow is not installed.
    """
    for folder in folders:
        try:
            with locked(folder, "run folder", "synchronise it later", reporter):
                yield _sync(folder)
        except MissingDependencyError:
            raise
        except CaloganError as error:
            yield Synced(folder, str(error).removeprefix(f"{folder}: "), failed=True)


def list_runs(folders: Iterable[Path]) -> Runs:
    """How far runs are, and whether MLflow has all of them; asks no server. What cannot be read is a question mark."""
    header = ("run folder", "study", "stage", "status", "step", "physics\nscore", "MLflow run", "record")
    rows, incomplete = [], []
    for folder in folders:
        stage = _stage(folder)
        name, total = _study(folder, stage)
        note = Note.read(folder)
        status, state = _state(folder, note)
        if state != "complete":
            incomplete.append(folder)
        step, score = _trials(folder) if stage == _SWEEP else _progress(folder)
        run_id = "" if note is None else note.run_id
        rows.append((str(folder), name, stage, status, f"{step}/{total}", score, run_id, state))
    return Runs(header, tuple(rows), (0, 1, 2, 3, 6, 7), (6,), tuple(incomplete))


def _runs_below(place: Path) -> Iterator[Path]:
    for folder, inside, files in os.walk(place):
        if _KEPT_CONFIG in files:
            yield Path(folder)
            inside[:] = [name for name in inside if name not in _NOT_RUNS]
        inside.sort()


def _sync(folder: Path) -> Synced:
    record = _record(folder)
    if record is None:
        return Synced(folder, "has no record: run `calogan train` on it again, which takes no time", failed=True)
    at_work = any(map(is_held, (folder / "trials").glob("*/")))  # processes of a sweep
    if record.status == "RUNNING" and not at_work:  # nobody holds the folder, so its process was killed
        record.finish("KILLED", record.last_change())
        record.save()
    try:
        connect, failures = load_mlflow()
    except ImportError as error:
        msg = f"calogan runs sync needs MLflow ({one_line(error)}): pip install 'calogan[train]'"
        raise MissingDependencyError(msg) from error
    uri = os.environ.get("MLFLOW_TRACKING_URI") or record.uri
    try:
        mirror = Mirror(connect(uri), failures)
        sent = mirror.send(record)
    except failures as error:
        what = remedy(error) or "run it again"
        return Synced(folder, f"MLflow at {redact(uri)} failed ({one_line(error)}); {what}", failed=True)
    what = f"sent {sent}" if sent else "nothing to do"
    gone = f"; no longer there: {', '.join(sent.missing)}" if sent.missing else ""
    return Synced(folder, f"{what}, run {mirror.run_id}{gone}")


def _record(folder: Path) -> RunRecord | None:
    with suppress(FileNotFoundError):
        return RunRecord.read(folder)
    return None


def _study(folder: Path, stage: str) -> tuple[str, str]:
    """Name of a study, and its steps, or the trials of a sweep."""
    try:
        config = load_config(folder / _KEPT_CONFIG)
    except ConfigError:
        return "?", "?"
    if stage == _SWEEP:
        return config.name, str(config.sweep.trials)
    return config.name, str(config.training.warmup_steps + config.training.steps)


def _state(folder: Path, note: Note | None) -> tuple[str, str]:
    """What became of the last attempt, and how much of the record MLflow has."""
    try:
        record = _record(folder)
    except StoreError:
        return "?", "damaged"
    if record is None:
        return "", "none"
    if note is None:
        return record.status.lower(), "not sent"
    whole = note.complete and note.complete == record.mark()
    return record.status.lower(), "complete" if whole else "incomplete"


def _stage(folder: Path) -> str:
    """The last stage that has left its result."""
    reached = {
        "validated": folder / "validation" / "test" / "report.json",
        "trained": folder / "bundle" / "bundle.json",
        "training": folder / TRAINING,
        _SWEEP: folder / "trials",
        "prepared": folder / "prepared" / "manifest.json",
    }
    return next((stage for stage, result in reached.items() if result.exists()), "begun")


def _trials(folder: Path) -> tuple[int, str]:
    """How many trials of a sweep have ended, and the best physics score."""
    try:
        trials = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))["trials"]
    except FileNotFoundError:
        return 0, ""
    scores = [trial["physics_score"] for trial in trials if trial["physics_score"] is not None]
    ended = sum(trial["state"] != "running" for trial in trials)
    return ended, f"{min(scores):.4g}" if scores else ""


def _progress(folder: Path) -> tuple[int, str]:
    """The last step, and the physics score that selects the generator: the best so far."""
    step, scores = 0, list[float]()
    for line in read_lines(folder / TRAINING):
        step = line.step
        scores.append(line.figures.get(_SCORE, math.nan))
    best = min(filter(math.isfinite, scores), default=math.nan)
    with suppress(BundleError):
        best = Bundle.load(folder / "bundle").info.provenance.get("physics_score", best)
    return step, f"{best:.4g}" if math.isfinite(best) else ""
