"""The observables of this package, in a registry with units and axis labels."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from calogan.errors import ConfigError, near_miss
from calogan.geometry import Geometry, PolarLayer
from calogan.physics import cells, layers, neighbours, transverse
from calogan.physics.arrays import ratio
from calogan.physics.kinematics import momentum
from calogan.physics.observable import Observable, ViewFunction
from calogan.physics.rings import ring_edges
from calogan.physics.view import FAINT, ShowerView, shower_views

__all__ = [
    "CORRELATION_MINIMA",
    "MANY_LAYERS",
    "OBSERVABLES",
    "OCCUPANCY_MINIMA",
    "PAIR_MINIMA",
    "Observable",
    "compute_observables",
    "geometry_observables",
    "is_registered",
    "observable_names",
    "response",
    "total_energy",
    "what_was_raised",
]

OCCUPANCY_MINIMA = (1, 3, 10, 30, 100)  # [MeV], as in the observables' names
PAIR_MINIMA = (1, 3, 10)  # [MeV], as in the observables' names
CORRELATION_MINIMA = (1, 3)  # [MeV], as in the observables' names
MANY_LAYERS, SPREAD_LAYERS = 12, 9
"""A calorimeter of more layers than the first has observables of layers for as many as the second says, spread evenly:
five numbers of each of 45 layers would be more than the report's reader, its classifiers and its criteria can use."""
_LEAST_LAYERS = 5  # that show where a shower's maximum is


def total_energy(view: ShowerView) -> Any:
    """Energy in all cells [GeV], shape ``(showers,)``."""
    return view.total


def response(view: ShowerView) -> Any:
    """Visible energy over incident momentum, shape ``(showers,)``; 0 for an empty shower."""
    return ratio(view.total, momentum(view.incident))


@dataclass(frozen=True)
class _Family:
    """Observables of one kind, numbered by layer or ring: ``{kind}_{number}``.

    Attributes:
        function: ``(view, layer=number)`` or ``(view, ring=number)``.
        counted: What is numbered.
        label: Label with the fields ``{number}`` and ``{next}``.
        numbers: Numbers that a geometry has, or, of many layers, those that are looked at.
        how: Other attributes of the observables.
    """

    function: Callable[..., Any]
    counted: Literal["layer", "ring"]
    label: str
    numbers: Callable[[Geometry], Sequence[int]]
    how: Mapping[str, Any]

    def observable(self, number: int) -> Observable:
        """The one of a number."""
        function = ViewFunction(partial(self.function, **{self.counted: number}))
        label = self.label.format(number=number, next=number + 1)
        return Observable(function, label, applies=lambda geometry: number in self.numbers(geometry), **self.how)


def _layers(geometry: Geometry) -> Sequence[int]:
    return _spread_over(geometry.n_layers) if geometry.n_layers > 1 else ()


def _steps(geometry: Geometry) -> Sequence[int]:
    return _spread_over(geometry.n_layers - 1)


def _spread_over(layers: int) -> Sequence[int]:
    """All layers, or as many as a reader can take in, from the first to the last in steps as equal as can be."""
    return (
        range(layers)
        if layers <= MANY_LAYERS
        else np.linspace(0, layers - 1, SPREAD_LAYERS).round().astype(int).tolist()
    )


def _layer_axes(kind: str, function: Callable[..., Any], label: str) -> dict[str, _Family]:
    """A family for x and one for y."""
    return {
        f"layer_{kind}_{name}": _Family(
            partial(function, axis=axis), "layer", label.format(axis=f"${name}$"), _layers, {"unit": "mm"}
        )
        for axis, name in enumerate("xy")
    }


def _rings(geometry: Geometry) -> Sequence[int]:
    rings = len(ring_edges(geometry)) - 1
    return range(rings) if rings > 1 else ()


_FAMILIES: Mapping[str, _Family] = {
    "ring_fraction": _Family(transverse.ring_fraction, "ring", "energy fraction in ring {number}", _rings, {}),
    "ring_occupancy": _Family(
        transverse.ring_occupancy, "ring", "lit cells in ring {number}", _rings, {"discrete": True}
    ),
    "layer_energy": _Family(
        layers.layer_energy, "layer", "energy in layer {number}", _layers, {"unit": "GeV", "scale": "log"}
    ),
    "layer_fraction": _Family(layers.layer_fraction, "layer", "energy fraction in layer {number}", _layers, {}),
    "layer_occupancy": _Family(
        layers.layer_occupancy, "layer", "lit cells in layer {number}", _layers, {"discrete": True}
    ),
    "layer_ratio": _Family(layers.layer_ratio, "layer", r"$\ln(E_{{{next}}}/E_{{{number}}})$ of layers", _steps, {}),
    "layer_shift": _Family(
        layers.layer_shift, "layer", "distance of the centres of layers {number} and {next}", _steps, {"unit": "mm"}
    ),
    **_layer_axes("centre", layers.layer_centre, "{axis} of the centre of layer {{number}} from the track"),
    **_layer_axes("width", layers.layer_width, "width in {axis} in layer {{number}}"),
    "layer_radial_width": _Family(
        layers.layer_radial_width, "layer", "radial width in layer {number}", _layers, {"unit": "mm"}
    ),
    "layer_hottest_fraction": _Family(
        layers.layer_hottest_fraction, "layer", "hottest cell's fraction of the energy in layer {number}", _layers, {}
    ),
}


