"""Showers where particles really are: moved by whole cells between a large calorimeter and the trained window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, get_args

import numpy as np
from numpy.typing import NDArray

from calogan.bundle import BundleInfo
from calogan.data.hits import Hits
from calogan.data.showers import Index
from calogan.errors import ConfigError, DomainError, SchemaError
from calogan.geometry import Geometry
from calogan.physics.kinematics import Domain
from calogan.sampler.generated import GeneratedShowers
from calogan.sampler.request import Request

if TYPE_CHECKING:
    import awkward as ak

    from calogan.data.schema import Layout

__all__ = [
    "DENSE_CELLS",
    "CellPlacement",
    "Edge",
    "PlacedShowers",
    "Placement",
    "Placing",
    "WindowPlacement",
    "make_placement",
]

Placing = Literal["window", "cell"]
Edge = Literal["cut", "raise"]

_WHOLE = 1e-5
"""Of a cell: by how much a step may miss whole cells of a layer."""
_ON_SEAM = 1e-4
"""Of a step: by how much the seam between two steps lies beside the middle between them."""
_MOST_CELLS = 1000
"""Of the largest cells in a step."""
_FURTHEST = 2**31
"""Steps beyond which it does not matter how far a particle is from the calorimeter."""
DENSE_CELLS = 50_000
"""Cells of a calorimeter up to which files may hold them all: a thousand showers then take 200 MB."""


class Placement(Protocol):
    """What lies between the caller's particles and those that the network is asked for."""

    @property
    def domain(self) -> Domain:
        """Particles that showers can be made for."""

    def check(self, request: Request) -> None:
        """Refuse particles whose showers have no place."""

    def to_window(self, incident: NDArray[np.float32]) -> NDArray[np.float32]:
        """Particles as the network is to be asked for them, shape ``(showers, 5)``."""

    def place(self, showers: GeneratedShowers) -> GeneratedShowers:
        """The network's showers, which name the caller's particles, where these are."""


