"""The cells of a calorimeter: from the side, and each grid from the front."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from calogan.geometry import Geometry, Layer, PolarLayer
from calogan.validation.plots.style import GENERATED, REFERENCE, FloatArray

__all__ = ["cells"]

_PANELS = 12
_COLUMNS = 3
_PANEL = 3.4  # inches
_COLOURS = (REFERENCE, GENERATED, "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_FINEST = 500
"""Lines across a panel above which they would run together."""


def cells(geometry: Geometry) -> Figure:
    """Draw the layers along the depth, and the cells of each different grid with the layers that have it."""
    grids = _grids(geometry)
    shown = grids[:_PANELS]
    columns = min(len(shown), _COLUMNS)
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(max(_PANEL * columns, 5.0), 2.4 + _PANEL * 1.1 * rows), layout="constrained")
    places = figure.add_gridspec(1 + rows, columns, height_ratios=[2.4] + [_PANEL * 1.1] * rows)
    _draw_side(figure.add_subplot(places[0, :]), geometry, grids)
    for number, members in enumerate(shown):
        axes = figure.add_subplot(places[1 + number // columns, number % columns])
        _draw_grid(axes, geometry.layers[members[0]], members, _COLOURS[number % len(_COLOURS)])
    if len(grids) > len(shown):
        figure.supxlabel(f"and {len(grids) - len(shown)} more grids", fontsize=10)
    return figure


def _grids(geometry: Geometry) -> list[list[int]]:
    """Layers of each different grid, in the order of the first of them."""
    found: dict[object, list[int]] = {}
    for number, layer in enumerate(geometry.layers):
        grid = (layer.r_edges, layer.sectors) if isinstance(layer, PolarLayer) else (layer.x_edges, layer.y_edges)
        found.setdefault(grid, []).append(number)
    return list(found.values())


def _draw_side(axes: Axes, geometry: Geometry, grids: Sequence[Sequence[int]]) -> None:
    """Depth against x: a box where the front and back are known, else a line."""
    for number, members in enumerate(grids):
        colour = _COLOURS[number % len(_COLOURS)]
        for member in members:
            layer = geometry.layers[member]
            low, high = _extent(layer)[0]
            if layer.z_range is not None:
                front, back = layer.z_range
                box = Rectangle((front, low), back - front, high - low, facecolor=colour, alpha=0.25, edgecolor=colour)
                axes.add_patch(box)
            axes.plot([layer.depth] * 2, [low, high], color=colour, linewidth=1.2)
    axes.autoscale_view()
    axes.set_title(f"{geometry.n_layers} layer{'s' * (geometry.n_layers > 1)}, {geometry.n_cells} cells")
    axes.set_xlabel("depth [mm]")
    axes.set_ylabel("x [mm]")


def _draw_grid(axes: Axes, layer: Layer | PolarLayer, members: Sequence[int], colour: str) -> None:
    lines = _borders(layer)
    if len(lines) > _FINEST:
        axes.set_facecolor(colour)
        axes.patch.set_alpha(0.15)
        lines = [line for line in lines if _is_outer(line, layer)]
    axes.add_collection(LineCollection(lines, colors=colour, linewidths=min(0.9, 60 / len(lines) + 0.15)))
    axes.set_title(f"{_numbers(members)}: {_describe(layer)}", fontsize=9)
    (left, right), (bottom, top) = _extent(layer)
    axes.set_xlim(left - 0.02 * (right - left), right + 0.02 * (right - left))
    axes.set_ylim(bottom - 0.02 * (top - bottom), top + 0.02 * (top - bottom))
    axes.set_aspect("equal" if 0.2 < (right - left) / (top - bottom) < 5 else "auto")
    axes.grid(visible=False)
    axes.set_xlabel("x [mm]")
    axes.set_ylabel("y [mm]")
    axes.tick_params(labelsize=8)


def _borders(layer: Layer | PolarLayer) -> list[FloatArray]:
    """Lines between cells, each of shape ``(points, 2)``."""
    points = np.stack(layer.corners, axis=-1)
    parts = (len(points) - 1) // layer.rows
    across = points[::parts] if not isinstance(layer, PolarLayer) or layer.sectors > 1 else points[:0]
    return [*across, *np.moveaxis(points, 1, 0)]


def _is_outer(line: FloatArray, layer: Layer | PolarLayer) -> bool:
    if isinstance(layer, PolarLayer):
        return bool(np.allclose(np.hypot(*line.T), layer.r_edges[-1]))
    return any(np.ptp(line[:, axis]) == 0 and line[0, axis] in _extent(layer)[axis] for axis in (0, 1))


def _extent(layer: Layer | PolarLayer) -> tuple[tuple[float, float], tuple[float, float]]:
    if isinstance(layer, PolarLayer):
        return ((-layer.r_edges[-1], layer.r_edges[-1]),) * 2
    return (layer.x_edges[0], layer.x_edges[-1]), (layer.y_edges[0], layer.y_edges[-1])


def _numbers(members: Sequence[int]) -> str:
    """Layers in words: runs of neighbours are put together."""
    if len(members) == 1:
        return f"layer {members[0]}"
    runs: list[list[int]] = [[members[0]]]
    for before, after in pairwise(members):
        if after == before + 1:
            runs[-1].append(after)
        else:
            runs.append([after])
    listed = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    return f"layers {', '.join(listed[:6])}{', ...' if len(listed) > 6 else ''}"


def _describe(layer: Layer | PolarLayer) -> str:
    if isinstance(layer, PolarLayer):
        sectors = f"{layer.sectors} sector{'s' * (layer.sectors > 1)}"
        return f"{sectors} x {layer.columns} rings\nof {_widths(layer.r_edges)} mm"
    return f"{layer.rows} x {layer.columns} cells\nof {_widths(layer.x_edges)} x {_widths(layer.y_edges)} mm"


def _widths(edges: Sequence[float]) -> str:
    widths = np.diff(edges)
    least, most = f"{widths.min():.4g}", f"{widths.max():.4g}"
    return least if least == most else f"{least}-{most}"
