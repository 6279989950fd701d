"""A geometry found from the positions of hits: planes along the depth, and a grid across it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calogan.config import PositionsSource, load_data
from calogan.data.cloud import Cloud, read_cloud
from calogan.data.reading import expand_files, read_trees
from calogan.data.schema import Schema
from calogan.errors import ConfigError, GeometryError, SchemaError
from calogan.geometry import Geometry, Layer
from calogan.physics.lattice import Grid, Planes, find_grid, find_planes

__all__ = ["DerivedGeometry", "derive_cells", "derive_geometry"]

FloatArray = NDArray[np.float64]

_SAME = 0.01
"""Of a cell: by how much the grids of two layers may differ and be one."""
_BEHIND = 1e-3  # [mm]
_SYMMETRIC = 2
"""Cells that the two ends of a window may differ by and be made the same."""


@dataclass(frozen=True)
class DerivedGeometry:
    """A geometry found from hits.

    Attributes:
        geometry: The cells.
        notes: How it was found, how sure that is, and what it leaves out; a line each.
    """

    geometry: Geometry
    notes: tuple[str, ...]


def derive_geometry(
    pattern: str,
    config: Path | None = None,
    *,
    cell_size: tuple[float, float] | None = None,
    layers: int | None = None,
    coverage: float = 0.99,
    max_showers: int = 1000,
) -> DerivedGeometry:
    """Find layers and cells from the positions of hits.

    Args:
        pattern: Files with hits at positions.
        config: Configuration whose first source of ``data`` says how they are read; needs no geometry. By default
            branches ``hit_x``, ``hit_y``, ``hit_z`` and ``hit_energy``.
        cell_size: Size of the cells along x and y [mm], where positions are on no grid or cells are to be merged.
        layers: Number of equal layers, where depths are in no planes or planes are to be merged.
        coverage: Share of the energy that the window of cells holds.
        max_showers: Showers to look at.

    Raises:
        ConfigError: No source of positions.
        DataError: The files are unreadable or have no hits.
        GeometryError: No planes or no grid, and no `layers` or `cell_size` instead; says what to give.
    """
    cloud = read_cloud([pattern], _schema(pattern, config), max_showers)
    return derive_cells(cloud, cell_size=cell_size, layers=layers, coverage=coverage)


def derive_cells(
    cloud: Cloud, *, cell_size: tuple[float, float] | None = None, layers: int | None = None, coverage: float = 0.99
) -> DerivedGeometry:
    """The same of hits in memory.

    Raises:
        GeometryError: No planes or no grid, and no `layers` or `cell_size` instead; says what to give.
    """
    depths = _Depths.of(cloud, layers, coverage)
    kept = cloud[depths.plane >= 0]
    plane = depths.plane[depths.plane >= 0]
    group = kept.shower * len(depths.depth) + plane
    axes = [
        _Axis.of(name, values, kept, plane, group, size, coverage)
        for name, values, size in zip("xy", (kept.x, kept.y), cell_size or (None, None), strict=True)
    ]
    places = zip(*(axis.edges for axis in axes), depths.depth, depths.spans, strict=True)
    geometry = Geometry(tuple(Layer(x, y, round(max(float(depth), 0.0), 4), span) for x, y, depth, span in places))
    held = geometry.locate(cloud.x, cloud.y, cloud.z if depths.edges else None) >= 0
    share = float(cloud.energy[held].sum() / cloud.energy.sum())
    notes = (
        f"found by calogan geometry from {cloud.n_showers} showers, {len(cloud.x)} hits",
        depths.note,
        *(axis.note for axis in axes),
        _left_out(geometry, share, float(np.mean(~held))),
    )
    return DerivedGeometry(geometry, notes)


def _left_out(geometry: Geometry, share: float, hits: float) -> str:
    return (
        f"{geometry.n_cells} cells in {geometry.n_layers} layers hold {share:.2%} of the energy; {1 - share:.2%} is "
        f"left out, with {hits:.2%} of the hits"
    )


@dataclass(frozen=True)
class _Depths:
    """Layers along the depth, their edges if they have any, and the layer of each hit, -1 for none."""

    depth: FloatArray
    edges: list[float]
    plane: NDArray[np.int64]
    note: str

    @classmethod
    def of(cls, cloud: Cloud, layers: int | None, coverage: float) -> _Depths:
        if not np.ptp(cloud.z):
            note = "depth: hits tell none; set that of the one layer to where the showers' centre is seen [mm]"
            return cls(cloud.z[:1], [], np.zeros(len(cloud.z), dtype=np.int64), note)
        planes = find_planes(cloud.z, cloud.shower)
        if planes is None and layers is None:
            msg = "the hits' depths are in no planes; say how many equal layers to make with --layers"
            raise GeometryError(msg)
        if planes is None:
            return cls._equal(cloud, int(layers or 1), coverage)
        return cls._of_planes(planes, layers)

    @classmethod
    def _of_planes(cls, planes: Planes, layers: int | None) -> _Depths:
        """A layer for each plane, or as many as asked for with almost equal numbers of them."""
        count = len(planes.depth)
        if layers is not None and layers > count:
            msg = f"--layers {layers}: hits are in {count} planes; ask for so many layers at most"
            raise GeometryError(msg)
        middles = (planes.depth[1:] + planes.depth[:-1]) / 2
        before, behind = _half(planes)
        edges = np.array([planes.depth[0] - before, *middles, planes.depth[-1] + behind])
        first = np.round(np.linspace(0, count, (layers or count) + 1)).astype(np.int64)
        layer = np.repeat(np.arange(len(first) - 1), np.diff(first))
        gaps = np.diff(planes.depth)
        spacing = f"{gaps.min():.4g} to {gaps.max():.4g} mm apart" if len(gaps) else "one alone"
        merged = "" if layers is None else f" {layers} layers of them, as asked for;"
        note = (
            f"depth: {count} planes, {spacing}, up to {planes.thickness:.2g} mm thick, hold "
            f"{np.mean(planes.plane >= 0):.1%} of the hits;{merged} layers reach half way to the next plane"
        )
        depth = np.bincount(layer, weights=planes.depth) / np.bincount(layer)
        plane = np.where(planes.plane >= 0, layer[planes.plane], -1)
        return cls(depth, [round(float(edge), 4) for edge in edges[first]], plane, note)

    @property
    def spans(self) -> list[tuple[float, float]] | list[None]:
        return list(pairwise(self.edges)) or [None]

    @classmethod
    def _equal(cls, cloud: Cloud, layers: int, coverage: float) -> _Depths:
        # hits in a plane at the back are inside
        back = _quantile(cloud.z, cloud.energy, 1 - (1 - coverage) / 2) + _BEHIND
        edges = np.linspace(0.0, back, layers + 1)
        plane = np.searchsorted(edges, cloud.z, side="right") - 1
        plane[(plane < 0) | (plane >= layers)] = -1
        note = f"depth: {layers} equal layers from the front face to {back:.4g} mm, as asked for"
        return cls((edges[1:] + edges[:-1]) / 2, [round(float(edge), 4) for edge in edges], plane, note)


@dataclass(frozen=True)
class _Axis:
    """Edges of each layer along one axis."""

    edges: list[tuple[float, ...]]
    note: str

    @classmethod
    def of(
        cls,
        name: str,
        values: FloatArray,
        cloud: Cloud,
        plane: NDArray[np.int64],
        group: NDArray[np.int64],
        size: float | None,
        coverage: float,
    ) -> _Axis:
        tail = (1 - coverage) / 8
        low, high = (_quantile(values, cloud.energy, at) for at in (tail, 1 - tail))
        if size is not None:
            grid, whole = _of_size(size, find_grid(values, group))
            return cls([_window(grid, low, high)] * (int(plane.max()) + 1), f"{name}: cells of {size:g} mm{whole}")
        grids = _grids(name, values, plane, group, cloud.energy)
        return cls([_window(grid, low, high) for grid in grids], f"{name}: {_describe(grids)}")


def _of_size(size: float, found: Grid | None) -> tuple[Grid, str]:
    """Cells of a size that is asked for: whole ones of the hits' grid where they have one and that goes."""
    centre, whole = 0.0, ", as asked for"
    if found is not None and found.aligned:
        number = round(size / found.pitch)
        if number and abs(size - number * found.pitch) < _SAME * found.pitch:
            centre = found.centre + (0.0 if number % 2 else found.pitch / 2)
            whole = f", as asked for: {number} of {found.pitch:g} mm each"
        else:
            whole = f", as asked for, though the hits' cells of {found.pitch:g} mm do not fill them"
    return Grid(size, centre, aligned=True, multiples=0.0, distances=0), whole


