"""The list of particles that no shower is made for."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from calogan.data.particles import Particles
from calogan.stages.generate.selection import Reason
from calogan.stages.generate.writing import writing

__all__ = ["OutsideList", "count_listed", "join_lists", "outside_list_of"]

_HEADER = ["file", "entry", "event", "pdg", "px [GeV]", "py [GeV]", "pz [GeV]", "x [mm]", "y [mm]", "reason"]


def outside_list_of(output: Path) -> Path:
    """The list that belongs to an output."""
    return output.with_name(f"{output.name}.outside.csv")


class OutsideList(AbstractContextManager["OutsideList"]):
    """A table of particles that were left out; the file appears at the end, if there is any."""

    def __init__(self, path: Path) -> None:
        self._path, self.count = path, 0

    def __enter__(self) -> Self:
        self._temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        with writing(self._path):
            self._stream = self._temporary.open("w", newline="", encoding="utf-8")
            self._table = csv.writer(self._stream)
            self._table.writerow(_HEADER)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with writing(self._path):
                self._stream.close()
                if kind is None and self.count:
                    self._temporary.replace(self._path)
        finally:
            self._temporary.unlink(missing_ok=True)

    def add(
        self, particles: Particles, reasons: NDArray[np.uint8], event: NDArray[np.int64], pdg: NDArray[np.int32]
    ) -> None:
        """List the particles that there is a reason for.

        Args:
            particles: All particles of some entries.
            reasons: Why each is left out, 0 for the others, shape ``(particles,)``.
            event: Event ids as in the output, shape ``(particles,)``.
            pdg: PDG ids, likewise; 0 where they are not known.

        Raises:
            StoreError: The list cannot be written.
        """
        rows = np.flatnonzero(reasons).tolist()
        for row in rows:
            ids = [int(particles.entry[row]), int(event[row]), int(pdg[row])]
            numbers = [f"{value:.9g}" for value in particles.incident[row]]
            reason = Reason(int(reasons[row])).text
            with writing(self._path):
                self._table.writerow([particles.source, *ids, *numbers, reason])
        self.count += len(rows)


def join_lists(lists: Iterable[Path], path: Path) -> None:
    """Write the lines of several lists to one, under one header."""
    with path.open("w", newline="", encoding="utf-8") as joined:
        csv.writer(joined).writerow(_HEADER)
        for one in lists:
            with one.open(newline="", encoding="utf-8") as stream:
                stream.readline()
                shutil.copyfileobj(stream, joined)


def count_listed(path: Path) -> int:
    """Number of particles in a list, 0 if there is none."""
    if not path.exists():
        return 0
    with path.open(newline="", encoding="utf-8") as stream:
        return sum(1 for _ in csv.reader(stream)) - 1
