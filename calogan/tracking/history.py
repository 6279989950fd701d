"""Figures of steps in files of one JSON object a line, each with the time at which it was written."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

__all__ = ["TIME", "Line", "append_line", "last_step", "read_lines"]

TIME = "time/unix_s"
"""Key of a line's time [s since 1970]."""


@dataclass(frozen=True)
class Line:
    """Figures of one step.

    Attributes:
        step: The step.
        time: When they were written [ms since 1970], as MLflow counts.
        figures: Numbers by name; what is not finite is NaN.
        end: Where the next line begins in the file [bytes].
    """

    step: int
    time: int
    figures: Mapping[str, float]
    end: int


def append_line(path: Path, step: int, figures: Mapping[str, float]) -> None:
    """Add a line; a line before it that a kill has cut short stays a line of its own."""
    values = {name: value if math.isfinite(value) else None for name, value in figures.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        cut = file.tell() > 0 and _last_byte(file) != b"\n"
        line = json.dumps({"step": step, TIME: round(time.time(), 3), **values})
        file.write(b"\n" * cut + f"{line}\n".encode())


def read_lines(path: Path, start: int = 0) -> Iterator[Line]:
    """The whole lines of a file from a byte on; one that a kill has cut short is left out.

    Args:
        path: The file; it may be missing. Lines without a time have that of the file's last change.
        start: Where a line begins.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        changed = path.stat().st_mtime
        file.seek(start)
        for text in file:
            start += len(text)
            if text.endswith(b"\n") and (values := _object(text)) is not None:
                moment = round(1000 * values.pop(TIME, changed))
                step = int(values.pop("step"))
                numbers = {name: value for name, value in values.items() if _is_figure(value)}
                figures = {name: math.nan if value is None else float(value) for name, value in numbers.items()}
                yield Line(step, moment, figures, start)


def last_step(path: Path) -> int | None:
    """Step of the last line of a file; None if it has none."""
    step = None
    for line in read_lines(path):
        step = line.step
    return step


def _last_byte(file: BinaryIO) -> bytes:
    file.seek(-1, 2)
    return file.read(1)


def _object(text: bytes) -> dict[str, Any] | None:
    try:
        values = json.loads(text)
    except ValueError:
        return None
    return values if isinstance(values, dict) and "step" in values else None


def _is_figure(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
