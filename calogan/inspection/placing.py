"""Sizes and depths of cells, measured by how the centre of showers follows the incident particles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calogan.geometry import Geometry
from calogan.inspection.rounding import within_error
from calogan.inspection.sample import Sample

__all__ = ["Axis", "Placed", "place_cells"]

_FEWEST = 50  # showers of a fit
_LARGEST_ERROR, _LARGEST_DEPTH_ERROR = 0.05, 0.25
# Within a cell wider than a shower the centre moves slowly, and fast from one to the next: tracks must cover several.
_LEAST_CROSSED, _LEAST_CROSSED_FOR_DEPTH = 2.0, 1.0
_ON_AXIS = 0.1  # of a cell: by how much the grid may be off the axis for its middle to be taken as there
_SIGNIFICANT = 5.0


@dataclass(frozen=True)
class _Fit:
    """Centre of a layer's energy along an axis, as a function of the particle's entry point and slope.

    Attributes:
        pitch: Length by which the entry point moves for the centre to move by a cell; NaN if that cannot be told.
        error: Its error.
        middle: Position of the grid's middle.
        depth: Depth of the centre; NaN if that cannot be told.
        depth_error: Its error.
        cells: Number of cells along the axis.
        crossed: Cells that the tracks of nearly all particles cover at that depth.
    """

    pitch: float
    error: float
    middle: float
    depth: float
    depth_error: float
    cells: int
    crossed: float = 0.0

    @property
    def is_measured(self) -> bool:
        """Whether the size of a cell is known to 5%."""
        return self.crossed >= _LEAST_CROSSED and self.error < _LARGEST_ERROR * self.pitch


@dataclass(frozen=True)
class Axis:
    """Cells along one axis of all layers: they cover the same width.

    Attributes:
        width: Of the calorimeter.
        error: Of the width.
        middle: Where its middle is.
        is_measured: Whether showers tell, not the other axis or an assumption.
    """

    width: float
    error: float
    middle: float
    is_measured: bool


@dataclass(frozen=True)
class Placed:
    """What showers tell of cells, in the file's unit of length.

    Attributes:
        axes: Along x and y; None where there is no entry point that the showers follow.
        depths: Of each layer; NaN where the showers do not tell.
        mean_depth: Of the energy in all layers; None where no layer's is known.
    """

    axes: tuple[Axis, Axis] | None
    depths: tuple[float, ...]
    mean_depth: float | None


def place_cells(sample: Sample, geometry: Geometry) -> Placed:
    r"""Fit the centre of each layer's energy, and see how wide the calorimeter is and how deep its layers are.

    .. math:: c = c_0 + (x + d \, p_x / p_z) / a

    with the centre :math:`c` in cells, the size of a cell :math:`a` and the depth of the layer :math:`d`. The layer
    with the most cells along an axis gives the width of all: the centre in cells wider than a shower is drawn to the
    middle of a cell, which spoils the size, but not the depth, a ratio of two coefficients.

    Args:
        sample: Showers in cells of size 1 around the axis.
        geometry: Those cells.
    """
    forward = sample.incident[:, 2] > 0
    fits = [
        [_fit(sample.centre[forward, layer, axis], sample.incident[forward], axis, cells) for layer, cells in counts]
        for axis in (0, 1)
        for counts in [list(enumerate([(one.rows, one.columns)[axis] for one in geometry.layers]))]
    ]
    axes = _axes([_axis(along) for along in fits])
    depths = tuple(_depth([fits[axis][layer] for axis in (0, 1)]) for layer in range(geometry.n_layers))
    share = sample.layer_energy.sum(axis=0)
    told = np.isfinite(depths)
    mean = float(np.average(np.array(depths)[told], weights=share[told])) if share[told].sum() > 0 else None
    return Placed(axes, depths, mean)


def _fit(centre: NDArray[np.float64], incident: NDArray[np.float64], axis: int, cells: int) -> _Fit:
    lit = np.isfinite(centre)
    entry, slope = incident[lit, 3 + axis], incident[lit, axis] / incident[lit, 2]
    nothing = _Fit(np.nan, np.nan, 0.0, np.nan, np.nan, cells)
    if cells < 2 or len(entry) < _FEWEST or not np.ptp(entry) > 0:
        return nothing
    columns = [np.ones_like(entry), *(column for column in (entry, slope) if np.ptp(column) > 0)]
    matrix = np.stack(columns, axis=1)
    scale = np.abs(matrix).max(axis=0)
    found, *_ = np.linalg.lstsq(matrix / scale, centre[lit], rcond=None)
    left = centre[lit] - matrix / scale @ found
    errors = np.sqrt(np.diag(np.linalg.pinv((matrix / scale).T @ (matrix / scale))) * left.var()) / scale
    values = found / scale
    if not values[1] > 0:
        return nothing
    pitch = 1 / values[1]
    relative = errors / np.maximum(np.abs(values), 1e-300)
    depth = values[2] * pitch if len(values) == 3 else np.nan
    low, high = np.quantile(matrix[:, 1:] @ values[1:], [0.05, 0.95])
    off = abs(values[0]) > max(_ON_AXIS, _SIGNIFICANT * errors[0])
    return _Fit(
        pitch=float(pitch),
        error=float(pitch * relative[1]),
        middle=float(-values[0] * pitch) if off else 0.0,
        depth=float(depth),
        depth_error=float(abs(depth) * np.hypot(relative[1], relative[-1])),
        cells=cells,
        crossed=float(high - low),
    )


def _axis(fits: Sequence[_Fit]) -> Axis | None:
    measured = [fit for fit in fits if fit.is_measured]
    if not measured:
        return None
    best = max(measured, key=lambda fit: (fit.cells, -fit.error))
    width, error = best.pitch * best.cells, best.error * best.cells
    return Axis(width, error, within_error(best.middle, best.error), is_measured=True)


def _axes(found: Sequence[Axis | None]) -> tuple[Axis, Axis] | None:
    """Axes with rounded widths: one width for both where one is not known, or they agree within their errors."""
    known = [axis for axis in found if axis is not None]
    if not known:
        return None
    if len(known) == 1 or abs(known[0].width - known[1].width) < 2 * math.hypot(known[0].error, known[1].error):
        weights = [axis.error**-2 for axis in known]
        width, error = np.average([axis.width for axis in known], weights=weights), sum(weights) ** -0.5
        known = [replace(axis or Axis(0.0, 0.0, 0.0, is_measured=False), width=width, error=error) for axis in found]
    first, second = (replace(axis, width=within_error(axis.width, axis.error)) for axis in known)
    return first, second


def _depth(fits: Sequence[_Fit]) -> float:
    good = [fit for fit in fits if fit.crossed >= _LEAST_CROSSED_FOR_DEPTH and fit.depth > 0]
    good = [fit for fit in good if fit.depth_error < _LARGEST_DEPTH_ERROR * fit.depth]
    if not good:
        return float("nan")
    weights = [1 / max(fit.depth_error, 1e-12) ** 2 for fit in good]
    mean = float(np.average([fit.depth for fit in good], weights=weights))
    return within_error(mean, float(np.sum(weights)) ** -0.5)
