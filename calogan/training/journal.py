"""metrics.jsonl: one line of figures every so many steps, whatever else keeps a record."""

from __future__ import annotations

import json
import math
import os
import time
from contextlib import suppress
from pathlib import Path

from calogan.atomic import write_atomically
from calogan.errors import TrainingError
from calogan.progress import Reporter
from calogan.tracking.history import TIME

__all__ = ["Journal"]


class Journal:
    """Appends lines; taken up again, it forgets the lines after the step that is resumed from.

    Lines that cannot be written, as on a full disk, are kept in memory and written with the next one.

    Args:
        path: The file; made with its first line.
        step: Step to go on from; later lines are dropped.
        reporter: Warned when a line cannot be written.
    """

    def __init__(self, path: Path, step: int, reporter: Reporter) -> None:
        self._path, self._reporter = path, reporter
        self._waiting: list[str] = []
        if path.exists():
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            write_atomically(path, "".join(f"{line}\n" for line in lines if _step(line) <= step).encode())

    def write(self, step: int, figures: dict[str, float]) -> None:
        """Append a line with the time; what is not finite is written as null."""
        values = {name: value if math.isfinite(value) else None for name, value in figures.items()}
        self._waiting.append(json.dumps({"step": step, TIME: round(time.time(), 3), **values}) + "\n")
        try:
            self._append()
        except OSError as error:
            if len(self._waiting) == 1:
                self._reporter.warning(
                    f"{self._path}: cannot be written ({error.strerror or error}); its lines wait until there is room"
                )

    def finish(self) -> None:
        """Write what still waits.

        Raises:
            TrainingError: It cannot be written.
        """
        try:
            if self._waiting:
                self._append()
        except OSError as error:
            msg = (
                f"{self._path}: the last {len(self._waiting)} lines cannot be written ({error.strerror or error}); "
                "make room there, and run the same command again"
            )
            raise TrainingError(msg) from error

    def _append(self) -> None:
        """Append all lines that wait or none, and wait until the disk has them: a checkpoint relies on them."""
        with self._path.open("ab", buffering=0) as file:
            before = file.seek(0, os.SEEK_END)
            content = memoryview("".join(self._waiting).encode())
            try:
                while content:
                    content = content[file.write(content) :]
                os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):  # the first error says more
                    file.truncate(before)
                raise
        self._waiting.clear()


def _step(line: str) -> float:
    try:
        step = json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):  # a line that a kill cut short
        return math.inf
    return float(step)
