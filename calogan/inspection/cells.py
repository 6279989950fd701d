"""Section `geometry` of a configuration: what is known of the cells, and what is assumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calogan.config import make_calorimeter
from calogan.data.schema import length_in_mm
from calogan.errors import ConfigError
from calogan.geometry import Geometry, Layer
from calogan.inspection.grid import Grid
from calogan.inspection.placing import Axis, Placed

__all__ = ["Cells", "Given", "suggest_cells"]

_FINEST = 10.0  # [mm], where nothing tells
_THICKNESS = 300.0  # [mm], of all layers, likewise
_REMEDY = "put in the true ones, or inspect with --cell-size, --depths or --geometry"


@dataclass(frozen=True)
class Given:
    """What a user says of the cells.

    Attributes:
        calorimeter: All of them, as a section `geometry` of a configuration.
        sizes: Cell sizes along x and y [mm] of each layer, or one for all.
        depths: Depth of each layer [mm].
    """

    calorimeter: Mapping[str, Any] | None = None
    sizes: tuple[tuple[float, float], ...] = ()
    depths: tuple[float, ...] = ()

    def geometry(self) -> Geometry | None:
        """The cells of the calorimeter, if they are given.

        Raises:
            ConfigError: A section that is not valid.
            GeometryError: A binning file that is not.
        """
        if self.calorimeter is None:
            return None
        return Geometry.from_dict(make_calorimeter(self.calorimeter, "the geometry").to_dict())

    def check(self, geometry: Geometry) -> None:
        """Refuse sizes or depths of another number of layers.

        Raises:
            ConfigError: Says how many there are.
        """
        layers = geometry.n_layers
        if len(self.sizes) not in {0, 1, layers}:
            msg = f"--cell-size: {len(self.sizes)} sizes for {layers} layers; give one for all, or one each"
            raise ConfigError(msg)
        if len(self.depths) not in {0, layers}:
            msg = f"--depths: {len(self.depths)} depths for {layers} layers; give one each"
            raise ConfigError(msg)


@dataclass(frozen=True)
class Cells:
    """Section `geometry`, and how far it can be trusted.

    Attributes:
        values: Its values.
        known: What the files or the user say.
        assumed: What nobody says.
    """

    values: Mapping[str, Any]
    known: tuple[str, ...]
    assumed: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """Both, as a comment."""
        lines = [f"known: {'; '.join(self.known)}"]
        if self.assumed:
            lines.append(f"ASSUMED: {'; '.join(self.assumed)}; {_REMEDY}")
        return "\n".join(lines)


def suggest_cells(grid: Grid, placed: Placed, unit: str, given: Given) -> Cells:
    """Layers in mm, of what is given, else of what showers tell, else of what is assumed.

    Args:
        grid: Number of cells, or their places.
        placed: What showers tell of their sizes and depths.
        unit: Unit of length of the files.
        given: What the user says.
    """
    mm = length_in_mm(unit)
    if given.calorimeter is not None:
        return Cells(given.calorimeter, (grid.why,), grid.doubts)
    if grid.is_placed:
        found = [layer for layer in grid.geometry.layers if isinstance(layer, Layer)]
        depths = given.depths or [float(f"{layer.depth * mm:.6g}") for layer in found]
        placed_layers = [_placed(layer, mm, depth) for layer, depth in zip(found, depths, strict=True)]
        return Cells({"layers": placed_layers}, (grid.why,), grid.doubts)
    shapes = [(layer.rows, layer.columns) for layer in grid.geometry.layers]
    widths, known, assumed = _widths(placed, shapes, mm, given)
    depths, told, not_told = _depths(placed, len(shapes), mm, given)
    middles = [0.0, 0.0] if placed.axes is None else [float(f"{axis.middle * mm:.6g}") for axis in placed.axes]
    layers = [
        {
            **{
                axis: {"cells": cells, "low": middle - width / 2, "high": middle + width / 2}
                for axis, cells, width, middle in zip("xy", shape, layer_widths, middles, strict=True)
            },
            "depth": depth,
        }
        for shape, layer_widths, depth in zip(shapes, widths, depths, strict=True)
    ]
    return Cells({"layers": layers}, (grid.why, *known, *told), (*grid.doubts, *assumed, *not_told))


def _placed(layer: Layer, mm: float, depth: float) -> dict[str, Any]:
    values: dict[str, Any] = {"x": _axis(layer.x_edges, mm), "y": _axis(layer.y_edges, mm), "depth": depth}
    if layer.z_range is not None:
        values["z_range"] = [float(f"{edge * mm:.6g}") for edge in layer.z_range]
    return values


def _axis(edges: Sequence[float], mm: float) -> dict[str, Any] | list[float]:
    """Equal cells by their number, others by their edges."""
    scaled = [float(f"{edge * mm:.6g}") for edge in edges]
    even = np.linspace(scaled[0], scaled[-1], len(scaled))
    if np.allclose(even, scaled, rtol=0, atol=1e-3 * (scaled[-1] - scaled[0]) / (len(scaled) - 1)):
        return {"cells": len(scaled) - 1, "low": scaled[0], "high": scaled[-1]}
    return scaled


def _widths(
    placed: Placed, shapes: Sequence[tuple[int, int]], mm: float, given: Given
) -> tuple[list[tuple[float, float]], tuple[str, ...], tuple[str, ...]]:
    if given.sizes:
        sizes = given.sizes * (len(shapes) if len(given.sizes) == 1 else 1)
        spans = [(rows * x, columns * y) for (rows, columns), (x, y) in zip(shapes, sizes, strict=True)]
        return spans, ("sizes of cells as given",), ()
    several = ("all layers are as wide as that",) if len(shapes) > 1 else ()
    if placed.axes is None:
        width = _FINEST * max(max(shape) for shape in shapes)
        assumed = (f"the finest cells are {_FINEST:g} mm wide, {width:g} mm in all, along x and y", *several)
        return [(width, width)] * len(shapes), (), assumed
    widths = placed.axes[0].width * mm, placed.axes[1].width * mm
    known = tuple(_tell(axis, name, mm) for axis, name in zip(placed.axes, "xy", strict=True) if axis.is_measured)
    alike = () if len(known) == 2 else ("the calorimeter is square",)
    return [widths] * len(shapes), known, (*alike, *several)


def _tell(axis: Axis, name: str, mm: float) -> str:
    return (
        f"{axis.width * mm:g} mm along {name}, measured to {axis.error * mm:.2g} mm by how the centre of showers "
        "follows the entry point"
    )


def _depths(
    placed: Placed, layers: int, mm: float, given: Given
) -> tuple[list[float], tuple[str, ...], tuple[str, ...]]:
    if given.depths:
        return list(given.depths), ("depths as given",), ()
    found = [depth * mm for depth in placed.depths]
    measured = [number for number, depth in enumerate(found) if np.isfinite(depth)]
    missing = [number for number in range(layers) if number not in measured]
    for number in missing:
        near = min(measured, key=lambda known: abs(known - number), default=None)
        each = _THICKNESS / layers if near is None else found[near] / (near + 0.5)
        found[number] = each * (number + 0.5)
    depths = [float(f"{depth:.4g}") for depth in np.maximum.accumulate(found)]
    known = f"depth of layer {_list(measured)} measured by how the centre of showers follows the direction"
    assumed = f"depth of layer {_list(missing)}"
    return depths, (known,) if measured else (), (assumed,) if missing else ()


def _list(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
