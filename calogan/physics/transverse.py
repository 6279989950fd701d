"""Where a shower lies about its projected track: centres, widths, asymmetries, rings.

Each function takes a `ShowerView` and returns one number per shower, shape ``(showers,)``; NaN where a shower has no
such number, mostly because it is empty.
"""

from __future__ import annotations

from typing import Any

from calogan.physics.arrays import like, ratio
from calogan.physics.rings import cell_pitch
from calogan.physics.view import ShowerView

__all__ = ["asymmetry", "centre", "line_width", "radial_width", "ring_fraction", "ring_occupancy", "width"]


def centre(view: ShowerView, *, axis: int) -> Any:
    r"""Energy-weighted centre relative to the projected track, along x (axis 0) or y (axis 1) [mm].

    .. math:: \sum_i E_i (x_i - x - d_i p_x/p_z) / \sum_i E_i

    where :math:`d_i` is the depth of the cell's layer. NaN for an empty shower.
    """
    return view.centres[axis]


def width(view: ShowerView, *, axis: int) -> Any:
    """Energy-weighted standard deviation of the cells' x (axis 0) or y (axis 1) about the shower's axis [mm].

    The axis goes through the shower's centre along the incident direction; for one layer this is the plain
    standard deviation of the position. NaN for an empty shower.
    """
    return view.variances[axis] ** 0.5


def radial_width(view: ShowerView) -> Any:
    """Root mean square distance of the energy from the shower's axis [mm]; NaN for an empty shower."""
    return (view.variances[0] + view.variances[1]) ** 0.5


def asymmetry(view: ShowerView, *, longitudinal: bool) -> Any:
    r"""Energy imbalance about the projected track, from -1 to 1.

    .. math:: (E_+ - E_-) / E

    where the sides are parted by the line through the projected point perpendicular to the transverse momentum
    (longitudinal; plus is downstream) or along it (transverse; plus is to the left of the momentum).
    A cell whose centre is on the line counts for neither side. Without transverse momentum the line's
    direction is that of x. NaN for an empty shower.

    Source:
        arXiv:1812.01319, which projects to one fixed depth; here it is the depth of the cell's layer.
    """
    along, across = view.track_frame
    side = along if longitudinal else across
    return view.mean((side > 0) * 1.0 - (side < 0) * 1.0)


def line_width(view: ShowerView, *, longitudinal: bool) -> Any:
    """Energy-weighted standard deviation of position on a line of one cell's width through the projected point [mm].

    The line runs along the transverse momentum (longitudinal) or perpendicular to it (transverse). A cell whose
    centre is at a distance d from the line counts with the weight ``max(0, 1 - d / pitch)``, i.e. energies are
    interpolated linearly to the line; the pitch is the mean side of the layer's cells. NaN if no energy lies on the
    line.

    Source:
        arXiv:1812.01319, which samples an interpolated image along the line.
    """
    along, across = view.track_frame
    position, distance = (along, across) if longitudinal else (across, along)
    pitch = like(cell_pitch(view.geometry)[view.geometry.cell_layer], view.energy)[view.cell]
    weight = view.energy * (1 - abs(distance) / pitch).clip(0, None)
    total = view.sum(weight)
    mean = ratio(view.sum(weight * position), total)
    square = ratio(view.sum(weight * position * position), total)
    return (square - mean * mean).clip(0, None) ** 0.5


def ring_fraction(view: ShowerView, *, ring: int) -> Any:
    """Fraction of the energy in one of the geometry's rings about the projected track; NaN for an empty shower.

    A cell belongs to the ring that its centre is in; see `calogan.physics.rings.ring_edges`.
    """
    return ratio(view.ring_energy[:, ring], view.total)


def ring_occupancy(view: ShowerView, *, ring: int) -> Any:
    """Number of lit cells in one of the geometry's rings about the projected track; integers."""
    return view.ring_count[:, ring]