def _grids(
    name: str, values: FloatArray, plane: NDArray[np.int64], group: NDArray[np.int64], energy: FloatArray
) -> list[Grid]:
    """The grid of each layer: the common one if they agree; a layer that tells none has that of its neighbour."""
    common = find_grid(values, group)
    found = [find_grid(values[plane == layer], group[plane == layer]) for layer in range(int(plane.max()) + 1)]
    known = [grid for grid in found if grid is not None]
    same = common is not None and all(abs(grid.pitch - common.pitch) < _SAME * common.pitch for grid in known)
    # layers may be staggered: each with a grid that all showers share
    staggered = bool(known) and all(grid.aligned for grid in known) and not (common and common.aligned)
    if common is not None and same and not staggered:
        return [common] * len(found)
    if not known:
        width = _quantile(values, energy, 0.84) - _quantile(values, energy, 0.16)
        msg = (
            f"the hits' {name} are on no grid; give the size of the cells with --cell-size, such as {width / 6:.2g} "
            f"(two thirds of the energy lies within {width:.2g} mm)"
        )
        raise GeometryError(msg)
    last, grids = known[0], []
    for grid in found:
        last = last if grid is None else grid
        grids.append(last)
    return grids


def _describe(grids: Sequence[Grid]) -> str:
    pitches = list(dict.fromkeys(f"{grid.pitch:.4g}" for grid in grids))
    sizes = ", ".join(pitches[:6]) + (", ..." if len(pitches) > 6 else "")
    distances = sum(grid.distances for grid in dict.fromkeys(grids))
    least = min(grid.multiples for grid in grids)
    sure = f"cells of {sizes} mm: {least:.1%} of {distances} distances between neighbouring hits are multiples"
    if not all(grid.aligned for grid in grids):
        return (
            f"{sure}; each shower has a grid of its own, so that cells are put about the origin (try local_frame.cell "
            "with these sizes in an edm4hep source: a common grid may come of it)"
        )
    return f"{sure}, and all showers share one grid"