class _Catalogue(dict[str, Observable]):
    """Observables of any geometry; those of layers and rings on demand."""

    def __missing__(self, name: str) -> Observable:
        found = _family(name)
        if found is None:
            msg = f"unknown observable {name!r}; {near_miss(name, self)}"
            raise ConfigError(msg)
        family, number = found
        return family.observable(number)


def _family(name: str) -> tuple[_Family, int] | None:
    match = re.fullmatch(r"(\w+)_(0|[1-9]\d*)", name)
    return (_FAMILIES[match[1]], int(match[2])) if match and match[1] in _FAMILIES else None


def _has_lines(geometry: Geometry) -> bool:
    """Whether every layer has a grid that straight lines go through cell by cell."""
    return geometry.n_cells > 1 and not any(isinstance(layer, PolarLayer) for layer in geometry.layers)


def _transverse_observables() -> dict[str, Observable]:
    found = {}
    for axis, name in enumerate("xy"):
        centre, width = partial(transverse.centre, axis=axis), partial(transverse.width, axis=axis)
        found[f"centre_{name}"] = Observable(ViewFunction(centre), f"${name}$ of the centre from the track", "mm")
        found[f"width_{name}"] = Observable(ViewFunction(width), f"width in ${name}$", "mm")
    found["radial_width"] = Observable(ViewFunction(transverse.radial_width), "radial width", "mm")
    for longitudinal, name in ((True, "longitudinal"), (False, "transverse")):
        asymmetry = partial(transverse.asymmetry, longitudinal=longitudinal)
        width = partial(transverse.line_width, longitudinal=longitudinal)
        found[f"{name}_asymmetry"] = Observable(ViewFunction(asymmetry), f"{name} asymmetry")
        found[f"{name}_width"] = Observable(ViewFunction(width), f"{name} width along a line", "mm", applies=_has_lines)
    return found


def _cell_observables() -> dict[str, Observable]:
    found = {"occupancy": Observable(ViewFunction(cells.occupancy), "lit cells", discrete=True)}
    for minimum in OCCUPANCY_MINIMA:
        function = ViewFunction(partial(cells.occupancy, minimum=minimum / 1000))
        found[f"occupancy_{minimum}mev"] = Observable(function, f"cells of {minimum} MeV or more", discrete=True)
    for rank, name in enumerate(("hottest", "second_hottest")):
        function = ViewFunction(partial(cells.hottest_fraction, rank=rank))
        label = f"energy fraction of the {name.replace('_', '-')} cell"
        found[f"{name}_fraction"] = Observable(function, label)
    found["hottest_ratio"] = Observable(ViewFunction(cells.hottest_ratio), "second-hottest over hottest cell")
    return found


def _suffix(minimum: int) -> str:
    return f"_{minimum}mev" if minimum else ""


def _neighbours(minimum: int) -> str:
    return f"neighbours of {minimum} MeV or more" if minimum else "lit neighbours"


def _neighbour_observables() -> dict[str, Observable]:
    found = {}
    for minimum in (0, *PAIR_MINIMA):
        pairs = ViewFunction(partial(neighbours.lit_pairs, minimum=minimum / 1000))
        found[f"lit_pairs{_suffix(minimum)}"] = Observable(pairs, f"pairs of {_neighbours(minimum)}", discrete=True)
    for minimum in (0, *CORRELATION_MINIMA):
        correlation = ViewFunction(partial(neighbours.neighbour_correlation, minimum=minimum / 1000))
        label = f"correlation of {_neighbours(minimum)}"
        found[f"neighbour_correlation{_suffix(minimum)}"] = Observable(correlation, label)
    for faint, name, of in ((False, "lit", "lit cells"), (True, "faint", f"cells below {1000 * FAINT:g} MeV")):
        number = ViewFunction(partial(neighbours.cluster_number, faint=faint))
        largest = ViewFunction(partial(neighbours.largest_cluster, faint=faint))
        label = f"cells in the largest cluster of {of}"
        found[f"{name}_clusters"] = Observable(number, f"clusters of {of}", discrete=True)
        found[f"largest_{name}_cluster"] = Observable(largest, label, discrete=True)
    isolated = ViewFunction(neighbours.isolated_cells)
    return {**found, "isolated_cells": Observable(isolated, "lit cells without a lit neighbour", discrete=True)}


