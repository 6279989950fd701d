"""The folder of finished parts beside an output: what makes a killed job go on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from calogan.data.files import checksum
from calogan.data.store import write_json
from calogan.errors import DataError, StoreError
from calogan.progress import Reporter
from calogan.stages.generate.job import Part
from calogan.stages.generate.making import Tally
from calogan.stages.generate.outside import join_lists
from calogan.stages.lock import LOCK, locked

__all__ = ["WorkFolder"]

_RECORD, _MERGED, _LIST = "job.json", "merged.root", "outside.csv"
_MARKERS = "part-*.json"
_OWN = (_MARKERS, "part-*.root", "part-*.csv", ".*.tmp", _MERGED, _LIST)


class WorkFolder:
    """``OUTPUT.parts``, locked while the context lasts; it stays as long as it holds a finished part.

    Args:
        output: File that the parts are merged to.
        outside_list: List of the particles that were left out.
        settings: What decides the content of the parts.
        reporter: Told where the file system cannot lock.
    """

    def __init__(self, output: Path, outside_list: Path, settings: Mapping[str, Any], reporter: Reporter) -> None:
        self.path = self.path_of(output)
        self._output, self._outside_list, self._reporter = output, outside_list, reporter
        self._settings: dict[str, Any] = json.loads(json.dumps(settings))
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self.path.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(locked(self.path, "work folder", "give another output", self._reporter))
            self._remove(".*.tmp")
            self._claim()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        kept = kind is not None and (any(self.path.glob(_MARKERS)) or self.result is not None)
        if kept:
            self._remove(".*.tmp")
        else:
            # The record last: a run that is killed here knows what it has done.
            self._remove(*_OWN)
            self._remove(_RECORD)
        self._stack.close()
        if not kept:
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
        return self.path / _MERGED

    @property
    def placed(self) -> bool:
        """Whether a run was killed when the output was in its place already, and only this folder was left."""
        return self.result is not None and not self.merged.exists()

    def part(self, part: Part) -> Path:
        """ROOT file of a part."""
        return self.path / f"part-{part.number:05d}.root"

    def outside_list(self, part: Part) -> Path:
        """Its list of particles outside."""
        return self.path / f"part-{part.number:05d}.csv"

    def finish_part(self, part: Part, tally: Tally) -> None:
        """Write down that a part is whole."""
        files = [path for path in (self.part(part), self.outside_list(part)) if path.exists()]
        sums = {path.name: checksum(str(path)) for path in files}
        write_json(self._marker(part), {"tally": asdict(tally), "checksums": sums})

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
            join_lists(lists, self.path / _LIST)
        self._write_record(asdict(tally), listed=bool(lists))

    def place(self) -> Path | None:
        """Move list and output to where they belong, the output last; does only what is not done yet.

        Returns:
            The list, if there is any.
        """
        listed = bool(self._record()["listed"])
        if not listed:
            self._outside_list.unlink(missing_ok=True)
        elif (self.path / _LIST).exists():
            (self.path / _LIST).replace(self._outside_list)
        if self.merged.exists():
            self.merged.replace(self._output)
        return self._outside_list if listed else None

    def _marker(self, part: Part) -> Path:
        return self.path / f"part-{part.number:05d}.json"

    def _claim(self) -> None:
        """Take the folder over for this job, or refuse the parts of another."""
        known = self._record().get("settings")
        if known == self._settings:
            return
        if any(self.path.glob(_MARKERS)):
            known = known if isinstance(known, dict) else {}
            names = [name for name, value in self._settings.items() if known.get(name) != value]
            msg = (
                f"{self.path}: holds finished parts of a job with other settings ({', '.join(names)}); give the same "
                "settings to go on with it, or remove the folder to start anew"
            )
            raise StoreError(msg)
        self._remove(*_OWN)
        self._write_record(None, listed=False)

    def _record(self) -> dict[str, Any]:
        return _read(self.path / _RECORD)

    def _write_record(self, result: Mapping[str, float] | None, *, listed: bool) -> None:
        write_json(self.path / _RECORD, {"settings": self._settings, "result": result, "listed": listed})

    def _remove(self, *patterns: str) -> None:
        for path in [path for pattern in patterns for path in self.path.glob(pattern)]:
            path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
