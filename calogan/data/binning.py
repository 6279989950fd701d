"""Geometries from the binning files of the CaloChallenge."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from calogan.config import GeometryConfig
from calogan.config.binning import read_layers
from calogan.geometry import Geometry

__all__ = ["read_binning"]


def read_binning(
    path: str | Path, particle: str | None = None, layer_depths: Sequence[float] | None = None
) -> Geometry:
    """Cells of a binning file; their flat order is that of the showers in the challenge's HDF5 files.

    Args:
        path: XML file.
        particle: Name or pid of its element, such as ``photon``; may be left out where there is one only.
        layer_depths: Depth of each layer that has cells [mm]. The file has none: if left out, the layers are at 0, 1,
            2, ... mm, so that a depth is the number of a layer.

    Returns:
        Rings of cells; layers without any are left out.

    Raises:
        GeometryError: A file that is unreadable, not of this form, or without the particle; says which layer.
    """
    layers = read_layers(Path(path), particle, layer_depths)
    return Geometry.from_dict(GeometryConfig.model_validate({"layers": layers}).to_dict())