@dataclass(frozen=True)
class WindowPlacement:
    """Particles are where the surrogate was trained: nothing is moved.

    Attributes:
        domain: The surrogate's domain.
    """

    domain: Domain

    def check(self, request: Request) -> None:
        """See `Placement`."""

    def to_window(self, incident: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Placement`."""
        return incident

    def place(self, showers: GeneratedShowers) -> GeneratedShowers:
        """See `Placement`."""
        return showers


@dataclass(frozen=True, kw_only=True)
class PlacedShowers(GeneratedShowers):
    """Generated showers in a calorimeter that is larger than the grid that each was made in.

    `incident` is the caller's, in the calorimeter, and so are `hits()`, `to_awkward()` and `to_root()`; so is
    ``hits().to_cells()``, for all that needs arrays of all cells. `cell_energy` is not: it has the cells of the trained
    grid about each shower, which `geometry` numbers and `first` places; `in_window` has the particles that go with it.
    Cells beyond the calorimeter are 0 in it, and `total_energy` and `layer_energy` are without them.

    Attributes:
        calorimeter: Cells of the calorimeter.
        first: Row and column of the calorimeter where the grid's row 0 and column 0 are, int64, shape
            ``(showers, layers, 2)``; negative, or past the last, where the grid reaches beyond the calorimeter.
        lost_energy: Energy in cells that were cut since they are beyond the calorimeter [GeV], shape ``(showers,)``.
        window_incident: Incident particles as they were moved into the trained window, shape ``(showers, 5)``.
    """

    calorimeter: Geometry
    first: NDArray[np.int64]
    lost_energy: NDArray[np.float64]
    window_incident: NDArray[np.float32]

    def __getitem__(self, index: Index) -> Self:
        """Some of the showers, as of `GeneratedShowers`."""
        rows = self.rows(index)
        return replace(
            super().__getitem__(rows),
            first=self.first[rows],
            lost_energy=self.lost_energy[rows],
            window_incident=self.window_incident[rows],
        )

    def in_window(self) -> GeneratedShowers:
        """The showers where they were made, with their particles there: what observables about the track need."""
        values = {field.name: getattr(self, field.name) for field in fields(GeneratedShowers)}
        return GeneratedShowers(**values | {"incident": self.window_incident})

    def hits(self) -> Hits:
        """Cells of the calorimeter that saw energy, one a row."""
        grid = Hits.of(self)
        first = self.first[grid.shower, grid.layer]
        cell = self.calorimeter.flat_index(grid.layer, grid.row + first[:, 0], grid.column + first[:, 1])
        return replace(grid, geometry=self.calorimeter, cell=cell)

    def to_awkward(self) -> ak.Array:
        """Records as of `GeneratedShowers`, and lost_energy [GeV]; rows and columns are the calorimeter's."""
        import awkward as ak

        lost = ak.Array(self.lost_energy)
        return ak.with_field(
            super().to_awkward(), lost if self.counts is None else ak.unflatten(lost, self.counts), "lost_energy"
        )

    def to_root(self, path: str | Path, *, layout: Layout | None = None, tree: str | None = None) -> None:
        """Write a ROOT file as `GeneratedShowers` does, with the calorimeter's cells.

        The energy beyond the calorimeter is not in it, as in files of the full simulation.

        Args:
            path: File to write; it appears when it is complete.
            layout: ``"dense"`` or ``"hits"`` instead of the training data's; hits by default where that is dense.
            tree: Name of the tree instead of the training data's.

        Raises:
            SchemaError: A dense file of a calorimeter of more than 50,000 cells.
        """
        from calogan.data.writing import ShowerWriter

        self._require_unweighted(path)
        chosen = layout or (self.schema.layout if self.schema.jagged_branches else "hits")
        if chosen == "dense" and self.calorimeter.n_cells > DENSE_CELLS:
            msg = f"{path}: {self.calorimeter.n_cells} cells a shower are too many for a dense file; pass layout='hits'"
            raise SchemaError(msg)
        provenance = {**self.provenance, "seed": str(self.seed)}
        with ShowerWriter(
            path, self.schema, self.calorimeter, layout=chosen, tree=tree, provenance=provenance
        ) as writer:
            writer.extend(self, hits=self.hits())

    def to_hdf5(self, path: str | Path, *, layout: Layout | None = None) -> None:
        """Refused: HDF5 files do not say where on the calorimeter a particle enters.

        Raises:
            SchemaError: Always.
        """
        msg = f"{path}: HDF5 files have no place for entry points; call to_root, or in_window().to_hdf5 for the grid"
        raise SchemaError(msg)


@dataclass(frozen=True)
class CellPlacement:
    """Moves particles into the entry window, and their showers back, by whole cells in every layer.

    Where cells are of one size, a shower depends on where in a cell its particle enters, not on which cell that is. Of
    all points that are whole steps from a particle's, the one within half a step of the window's middle is taken, also
    where the particle is in the window itself. So the choice depends on the particle alone, not on what else is asked
    for, and particles whole steps apart, but else alike, noise included, have the same shower, moved.

    Where a shower's grid reaches beyond the calorimeter, its cells there are cut. Nothing is known about what a real
    edge does: energy that leaks out of the side, particles that scatter in a support structure, cells that are cut in
    half. Nor is there any energy further from the particle than the trained grid reaches.

    Attributes:
        grid: Cells that the surrogate makes showers in.
        calorimeter: Cells of the calorimeter: the same layers, moved by whole cells.
        trained: The surrogate's domain; its entry windows are those of all types.
        edge: ``"cut"``, or ``"raise"`` to refuse particles whose grid reaches beyond the calorimeter, be its cells
            there lit or dark.

    Raises:
        GeometryError: Cells of different sizes, or two geometries that do not go together.
        DomainError: No step fits into the entry window.
    """

    grid: Geometry
    calorimeter: Geometry
    trained: Domain
    edge: Edge = "cut"

    def __post_init__(self) -> None:
        """Refuse geometries and windows between which nothing can be moved."""
        _ = self._origin, self.step

    @cached_property
    def step(self) -> NDArray[np.float64]:
        """Shortest ways along x and y that are whole cells in every layer [mm], shape ``(2,)``."""
        windows = (self.trained.entry_x, self.trained.entry_y)
        steps = [
            _common_step(pitch, window, axis, self.trained.tolerance)
            for pitch, window, axis in zip(self.grid.pitch.T, windows, "xy", strict=True)
        ]
        return np.array(steps)

    @property
    def domain(self) -> Domain:
        """The surrogate's domain with the calorimeter's front layer for the entry window."""
        x, y = ((float(at.min()), float(at.max())) for at in self.calorimeter.layers[0].corners)
        return self.trained.entering(x, y)

    def check(self, request: Request) -> None:
        """Refuse particles near the edge, where the caller wants that.

        Raises:
            DomainError: Their grid reaches beyond the calorimeter.
        """
        if self.edge == "cut":
            return
        beyond = ~self._inside(self._first(request.incident))
        if beyond.any():
            first = int(np.argmax(beyond))
            x, y = request.incident[first, 3:]
            msg = (
                f"{int(beyond.sum())} of {len(request)} incident particles are so near to the edge of the calorimeter "
                f"that the trained grid reaches beyond it, the first is {request.where(first)} with x={x:.6g}, "
                f"y={y:.6g} [mm]; give it to the full simulation, or pass edge='cut'"
            )
            raise DomainError(msg)

    def to_window(self, incident: NDArray[np.float32]) -> NDArray[np.float32]:
        """Particles moved into the entry window, shape ``(showers, 5)``."""
        moved = incident.copy()
        moved[:, 3:] = self._split(incident)[0]
        return moved

    def place(self, showers: GeneratedShowers) -> PlacedShowers:
        """Showers moved to where their particles are; cells that are not in the calorimeter are cut."""
        first = self._first(showers.incident)
        cells, lost = showers.cell_energy, np.zeros(len(showers))
        over = ~self._inside(first)
        if over.any():
            cells = cells.copy()
            seen = self._seen(first[over])
            lost[over] = np.sum(cells[over], axis=1, dtype=np.float64, where=~seen)
            cells[over] *= seen
        values: dict[str, Any] = {field.name: getattr(showers, field.name) for field in fields(showers)}
        values |= {"cell_energy": cells, "provenance": {**showers.provenance, "placement": "cell"}}
        return PlacedShowers(
            **values,
            calorimeter=self.calorimeter,
            first=first,
            lost_energy=lost,
            window_incident=self.to_window(showers.incident),
        )

    def _split(self, incident: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Entry points in the window [mm], and steps from there to the caller's, both of shape ``(showers, 2)``."""
        point = incident[:, 3:].astype(np.float64)
        lowest = np.array(self.trained.entry_centre) - self.step / 2
        # Without the shift rounding would choose for points in the middle of a cell, where steps often end.
        shifted = point - lowest + _ON_SEAM * self.step
        near = lowest + np.remainder(shifted, self.step) - _ON_SEAM * self.step
        lowest_allowed, highest_allowed = np.array([self.trained.entry_x, self.trained.entry_y]).T
        near = np.clip(near, lowest_allowed, highest_allowed)
        steps = np.rint((point - near) / self.step)
        return near, np.clip(steps, -_FURTHEST, _FURTHEST).astype(np.int64)

    @cached_property
    def _origin(self) -> NDArray[np.int64]:
        """Row and column of the calorimeter at the grid's first cell, shape ``(layers, 2)``."""
        return self.grid.cells_from(self.calorimeter)

    def _first(self, incident: NDArray[np.float32]) -> NDArray[np.int64]:
        """Row and column of the calorimeter at the moved grid's first cell, shape ``(showers, layers, 2)``."""
        cells = np.rint(self.step / self.grid.pitch).astype(np.int64)
        return self._origin + self._split(incident)[1][:, None, :] * cells

    def _inside(self, first: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether all of a grid is in the calorimeter, shape ``(showers,)``."""
        room = _shape(self.calorimeter) - _shape(self.grid)
        return np.asarray(((first >= 0) & (first <= room)).all(axis=(1, 2)))

    def _seen(self, first: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of the grid's cells are in the calorimeter, shape ``(showers, cells)``."""
        grid, shape = self.grid, _shape(self.calorimeter)[self.grid.cell_layer]
        place = np.stack([grid.cell_row, grid.cell_column], axis=1) + first[:, grid.cell_layer]
        return np.asarray(((place >= 0) & (place < shape)).all(axis=2))


def make_placement(choice: Placing, calorimeter: Any, edge: Edge, info: BundleInfo) -> Placement:
    """What the sampler's arguments ask for.

    Args:
        choice: ``"window"`` or ``"cell"``.
        calorimeter: Its cells; those of the surrogate's showers if left out.
        edge: As of `CellPlacement`.
        info: The surrogate.

    Raises:
        ConfigError: An unknown choice, one that goes with ``"cell"`` without it, or a surrogate without entry point.
        GeometryError: As `CellPlacement`.
        DomainError: As `CellPlacement`.
    """
    for name, value, known in (("placement", choice, get_args(Placing)), ("edge", edge, get_args(Edge))):
        if value not in known:
            msg = f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}"
            raise ConfigError(msg)
    if calorimeter is not None and not isinstance(calorimeter, Geometry):
        msg = (
            f"calorimeter must be a Geometry, got {type(calorimeter).__name__}; of a YAML file, "
            "Geometry.from_dict(calogan.config.load_calorimeter(path).to_dict())"
        )
        raise ConfigError(msg)
    if choice == "window":
        if calorimeter is not None or edge != "cut":
            msg = "calorimeter and edge go with placement='cell'; pass that, too, or leave them out"
            raise ConfigError(msg)
        return WindowPlacement(info.domain)
    if "entry_point" not in info.condition:
        msg = (
            f"{info.id} was trained without an entry point: where in a cell its showers start is not known, so they "
            "cannot be placed; leave out placement='cell'"
        )
        raise ConfigError(msg)
    trained = info.domain.entering(*info.domain.common_window())
    return CellPlacement(info.geometry, calorimeter or info.geometry, trained, edge)


def _common_step(
    pitch: Sequence[float] | NDArray[np.float64], window: tuple[float, float], axis: str, tolerance: float
) -> float:
    sizes = np.unique(pitch)
    multiples = np.arange(1, _MOST_CELLS + 1) * sizes[-1]
    cells = multiples[:, None] / sizes
    common = multiples[(np.abs(cells - np.rint(cells)) <= _WHOLE).all(axis=1)]
    if len(common) and common[0] <= (window[1] - window[0]) * (1 + tolerance):
        return float(common[0])
    listed = " and ".join(dict.fromkeys(f"{size:g}" for size in sizes))
    shortest = f"the shortest step is {common[0]:g} mm" if len(common) else "there is no such step"
    msg = (
        f"placement='cell' moves showers by whole cells of every layer, along {axis} of {listed} mm: {shortest}, "
        f"but the entry window is {window[0]:g} to {window[1]:g} mm; train on a window of at least one step"
    )
    raise DomainError(msg)


def _shape(geometry: Geometry) -> NDArray[np.int64]:
    """Rows and columns, shape ``(layers, 2)``."""
    return np.array([(layer.rows, layer.columns) for layer in geometry.layers], dtype=np.int64)
