"""The cells of a calorimeter: listed, drawn and written as a section of a configuration."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from calogan.atomic import write_atomically
from calogan.errors import ConfigError, MissingDependencyError
from calogan.geometry import Geometry, Layer, PolarLayer

__all__ = ["GeometryTable", "list_layers", "write_geometry"]

_PICTURES = {".png", ".pdf", ".svg"}
_TEXTS = {".yaml", ".yml"}


@dataclass(frozen=True)
class GeometryTable:
    """Layers as a table: heads and rows."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def list_layers(geometry: Geometry) -> GeometryTable:
    """Depth, extent, grid and size of the cells of each layer."""
    header = ("layer", "depth [mm]", "z [mm]", "cells", "grid", "x or r [mm]", "y [mm]", "size [mm]")
    return GeometryTable(header, tuple(_row(number, layer) for number, layer in enumerate(geometry.layers)))


def write_geometry(geometry: Geometry, path: Path, notes: Sequence[str] = ()) -> None:
    """Write a geometry as a section of a configuration (.yaml), or draw its cells (.png, .pdf, .svg).

    Args:
        geometry: The cells.
        path: File to write; its ending says which.
        notes: Comments of a YAML file.

    Raises:
        ConfigError: Another ending.
        MissingDependencyError: A picture without matplotlib.
    """
    ending = path.suffix.lower()
    if ending in _TEXTS:
        comments = "".join(f"# {note}\n" for note in notes)
        section = {"geometry": {"layers": [_layer_section(layer) for layer in geometry.layers]}}
        text = yaml.safe_dump(section, sort_keys=False, default_flow_style=None, width=110)
        write_atomically(path, (comments + text).encode())
    elif ending in _PICTURES:
        write_atomically(path, _picture(geometry, ending.removeprefix(".")))
    else:
        msg = f"{path}: choose the ending .yaml for a section of a configuration, or .png, .pdf or .svg for a picture"
        raise ConfigError(msg)


def _row(number: int, layer: Layer | PolarLayer) -> tuple[str, ...]:
    depths = "" if layer.z_range is None else _span(layer.z_range)
    if isinstance(layer, PolarLayer):
        grid = f"{_sectors(layer)} x {layer.columns} rings", _span(layer.r_edges), "", _sizes(layer.r_edges)
    else:
        size = f"{_sizes(layer.x_edges)} x {_sizes(layer.y_edges)}"
        grid = f"{layer.rows} x {layer.columns}", _span(layer.x_edges), _span(layer.y_edges), size
    return str(number), f"{layer.depth:g}", depths, str(layer.n_cells), *grid


def _sectors(layer: PolarLayer) -> str:
    return f"{layer.sectors} sector{'s' * (layer.sectors > 1)}"


def _span(edges: Sequence[float]) -> str:
    return f"{edges[0]:g} to {edges[-1]:g}"


def _sizes(edges: Sequence[float]) -> str:
    widths = np.diff(edges)
    least, most = f"{widths.min():.4g}", f"{widths.max():.4g}"
    return least if least == most else f"{least}-{most}"


def _layer_section(layer: Layer | PolarLayer) -> dict[str, Any]:
    if isinstance(layer, PolarLayer):
        grid: dict[str, Any] = {"r": _axis_section(layer.r_edges), "alpha": layer.sectors}
    else:
        grid = {"x": _axis_section(layer.x_edges), "y": _axis_section(layer.y_edges)}
    span = {} if layer.z_range is None else {"z_range": [float(edge) for edge in layer.z_range]}
    return {**grid, "depth": float(layer.depth), **span}


def _axis_section(edges: Sequence[float]) -> dict[str, Any] | list[float]:
    """Equal cells in short, where that gives the same edges but for rounding."""
    if len(edges) > 2 and np.allclose(np.linspace(edges[0], edges[-1], len(edges)), edges, rtol=0, atol=1e-3):
        return {"cells": len(edges) - 1, "low": float(edges[0]), "high": float(edges[-1])}
    return [float(edge) for edge in edges]


def _picture(geometry: Geometry, kind: str) -> bytes:
    try:
        from matplotlib import rc_context

        from calogan.validation.plots.cells import cells
        from calogan.validation.plots.style import STYLE
    except ModuleNotFoundError as error:
        msg = f"a picture needs {error.name}: pip install 'calogan[train]'"
        raise MissingDependencyError(msg) from error
    with rc_context(STYLE), io.BytesIO() as file:
        cells(geometry).savefig(file, format=kind, dpi=144)
        return file.getvalue()