def _depth_observables() -> dict[str, Observable]:
    applies = {least: partial(_has_layers, least=least) for least in (2, 3, _LEAST_LAYERS)}
    hottest = Observable(ViewFunction(layers.hottest_layer), "hottest layer", discrete=True, applies=applies[3])
    lengths = {
        "depth": (layers.depth, "longitudinal depth", 2),
        "depth_width": (layers.depth_width, "longitudinal width", 2),
        "shower_maximum": (layers.shower_maximum, "depth of the shower maximum", _LEAST_LAYERS),
    }
    found = {
        name: Observable(ViewFunction(function), label, "mm", applies=applies[least])
        for name, (function, label, least) in lengths.items()
    }
    return {**found, "hottest_layer": hottest}


def _has_layers(geometry: Geometry, least: int) -> bool:
    return geometry.n_layers >= least


OBSERVABLES: Mapping[str, Observable] = _Catalogue(
    {
        "response": Observable(ViewFunction(response), r"response $E_\mathrm{visible}/|p|$"),
        "total_energy": Observable(ViewFunction(total_energy), "total energy", "GeV", scale="log"),
        **_transverse_observables(),
        **_cell_observables(),
        **_neighbour_observables(),
        **_depth_observables(),
    }
)
"""Name to observable. Iterating gives those that are not numbered; those of ring k and layer l, such as
``ring_fraction_k`` and ``layer_energy_l``, can be looked up for any number; `geometry_observables` has all of a
geometry, with the radii of its rings in the labels."""


def geometry_observables(geometry: Geometry) -> dict[str, Observable]:
    """All observables of this package that apply to a geometry, by name.

    Of more than `MANY_LAYERS` layers, nine spread from the first to the last have observables of their own.
    """
    found = {name: observable for name, observable in OBSERVABLES.items() if observable.applies(geometry)}
    edges = list(pairwise(ring_edges(geometry)))
    for kind, family in _FAMILIES.items():
        for number in family.numbers(geometry):
            observable = family.observable(number)
            if family.counted == "ring":
                where = _ring_label(*edges[number])
                observable = replace(observable, label=observable.label.replace(f"in ring {number}", where))
            found[f"{kind}_{number}"] = observable
    return found


def _ring_label(inner: float, outer: float) -> str:
    if math.isinf(outer):
        return f"beyond {inner:g} mm"
    return f"within {outer:g} mm" if inner == 0 else f"{inner:g} to {outer:g} mm"


def is_registered(name: str) -> bool:
    """Whether a name is that of an observable of this package in some geometry."""
    return name in OBSERVABLES or _family(name) is not None


def observable_names(geometry: Geometry) -> list[str]:
    """Names of the observables that apply to a geometry."""
    return list(geometry_observables(geometry))


def compute_observables(
    cell_energy: NDArray[Any],
    incident: NDArray[Any],
    geometry: Geometry,
    names: Sequence[str] | None = None,
    catalogue: Mapping[str, Observable] | None = None,
) -> dict[str, NDArray[np.float64]]:
    """Observables of many showers, in double precision and chunk by chunk.

    Args:
        cell_energy: Energies [GeV], already cut at the threshold, shape ``(showers, cells)``.
        incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.
        geometry: Cells.
        names: Observables wanted; all of the catalogue if left out.
        catalogue: Name to observable; those of `geometry_observables` if left out.

    Returns:
        Values by name, each of shape ``(showers,)``; NaN where a shower has no such number.

    Raises:
        ShapeError: Arrays that do not go together.
        ConfigError: A name that is not in the catalogue, or an observable of the user that raises or is not one number
            per shower.
    """
    known = geometry_observables(geometry) if catalogue is None else catalogue
    wanted = list(known) if names is None else list(names)
    for name in wanted:
        if name not in known:
            msg = f"unknown observable {name!r} for {geometry.n_layers} layer(s); {near_miss(name, known)}"
            raise ConfigError(msg)
    values = {name: np.empty(len(cell_energy)) for name in wanted}
    for chunk, view in shower_views(cell_energy, incident, geometry):
        for name in wanted:
            values[name][chunk] = _values(known[name], view, name)
    return values


def what_was_raised(error: BaseException) -> str:
    r"""An error of somebody else's code in one line.

    Example:
        >>> what_was_raised(ValueError("two\nlines"))
        'ValueError: two lines'
    """
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")


def _values(observable: Observable, view: ShowerView, name: str) -> NDArray[Any]:
    showers = len(view)
    try:
        found = np.asarray(observable.values(view))
    except Exception as error:  # a user's function may raise anything
        if is_registered(name):
            raise
        msg = f"observable {name!r}: its function raises {what_was_raised(error)}; mend it or leave the observable out"
        raise ConfigError(msg) from error
    if found.shape != (showers,) or found.dtype.kind not in "biuf":
        msg = (
            f"observable {name!r} returned {found.dtype} of shape {found.shape} for {showers} showers; "
            "its function must return one number per shower"
        )
        raise ConfigError(msg)
    return found