def _window(grid: Grid, low: float, high: float) -> tuple[float, ...]:
    """Edges of whole cells that hold an interval, made symmetric where that takes few cells."""
    first, last = (round((end - grid.centre) / grid.pitch) for end in (low, high))
    if abs(first + last) <= _SYMMETRIC:
        last = max(last, -first)
        first = -last
    edges = grid.centre + grid.pitch * (np.arange(first, last + 2) - 0.5)
    return tuple(round(float(edge), 4) for edge in edges)


def _half(planes: Planes) -> tuple[float, float]:
    """Half the distance of the first two planes and of the last two; of a single plane, its depth."""
    gaps = np.diff(planes.depth)
    if not len(gaps):
        half = max(float(planes.depth[0]), planes.thickness, 1.0)
        return half, half
    return float(gaps[0]) / 2, float(gaps[-1]) / 2


def _quantile(values: FloatArray, weights: FloatArray, share: float) -> float:
    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(total, share * total[-1])])


def _schema(pattern: str, config: Path | None) -> Schema:
    if config is None:
        (first, *_) = expand_files([pattern])
        trees = read_trees(first.path)
        named = [first.tree] if first.tree else [name for name, tree in trees.items() if "hit_x" in tree.branches]
        if not named:
            msg = f"{first.path}: no tree has a branch hit_x; say with --config CONFIG how hits are read"
            raise SchemaError(msg)
        depth = "hit_z" if named[0] in trees and "hit_z" in trees[named[0]].branches else None
        return Schema.from_source(PositionsSource(layout="positions", files=[pattern], tree=named[0], hit_z=depth))
    for source in load_data(config).sources:
        if source.layout in {"positions", "edm4hep"}:
            return Schema.from_source(source)
    msg = f"{config}: data.sources has none of layout positions or edm4hep, whose hits have positions"
    raise ConfigError(msg)
