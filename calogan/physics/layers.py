"""How a shower develops from layer to layer.

Each function takes a `ShowerView` and returns one number per shower, shape ``(showers,)``; NaN where a shower has no
such number, mostly because it is empty.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from calogan.physics.arrays import like, logarithm, ratio
from calogan.physics.view import ShowerView

__all__ = [
    "depth",
    "depth_width",
    "hottest_layer",
    "layer_centre",
    "layer_energy",
    "layer_fraction",
    "layer_hottest_fraction",
    "layer_occupancy",
    "layer_radial_width",
    "layer_ratio",
    "layer_shift",
    "layer_width",
    "shower_maximum",
]


def layer_energy(view: ShowerView, *, layer: int) -> Any:
    """Energy in one layer [GeV]."""
    return view.layer_energy[:, layer]


def layer_fraction(view: ShowerView, *, layer: int) -> Any:
    """Fraction of the energy in one layer; NaN for an empty shower."""
    return ratio(view.layer_energy[:, layer], view.total)


def layer_occupancy(view: ShowerView, *, layer: int) -> Any:
    """Number of lit cells in one layer; integers."""
    return view.layer_count[:, layer]


def layer_centre(view: ShowerView, *, layer: int, axis: int) -> Any:
    """Energy-weighted centre in one layer relative to the projected track, along x (axis 0) or y (axis 1) [mm].

    NaN for a dark layer.
    """
    return view.layer_centres[axis][:, layer]


def layer_width(view: ShowerView, *, layer: int, axis: int) -> Any:
    """Energy-weighted standard deviation of the x (axis 0) or y (axis 1) of one layer's cells [mm].

    NaN for a dark layer, 0 for a layer whose lit cells have one and the same x or y.

    Source:
        arXiv:1712.10321 (CaloGAN, lateral width of a layer) and arXiv:2410.21611 (widths of the showers' layers).
    """
    return view.layer_variances[axis][:, layer] ** 0.5


def layer_radial_width(view: ShowerView, *, layer: int) -> Any:
    """Root mean square distance of one layer's energy from its own centre [mm]; NaN for a dark layer."""
    x, y = view.layer_variances
    return (x[:, layer] + y[:, layer]) ** 0.5


def layer_hottest_fraction(view: ShowerView, *, layer: int) -> Any:
    """Energy of the hottest cell of one layer over the energy of the layer; NaN for a dark layer.

    Source:
        arXiv:1712.10321, whose sparsity and ratio of the two hottest cells tell of the same.
    """
    return ratio(view.layer_hottest[:, layer], view.layer_energy[:, layer])


def layer_ratio(view: ShowerView, *, layer: int) -> Any:
    r"""Logarithm of the next layer's energy over that of `layer`; NaN where one of them is dark.

    .. math:: \ln (E_{l+1} / E_l)

    Its distribution has the correlation of successive layers in it, and more: layers drawn independently of each
    other make it too wide, also where their energies and their correlation coefficients are right.
    """
    inner, outer = view.layer_energy[:, layer], view.layer_energy[:, layer + 1]
    quotient = ratio(outer, inner)
    quotient[~(quotient > 0)] = float("nan")
    return logarithm(quotient)


def layer_shift(view: ShowerView, *, layer: int) -> Any:
    """Distance between the centres of `layer` and of the next one, seen from the track [mm]; NaN if one is dark.

    Layers whose showers are placed independently of each other make it too large.
    """
    x, y = (centres[:, layer + 1] - centres[:, layer] for centres in view.layer_centres)
    return (x * x + y * y) ** 0.5


def depth(view: ShowerView) -> Any:
    """Energy-weighted mean depth of the layers [mm]; NaN for an empty shower."""
    return ratio(view.layer_energy @ _depths(view), view.total)


def depth_width(view: ShowerView) -> Any:
    """Energy-weighted standard deviation of the layers' depths [mm]; NaN for an empty shower."""
    mean = depth(view)
    square = ratio(view.layer_energy @ _depths(view) ** 2, view.total)
    return (square - mean * mean).clip(0, None) ** 0.5


def shower_maximum(view: ShowerView) -> Any:
    r"""Depth of the maximum of the gamma distribution that has the shower's mean depth d and width w [mm].

    .. math:: t_{max} = (a - 1) / b = d - w^2 / d, \quad a = d^2 / w^2, \quad b = d / w^2

    Unlike the depth of the hottest layer it is a continuous number. NaN for an empty shower.

    Source:
        Longo and Sestili, Nucl. Instrum. Meth. 128 (1975) 283; the Review of Particle Physics (PDG), passage of
        particles through matter, electromagnetic cascades.
    """
    mean = depth(view)
    return mean - ratio(depth_width(view) ** 2, mean)


def hottest_layer(view: ShowerView) -> Any:
    """Number of the layer with the highest energy, the front one of equal ones; NaN for an empty shower."""
    layer = view.layer_energy.argmax(1) + 0 * view.total
    layer[view.total <= 0] = float("nan")
    return layer


def _depths(view: ShowerView) -> Any:
    return like(np.array([layer.depth for layer in view.geometry.layers]), view.energy)
