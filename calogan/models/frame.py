"""The local frame: a shower as its particle sees it, wherever the particle went and however it was mirrored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from calogan.errors import ConfigError
from calogan.geometry import Geometry, Layer, PolarLayer
from calogan.models.conditioning import Conditioning
from calogan.physics.kinematics import slopes

__all__ = ["LocalFrame", "LocalView"]

_MATRICES = {
    "flip_x": np.array([[-1.0, 0.0], [0.0, 1.0]]),
    "flip_y": np.array([[1.0, 0.0], [0.0, -1.0]]),
    "swap_xy": np.array([[0.0, 1.0], [1.0, 0.0]]),
}
_WEDGE = (math.cos(math.pi / 8), math.sin(math.pi / 8))
"""A direction that no reflection leaves as it is: of a particle's images, the one nearest to it is taken."""
BLUR = 0.08
"""Of the choice between images, relative to the largest slope, or in half cells where images are told apart by offset:
near the border of the wedge both images are taken, by chance."""
CELL_BLUR = 0.05
"""Of the choice of the track's cell, in widths of a cell: near a border either cell is taken, by chance."""
MARGIN = 3
"""Cells that there must be between every track and the end of an axis for it to be moved."""
_ON_BORDER = 1e-5
"""Widths of a cell below a border from which on a track is in the next cell, so that rounding does not choose."""
_ON_BOUNDARY = 1e-6
"""Images whose distances differ by less are the same, so that rounding does not choose between them."""


@dataclass(frozen=True)
class LocalView:
    """How showers of some incident particles look in the local frame.

    Attributes:
        features: The particle in the frame: scaled log momentum, slopes and offsets, shape ``(showers, features)``.
        place: Local number of each cell of the calorimeter, shape ``(showers, cells)``; None where it is its own.
    """

    features: Tensor
    place: Tensor | None

    def to_local(self, cells: Tensor) -> Tensor:
        """Numbers of the calorimeter's cells in the order of the frame, shape ``(showers, cells)``."""
        return cells if self.place is None else torch.empty_like(cells).scatter_(1, self.place, cells)

    def to_calorimeter(self, cells: Tensor) -> Tensor:
        """Numbers of the frame's cells in the order of the calorimeter, shape ``(showers, cells)``."""
        return cells if self.place is None else cells.gather(1, self.place)


