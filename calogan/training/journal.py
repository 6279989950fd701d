"""metrics.jsonl: one line of figures every so many steps, whatever else keeps a record."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

from calogan.tracking.history import TIME

__all__ = ["Journal"]


class Journal:
    """Appends lines; taken up again, it forgets the lines after the step that is resumed from.

    Args:
        path: The file; made with its first line.
        step: Step to go on from; later lines are dropped.
    """

    def __init__(self, path: Path, step: int = 0) -> None:
        self._path = path
        if path.exists():
            kept = [line for line in path.read_text(encoding="utf-8").splitlines() if _step(line) <= step]
            temporary = path.with_name(f".{path.name}.tmp")
            temporary.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
            temporary.replace(path)

    def write(self, step: int, figures: dict[str, float]) -> None:
        """Append a line with the time; what is not finite is written as null."""
        values = {name: value if math.isfinite(value) else None for name, value in figures.items()}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, TIME: round(time.time(), 3), **values}) + "\n")


def _step(line: str) -> float:
    try:
        step = json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):  # a line that a kill cut short
        return math.inf
    return float(step)
