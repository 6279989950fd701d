"""How a shower develops from layer to layer.

Each function takes a `ShowerView` and returns one number per shower, shape ``(showers,)``; NaN where a shower has no
such number, mostly because it is empty.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from calogan.physics.arrays import like, logarithm, ratio
from calogan.physics.view import ShowerView

__all__ = ["depth", "depth_width", "layer_energy", "layer_fraction", "layer_occupancy", "layer_ratio", "layer_shift"]


def layer_energy(view: ShowerView, *, layer: int) -> Any:
    """Energy in one layer [GeV]."""
    return view.layer_energy[:, layer]


def layer_fraction(view: ShowerView, *, layer: int) -> Any:
    """Fraction of the energy in one layer; NaN for an empty shower."""
    return ratio(view.layer_energy[:, layer], view.total)


def layer_occupancy(view: ShowerView, *, layer: int) -> Any:
    """Number of lit cells in one layer; integers."""
    return view.layer_count[:, layer]


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


def _depths(view: ShowerView) -> Any:
    return like(np.array([layer.depth for layer in view.geometry.layers]), view.energy)