class LocalFrame(nn.Module):
    r"""Moves each layer by whole cells so that the projected track meets its middle cell, and mirrors it.

    Cells of one size are the same everywhere, and so are showers: what remains of where the track goes is its offset
    from the middle of the cell that it meets. A calorimeter's symmetries reduce directions to a wedge, an eighth of
    all with reflections of x and y and their exchange. Where two images are about as near to the middle of the wedge,
    chance takes one, in training and in sampling: so nothing jumps where a direction passes from one image to another,
    and a particle along the axis has showers with all symmetries. Likewise with the two cells at a border that the
    track is close to.

    What would leave the calorimeter at one side comes in at the other, so that no cell is lost; so far from the track
    little energy is left to tell the sides apart. An axis is not moved if its cells differ in size, or if particles of
    the domain get nearer to its end than to its middle, or within `MARGIN` cells: there the end of the calorimeter
    matters, and the place of the track is told as it is. Rings about the calorimeter's axis are not moved at all,
    and count as if they were all of one width.

    Features, each about -1 to 1, offsets near a border a little beyond: scaled log momentum; slopes, if the condition
    has the direction; offset of the track in each layer, if it has direction or entry point; the particle's type as
    0 and 1, if it has that: mirror images are of the same type.

    Args:
        geometry: Cells of a shower.
        conditioning: What is known of incident particles.
        symmetries: Out of ``flip_x``, ``flip_y`` and ``swap_xy``; empty for none.

    Raises:
        ConfigError: The geometry does not have a symmetry.
    """

    matrices: Tensor
    images: Tensor
    cell_x: Tensor
    cell_y: Tensor
    cell_spread: Tensor
    cell_distance: Tensor
    depths: Tensor

    def __init__(self, geometry: Geometry, conditioning: Conditioning, symmetries: Sequence[str]) -> None:
        super().__init__()
        self.conditioning = conditioning
        self.directed = "direction" in conditioning.names
        self.widest = conditioning.largest_slope if self.directed else 1.0
        self.located = self.directed or "entry_point" in conditioning.names
        if symmetries and not self.located:
            msg = "model.symmetries needs direction or entry_point in the condition, to know which image a shower is"
            raise ConfigError(msg)
        self.grids = [_grid(layer, conditioning) for layer in geometry.layers]
        self.runs = [(grid, len(list(equal))) for grid, equal in groupby(self.grids)]
        matrices, images = _group(symmetries, geometry, self.grids)
        known = zip(geometry.layers, self.grids, strict=True)
        spread = [_evenly(layer).spread for layer in geometry.layers]
        x, y = torch.tensor(np.concatenate([grid.places(layer) for layer, grid in known], axis=1), dtype=torch.float32)
        constants = {
            "matrices": torch.tensor(matrices, dtype=torch.float32),
            "images": torch.tensor(images),
            "cell_x": x,
            "cell_y": y,
            "cell_spread": torch.tensor(np.concatenate(spread), dtype=torch.float32),
            "cell_distance": _distances(geometry, x, y),
            "depths": torch.tensor([layer.depth for layer in geometry.layers], dtype=torch.float32),
        }
        for name, values in constants.items():
            self.register_buffer(name, values, persistent=False)

    @property
    def size(self) -> int:
        """Number of features."""
        return 1 + 2 * self.directed + 2 * len(self.grids) * self.located + self.n_types

    @property
    def n_types(self) -> int:
        """Number of features, the last ones, that tell the particle's type."""
        return self.conditioning.n_types

    @property
    def choices(self) -> int:
        """Standard normals that choose a shower's cell in x and y and its image."""
        return 2 * self.located + self._images

    @property
    def _images(self) -> int:
        """Images to choose from; none without symmetries."""
        return len(self.matrices) if len(self.matrices) > 1 else 0

    def forward(self, incident: Tensor, choice: Tensor | None = None) -> LocalView:
        """How showers look in the frame.

        Args:
            incident: Incident particles, shape ``(showers, 5)``, or 6 with the type.
            choice: Standard normals, shape ``(showers, choices)``; the nearest image and the track's own cell are
                taken if left out.
        """
        shift_x, shift_y, image_choice = self._split(choice)
        told = self.conditioning.told(incident)
        direction = torch.stack(slopes(told), dim=1)
        position = told[:, 3:, None] + self.depths * direction.unsqueeze(2)
        places, offset = self._placed(position, shift_x, shift_y)
        image = self._image(direction if self.directed else offset[:, 0], image_choice)
        matrix = self.matrices[image]
        features = [self.conditioning.momentum(incident)]
        if self.directed:
            features.append(_turn(matrix, direction) / self.conditioning.largest_slope)
        if self.located:
            features.append(_turn(matrix.unsqueeze(1), offset).flatten(1))
        if self.n_types:
            features.append(self.conditioning.particle(incident))
        if self.still:
            return LocalView(torch.cat(features, dim=1), None)
        place = self.images.index_select(0, image).gather(1, torch.cat(places, dim=1))
        return LocalView(torch.cat(features, dim=1), place)

    def _placed(
        self, position: Tensor, shift_x: Tensor | float, shift_y: Tensor | float
    ) -> tuple[list[Tensor], Tensor]:
        """Where moved layers have their cells, before they are mirrored, and offsets of the track in all layers.

        Args:
            position: Of the track in each layer along x and y [mm], shape ``(showers, 2, layers)``.
            shift_x: Shift of the cells' borders in x, in widths of a cell.
            shift_y: The same in y.

        Returns:
            Numbers of cells, ``(showers, cells)`` for each run of layers, none where no cell ever moves; and offsets,
            shape ``(showers, layers, 2)``.
        """
        places, offsets, layer, first = [], [], 0, 0
        for grid, layers in self.runs:
            x, y = position[:, :, layer : layer + layers].unbind(dim=1)
            place, offset = grid.place(x, y, shift_x, shift_y)
            offsets.append(offset)
            if not self.still:
                starts = torch.arange(first, first + layers * grid.n_cells, grid.n_cells, device=position.device)
                places.append((place + starts.unsqueeze(1)).flatten(1))
            layer, first = layer + layers, first + layers * grid.n_cells
        return places, torch.cat(offsets, dim=1)

    @property
    def still(self) -> bool:
        """Whether every cell stays where it is, whatever the particle."""
        return all(isinstance(grid, _Disc) for grid in self.grids)

    def _split(self, choice: Tensor | None) -> tuple[Tensor | float, Tensor | float, Tensor | None]:
        """Shifts of the cells' borders in x and y, in widths of a cell, and the noise of the images."""
        if choice is None or not self.located:
            return 0.0, 0.0, choice
        return CELL_BLUR * choice[:, 0:1], CELL_BLUR * choice[:, 1:2], choice[:, 2:]

    def _image(self, direction: Tensor, choice: Tensor | None) -> Tensor:
        """Number of the image whose direction is nearest to the wedge's middle, or nearly so, shape ``(showers,)``."""
        if not self._images:
            return torch.zeros_like(direction[:, 0], dtype=torch.int64)
        towards = _WEDGE[0] * self.matrices[:, 0] + _WEDGE[1] * self.matrices[:, 1]
        nearness = direction[:, 0:1] * towards[:, 0] + direction[:, 1:2] * towards[:, 1]
        number = torch.arange(len(self.matrices), device=direction.device)
        nearness = nearness if choice is None else nearness + BLUR * self.widest * choice
        return (nearness - _ON_BOUNDARY * number).argmax(dim=1)


