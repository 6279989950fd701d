"""Calorimeters that files of the community come from: a binning file beside them, or CaloGAN's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from calogan.config import make_calorimeter
from calogan.errors import ConfigError
from calogan.geometry import Geometry

__all__ = ["CALOGAN", "CALOGAN_SHAPES", "find_binning"]

_PARTICLES = (None, "photon", "electron", "pion")
_MOST_FILES = 20

CALOGAN_SHAPES = ((3, 96), (12, 12), (12, 6))
"""Rows and columns of the layers of `CALOGAN`."""


def _span(cells: int) -> dict[str, Any]:
    return {"cells": cells, "low": -240.0, "high": 240.0}


CALOGAN: Mapping[str, Any] = {
    "layers": [
        {"x": _span(rows), "y": _span(columns), "depth": (front + back) / 2, "z_range": [front, back]}
        for (rows, columns), (front, back) in zip(
            CALOGAN_SHAPES, ((0.0, 90.0), (90.0, 437.0), (437.0, 480.0)), strict=True
        )
    ]
}
"""Section `geometry` of CaloGAN's calorimeter of lead and liquid argon, after arXiv:1705.02355."""


def find_binning(folders: Sequence[Path], cells: int) -> Mapping[str, Any] | None:
    """A binning file of the CaloChallenge in folders that has a number of cells, as a section `geometry`.

    Args:
        folders: Where to look, such as beside the showers.
        cells: Number of cells of a shower.
    """
    for values in _readings(folders):
        try:
            calorimeter = make_calorimeter(values, values["xml"])
        except ConfigError:
            continue  # another XML file, or another particle
        if Geometry.from_dict(calorimeter.to_dict()).n_cells == cells:
            return values
    return None


def _readings(folders: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for path in [path for folder in folders for path in sorted(folder.glob("*.xml"))][:_MOST_FILES]:
        for particle in _PARTICLES:
            yield {"xml": str(path), **({} if particle is None else {"particle": particle})}
