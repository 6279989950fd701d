"""The folder of finished parts beside an output: what makes a killed job go on."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from calogan.data.files import checksum
from calogan.errors import DataError, StoreError
from calogan.progress import Reporter
from calogan.stages.generate.job import Part
from calogan.stages.generate.making import Tally
from calogan.stages.generate.outside import join_lists
from calogan.stages.generate.writing import writing
from calogan.stages.lock import LOCK, locked

__all__ = ["WorkFolder"]

_RECORD, _LIST = "job.json", "outside.csv"
_PART = r"part-\d{5,}\.(root|hdf5|csv|json)"
_MARKER = re.compile(r"part-\d{5,}\.json")
_TEMPORARY = re.compile(rf"\.({_PART}|merged\.(root|hdf5)|outside\.csv|job\.json)(\.\d+)?\.tmp")
_OWN = re.compile(rf"{_PART}|merged\.(root|hdf5)|outside\.csv|{_TEMPORARY.pattern}")
_NEW = {LOCK, f".{_RECORD}.tmp"}
"""What is in a folder before its record."""


class WorkFolder:
    """``OUTPUT.parts``, locked while the context lasts; it stays as long as it holds a finished part.

    Only files that a job has written are ever removed, and only in a folder with a job's record.

    Args:
        output: File that the parts are merged to.
        outside_list: List of the particles that were left out.
        settings: What decides the content of the parts.
        suffix: Of the files of showers, as ``.root``.
        reporter: Told where the file system cannot lock.
    """

    def __init__(
        self, output: Path, outside_list: Path, settings: Mapping[str, Any], suffix: str, reporter: Reporter
    ) -> None:
        self.path = self.path_of(output)
        self._output, self._outside_list, self._reporter = output, outside_list, reporter
        self._suffix = suffix
        self._settings: dict[str, Any] = json.loads(json.dumps(settings))
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(locked(self.path, "work folder", "give another output", self._reporter))
            try:
                self._claim()
            except StoreError:
                (self.path / LOCK).unlink()  # nothing of this job is in the folder
                raise
            self._remove(_TEMPORARY)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if kind is not None and (self._matching(_MARKER) or self.result is not None):
                self._remove(_TEMPORARY)
                return
            # The record last: a run that is killed here knows what it has done.
            self._remove(_OWN)
            (self.path / _RECORD).unlink(missing_ok=True)
            with suppress(OSError):  # another process has come in, or the folder holds files of the user
                (self.path / LOCK).unlink()
                self.path.rmdir()

    @staticmethod
    def path_of(output: Path) -> Path:
        """The folder that belongs to an output."""
        return output.with_name(f"{output.name}.parts")

    @property
    def result(self) -> Tally | None:
        """What the whole job made, once all of it is in the merged file."""
        found = self._record().get("result")
        return None if found is None else Tally(**found)

    @property
    def merged(self) -> Path:
        """Where the parts are merged to."""
        return self.path / f"merged{self._suffix}"

    @property
    def placed(self) -> bool:
        """Whether a run was killed when the output was in its place already, and only this folder was left."""
        record = self._record()
        if record.get("result") is None or self.merged.exists():
            return False
        return self._output.is_file() and self._output.stat().st_size == record.get("size")

    @property
    def list_placed(self) -> bool:
        """Whether the list that is beside the output is of this job, likewise."""
        return self.result is not None and bool(self._record()["listed"]) and not (self.path / _LIST).exists()

    def part(self, part: Part) -> Path:
        """File of a part's showers."""
        return self.path / f"part-{part.number:05d}{self._suffix}"

    def outside_list(self, part: Part) -> Path:
        """Its list of particles outside."""
        return self.path / f"part-{part.number:05d}.csv"

    def finish_part(self, part: Part, tally: Tally) -> None:
        """Write down that a part is whole."""
        files = [path for path in (self.part(part), self.outside_list(part)) if path.exists()]
        sums = {path.name: checksum(str(path)) for path in files}
        _write(self._marker(part), {"tally": asdict(tally), "checksums": sums})

    def finished(self, part: Part) -> Tally | None:
        """What is in a part of an earlier run; None if it is not there or not whole."""
        found = _read(self._marker(part))
        try:
            whole = all(checksum(str(self.path / name)) == known for name, known in found["checksums"].items())
            return Tally(**found["tally"]) if whole else None
        except (KeyError, AttributeError, TypeError, DataError):
            return None

    def start_part(self, part: Part) -> None:
        """Remove what an earlier run left of a part that is not whole."""
        for path in (self._marker(part), self.part(part), self.outside_list(part)):
            path.unlink(missing_ok=True)

    def finish(self, parts: Sequence[Part], tally: Tally) -> None:
        """Write down that the merged file is whole, with the list of all particles outside beside it."""
        lists = [path for path in map(self.outside_list, parts) if path.exists()]
        if lists:
            with writing(self.path / _LIST):
                join_lists(lists, self.path / _LIST)
        self._write_record(asdict(tally), listed=bool(lists), size=self.merged.stat().st_size)

    def place(self) -> Path | None:
        """Move list and output to where they belong, the output last; does only what is not done yet.

        Returns:
            The list, if there is any.
        """
        listed = bool(self._record()["listed"])
        with writing(self._output):
            if (self.path / _LIST).exists():
                (self.path / _LIST).replace(self._outside_list)
            if self.merged.exists():
                if not listed:
                    self._outside_list.unlink(missing_ok=True)
                self.merged.replace(self._output)
        return self._outside_list if listed else None

    def _marker(self, part: Part) -> Path:
        return self.path / f"part-{part.number:05d}.json"

    def _claim(self) -> None:
        """Take the folder over for this job, or refuse what is not of this job.

        Raises:
            StoreError: Files that no job has written, a damaged record, or parts of another job.
        """
        known = self._settings_there()
        if known == self._settings:
            if self.result is not None and not self.merged.exists() and not self.placed:
                self._write_record(None, listed=False)  # the output is gone again: what parts there are go on
            return
        if known is not None and self._matching(_MARKER) and not self.placed:
            names = [name for name, value in self._settings.items() if known.get(name) != value]
            msg = (
                f"{self.path}: holds finished parts of a job with other settings ({', '.join(names)}); give the same "
                "settings to go on with it, or remove the folder to start anew"
            )
            raise StoreError(msg)
        if known is not None:
            self._remove(_OWN)
        self._write_record(None, listed=False)

    def _settings_there(self) -> dict[str, Any] | None:
        """Settings of the job that the folder is of; None for a new folder."""
        names = sorted({path.name for path in self.path.iterdir()} - _NEW)
        if not names:
            return None
        if _RECORD not in names:
            msg = (
                f"{self.path}: holds '{names[0]}' and is no work folder of calogan, whose files could be taken for "
                "parts; move it away, or give another output"
            )
            raise StoreError(msg)
        settings = self._record().get("settings")
        if not isinstance(settings, dict):
            msg = f"{self.path / _RECORD}: is damaged; remove the folder to start anew"
            raise StoreError(msg)
        return settings

    def _record(self) -> dict[str, Any]:
        return _read(self.path / _RECORD)

    def _write_record(self, result: Mapping[str, float] | None, *, listed: bool, size: int | None = None) -> None:
        record = {"settings": self._settings, "result": result, "listed": listed, "size": size}
        _write(self.path / _RECORD, record)

    def _matching(self, names: re.Pattern[str]) -> list[Path]:
        return [path for path in self.path.iterdir() if names.fullmatch(path.name)]

    def _remove(self, names: re.Pattern[str]) -> None:
        for path in self._matching(names):
            path.unlink(missing_ok=True)


def _write(path: Path, values: Mapping[str, Any]) -> None:
    """Write a JSON file that is whole or not there, even after a loss of power."""
    temporary = path.with_name(f".{path.name}.tmp")
    with writing(path):
        with temporary.open("w", encoding="utf-8") as stream:
            stream.write(json.dumps(values, indent=1) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