@dataclass(frozen=True)
class _Axis:
    """Cells along one axis of a layer, and the middle of all tracks; `pitch` is None where it is not moved."""

    cells: int
    low: float
    high: float
    pitch: float | None
    tracks: float

    @classmethod
    def of(cls, edges: Sequence[float], furthest: tuple[float, float]) -> _Axis:
        """The axis, whose tracks are between two positions."""
        widths, middle, half = np.diff(edges), 0.5 * (edges[0] + edges[-1]), 0.5 * (edges[-1] - edges[0])
        even, away = np.ptp(widths) <= 1e-4 * widths.mean(), max(abs(at - middle) for at in furthest)
        moved = even and away <= min(0.5 * half, half - MARGIN * float(widths.mean()))
        pitch = float(widths.mean()) if moved else None
        return cls(len(widths), edges[0], edges[-1], pitch, 0.5 * (furthest[0] + furthest[1]))

    def place(self, position: Tensor, shift: Tensor | float) -> tuple[Tensor, Tensor]:
        """Where the axis' cells lie once the cell of the track is in the middle, and the track's offset in it.

        Args:
            position: Of the track in some layers, shape ``(showers, layers)``.
            shift: In widths of a cell, how far off the track counts when its cell is chosen; shape ``(showers, 1)``.

        Returns:
            Numbers of cells, shape ``(showers, layers, cells)``, and offsets of about -1 to 1, shape of the positions.
        """
        number = torch.arange(self.cells, device=position.device)
        if self.pitch is None:
            middle, half = 0.5 * (self.low + self.high), 0.5 * (self.high - self.low)
            return number.expand(*position.shape, -1), (position - middle) / half
        scaled = (position - self.low) / self.pitch
        cell = (scaled + _ON_BORDER + shift).floor()
        return (number - cell.long().unsqueeze(2) + self.cells // 2) % self.cells, 2 * (scaled - cell) - 1

    def places(self, edges: Sequence[float]) -> NDArray[np.float64]:
        """Positions of the cells [mm] from the middle of the track's cell, or of all tracks, shape ``(cells,)``."""
        if self.pitch is not None:
            return np.asarray((np.arange(self.cells) - self.cells // 2) * self.pitch)
        return np.asarray(0.5 * (np.array(edges[:-1]) + np.array(edges[1:])) - self.tracks)


@dataclass(frozen=True)
class _Grid:
    """A layer of rows along x and columns along y."""

    along_x: _Axis
    along_y: _Axis

    @property
    def n_cells(self) -> int:
        return self.along_x.cells * self.along_y.cells

    def place(self, x: Tensor, y: Tensor, shift_x: Tensor | float, shift_y: Tensor | float) -> tuple[Tensor, Tensor]:
        """Where the cells of some layers lie, ``(showers, layers, cells)``, and offsets, ``(showers, layers, 2)``."""
        row, offset_x = self.along_x.place(x, shift_x)
        column, offset_y = self.along_y.place(y, shift_y)
        place = row.unsqueeze(3) * self.along_y.cells + column.unsqueeze(2)
        return place.flatten(2), torch.stack([offset_x, offset_y], dim=2)

    def places(self, layer: Layer | PolarLayer) -> NDArray[np.float64]:
        """Positions of the cells in the frame along x and y [mm], shape ``(2, cells)``."""
        assert isinstance(layer, Layer)
        along = self.along_x.places(layer.x_edges), self.along_y.places(layer.y_edges)
        return np.stack([places.ravel() for places in np.meshgrid(*along, indexing="ij")])


@dataclass(frozen=True)
class _Disc:
    """A layer of rings, which is not moved, and the middle of all tracks."""

    n_cells: int
    radius: float
    tracks: tuple[float, float]

    def place(self, x: Tensor, y: Tensor, shift_x: Tensor | float, shift_y: Tensor | float) -> tuple[Tensor, Tensor]:
        """As of `_Grid`, with each cell in its own place and offsets in units of the radius."""
        number = torch.arange(self.n_cells, device=x.device)
        return number.expand(*x.shape, -1), torch.stack([x, y], dim=2) / self.radius

    def places(self, layer: Layer | PolarLayer) -> NDArray[np.float64]:
        """As of `_Grid`."""
        return np.asarray(np.stack(_evenly(layer).centres) - np.array(self.tracks)[:, None])


def _evenly(layer: Layer | PolarLayer) -> Layer | PolarLayer:
    """The layer with rings of one width: where the outermost are a thousand times as wide, they would rule all sums."""
    if isinstance(layer, Layer):
        return layer
    return replace(layer, r_edges=tuple(np.linspace(0.0, layer.radius, layer.columns + 1).tolist()))


def _turn(matrix: Tensor, vector: Tensor) -> Tensor:
    return matrix[..., 0] * vector[..., 0:1] + matrix[..., 1] * vector[..., 1:2]


def _distances(geometry: Geometry, x: Tensor, y: Tensor) -> Tensor:
    """Distance of each cell from the track in widths of a cell, or the number of its ring, shape ``(cells,)``."""
    width = torch.tensor([layer.cell_width for layer in geometry.layers], dtype=torch.float32)
    rings = torch.tensor([isinstance(layer, PolarLayer) for layer in geometry.layers])
    layer, ring = torch.from_numpy(geometry.cell_layer), torch.from_numpy(geometry.cell_column)
    return torch.where(rings[layer], ring.float(), torch.hypot(x, y) / width[layer])


def _grid(layer: Layer | PolarLayer, conditioning: Conditioning) -> _Grid | _Disc:
    if isinstance(layer, PolarLayer):
        return _Disc(layer.n_cells, layer.radius, conditioning.domain.entry_centre)
    domain, centre = conditioning.domain, conditioning.domain.entry_centre
    away = layer.depth * math.tan(domain.max_angle) if "direction" in conditioning.names else 0.0
    known = "entry_point" in conditioning.names
    windows = (domain.entry_x, domain.entry_y) if known else [(middle, middle) for middle in centre]
    along_x, along_y = ((low - away, high + away) for low, high in windows)
    return _Grid(_Axis.of(layer.x_edges, along_x), _Axis.of(layer.y_edges, along_y))


def _group(
    names: Sequence[str], geometry: Geometry, grids: Sequence[_Grid | _Disc]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """All reflections that the named ones make: matrices, and where each moves the frame's cells."""
    generators = [(_MATRICES[name], _mirrored(name, geometry, grids)) for name in names]
    group = [(np.eye(2), np.arange(geometry.n_cells))]
    for matrix, target in group:  # grows until the group is closed
        for other, moved in generators:
            product = other @ matrix
            if not any(np.array_equal(product, known) for known, _ in group):
                group.append((product, moved[target]))
    return np.stack([matrix for matrix, _ in group]), np.stack([target for _, target in group])


def _mirrored(name: str, geometry: Geometry, grids: Sequence[_Grid | _Disc]) -> NDArray[np.int64]:
    """For each cell of the frame, the cell that shows it in the mirror."""
    target = []
    for number, (layer, grid) in enumerate(zip(geometry.layers, grids, strict=True)):
        if isinstance(layer, PolarLayer) or isinstance(grid, _Disc):
            msg = f"model.symmetries lists {name}, but layer {number} has rings, which are not mirrored; leave it out"
            raise ConfigError(msg)
        edges = np.array(layer.x_edges), np.array(layer.y_edges)
        images = {"flip_x": (-edges[0][::-1], edges[1]), "flip_y": (edges[0], -edges[1][::-1]), "swap_xy": edges[::-1]}
        if any(
            one.shape != other.shape or not np.allclose(one, other, atol=1e-3)
            for one, other in zip(images[name], edges, strict=True)
        ):
            msg = f"model.symmetries lists {name}, but the edges of layer {number} do not have that symmetry"
            raise ConfigError(msg)
        if name == "swap_xy" and (grid.along_x.pitch is None) != (grid.along_y.pitch is None):
            msg = (
                f"model.symmetries lists swap_xy, but particles come nearer to the end of layer {number} in one of x "
                "and y than in the other; leave it out, or make the entry windows alike"
            )
            raise ConfigError(msg)
        row, column = np.divmod(np.arange(layer.n_cells), layer.columns)
        if name == "flip_x":
            row = _reversed(row, grid.along_x)
        elif name == "flip_y":
            column = _reversed(column, grid.along_y)
        else:
            row, column = column, row
        target.append(geometry.offsets[number] + row * layer.columns + column)
    return np.concatenate(target)


def _reversed(number: NDArray[np.int64], axis: _Axis) -> NDArray[np.int64]:
    """Cells along an axis counted from the other side; the middle cell of a moved axis stays where it is."""
    last = 2 * (axis.cells // 2) if axis.pitch is not None else axis.cells - 1
    return (last - number) % axis.cells
