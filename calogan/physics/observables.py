"""Observables: one number per shower, in a registry with units and axis labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from calogan.errors import ConfigError, ShapeError, near_miss
from calogan.geometry import Geometry
from calogan.physics import cells, transverse
from calogan.physics.arrays import ratio
from calogan.physics.kinematics import momentum

__all__ = [
    "OBSERVABLES",
    "OCCUPANCY_MINIMA",
    "RING_EDGES",
    "Observable",
    "compute_observables",
    "layer_energy",
    "layer_fraction",
    "observable_names",
    "response",
    "total_energy",
]

OCCUPANCY_MINIMA = (1, 3, 10, 30, 100)  # [MeV], as in the observables' names
RING_EDGES = (0.0, 20.0, 60.0, 120.0, 240.0, float("inf"))  # [mm] from the projected track
_CHUNK_CELLS = 2**16  # cells worked on at a time: half a megabyte, so that a chunk stays in the cache

ObservableFunction = Callable[[Any, Any, Geometry], Any]


def total_energy(cell_energy: Any, incident: Any, geometry: Geometry) -> Any:  # noqa: ARG001
    """Energy in all cells [GeV], shape ``(showers,)``."""
    return cell_energy.sum(1)


def response(cell_energy: Any, incident: Any, geometry: Geometry) -> Any:  # noqa: ARG001
    """Visible energy over incident momentum, shape ``(showers,)``; 0 for an empty shower."""
    return ratio(cell_energy.sum(1), momentum(incident))


def layer_energy(cell_energy: Any, incident: Any, geometry: Geometry, *, layer: int) -> Any:  # noqa: ARG001
    """Energy in one layer [GeV], shape ``(showers,)``."""
    start, stop = geometry.offsets[layer : layer + 2].tolist()
    return cell_energy[:, start:stop].sum(1)


def layer_fraction(cell_energy: Any, incident: Any, geometry: Geometry, *, layer: int) -> Any:
    """Fraction of the energy in one layer, shape ``(showers,)``; NaN for an empty shower."""
    return ratio(layer_energy(cell_energy, incident, geometry, layer=layer), cell_energy.sum(1))


@dataclass(frozen=True)
class Observable:
    """A number per shower and how to show it.

    Attributes:
        function: ``(cell_energy, incident, geometry) -> (showers,)`` on NumPy arrays or torch tensors, with
            cell_energy [GeV] ``(showers, cells)`` and incident ``(showers, 5)`` of the same kind and precision.
            NaN, never a warning, where a shower has no such number (mostly because it is empty).
        label: Axis label without the unit, as Matplotlib mathtext.
        unit: Unit, empty for a pure number.
        discrete: Whether the values are whole numbers.
        scale: Spacing of histogram bins that suits the values.
        applies: Whether the observable has a meaning of its own in a geometry.
    """

    function: ObservableFunction
    label: str
    unit: str = ""
    discrete: bool = False
    scale: Literal["linear", "log"] = "linear"
    applies: Callable[[Geometry], bool] = lambda geometry: geometry.n_cells > 1

    @property
    def axis_label(self) -> str:
        """Label with the unit in square brackets."""
        return f"{self.label} [{self.unit}]" if self.unit else self.label


class _Catalogue(dict[str, Observable]):
    """Observables of any geometry; those of layer l, ``layer_energy_l`` and ``layer_fraction_l``, on demand."""

    def __missing__(self, name: str) -> Observable:
        match = re.fullmatch(r"layer_(energy|fraction)_(0|[1-9]\d*)", name)
        if match is None:
            msg = f"unknown observable {name!r}; {near_miss(name, self)}"
            raise ConfigError(msg)
        layer = int(match[2])

        def applies(geometry: Geometry) -> bool:
            return max(layer, 1) < geometry.n_layers

        if match[1] == "energy":
            function = partial(layer_energy, layer=layer)
            return Observable(function, f"energy in layer {layer}", "GeV", scale="log", applies=applies)
        function = partial(layer_fraction, layer=layer)
        return Observable(function, f"energy fraction in layer {layer}", applies=applies)


def _several_layers(geometry: Geometry) -> bool:
    return geometry.n_layers > 1


def _of_cells(function: Callable[..., Any], **options: Any) -> ObservableFunction:
    """Observable of the cells' energies alone."""

    def observable(cell_energy: Any, incident: Any, geometry: Geometry) -> Any:  # noqa: ARG001
        return function(cell_energy, **options)

    return observable


def _lit_pairs(cell_energy: Any, incident: Any, geometry: Geometry) -> Any:  # noqa: ARG001
    return cells.lit_pairs(cell_energy, geometry)


def _ring_label(inner: float, outer: float) -> str:
    if np.isinf(outer):
        return f"energy fraction beyond {inner:g} mm"
    return f"energy fraction within {outer:g} mm" if inner == 0 else f"energy fraction {inner:g} to {outer:g} mm"


def _transverse_observables() -> dict[str, Observable]:
    found = {}
    for axis, name in enumerate("xy"):
        centre, width = partial(transverse.centre, axis=axis), partial(transverse.width, axis=axis)
        found[f"centre_{name}"] = Observable(centre, f"${name}$ of the centre from the track", "mm")
        found[f"width_{name}"] = Observable(width, f"width in ${name}$", "mm")
    found["radial_width"] = Observable(transverse.radial_width, "radial width", "mm")
    for longitudinal, name in ((True, "longitudinal"), (False, "transverse")):
        asymmetry = partial(transverse.asymmetry, longitudinal=longitudinal)
        width = partial(transverse.line_width, longitudinal=longitudinal)
        found[f"{name}_asymmetry"] = Observable(asymmetry, f"{name} asymmetry")
        found[f"{name}_width"] = Observable(width, f"{name} width along a line", "mm")
    for ring, (inner, outer) in enumerate(pairwise(RING_EDGES)):
        fraction = partial(transverse.ring_fraction, inner=inner, outer=outer)
        found[f"ring_fraction_{ring}"] = Observable(fraction, _ring_label(inner, outer))
    return found


def _cell_observables() -> dict[str, Observable]:
    found = {"occupancy": Observable(_of_cells(cells.occupancy), "lit cells", discrete=True)}
    for minimum in OCCUPANCY_MINIMA:
        function = _of_cells(cells.occupancy, minimum=minimum / 1000)
        found[f"occupancy_{minimum}mev"] = Observable(function, f"cells of {minimum} MeV or more", discrete=True)
    found["lit_pairs"] = Observable(_lit_pairs, "pairs of lit neighbours", discrete=True)
    for rank, name in enumerate(("hottest", "second_hottest")):
        function = _of_cells(cells.hottest_fraction, rank=rank)
        label = f"energy fraction of the {name.replace('_', '-')} cell"
        found[f"{name}_fraction"] = Observable(function, label)
    found["hottest_ratio"] = Observable(_of_cells(cells.hottest_ratio), "second-hottest over hottest cell")
    return found


OBSERVABLES: Mapping[str, Observable] = _Catalogue(
    {
        "response": Observable(response, r"response $E_\mathrm{visible}/|p|$"),
        "total_energy": Observable(total_energy, "total energy", "GeV", scale="log"),
        **_transverse_observables(),
        **_cell_observables(),
        "depth": Observable(transverse.depth, "longitudinal depth", "mm", applies=_several_layers),
        "depth_width": Observable(transverse.depth_width, "longitudinal width", "mm", applies=_several_layers),
    }
)
"""Name to observable. Iterating gives those of every geometry; ``layer_energy_l`` and ``layer_fraction_l`` can be
looked up for any layer l; `observable_names` lists what a geometry has."""


def observable_names(geometry: Geometry) -> list[str]:
    """Names of the observables that apply to a geometry."""
    layers = [f"layer_{kind}_{layer}" for kind in ("energy", "fraction") for layer in range(geometry.n_layers)]
    return [name for name in (*OBSERVABLES, *layers) if OBSERVABLES[name].applies(geometry)]


def compute_observables(
    cell_energy: NDArray[Any], incident: NDArray[Any], geometry: Geometry, names: Sequence[str] | None = None
) -> dict[str, NDArray[np.float64]]:
    """Observables of many showers, in double precision and chunk by chunk.

    Args:
        cell_energy: Energies [GeV], already cut at the threshold, shape ``(showers, cells)``.
        incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.
        geometry: Cells.
        names: Observables wanted; all that apply if left out.

    Returns:
        Values by name, each of shape ``(showers,)``; NaN where a shower has no such number.

    Raises:
        ShapeError: Arrays that do not go together.
        ConfigError: A name that is unknown or does not apply to the geometry.
    """
    if cell_energy.ndim != 2 or cell_energy.shape[1] != geometry.n_cells or incident.shape != (len(cell_energy), 5):
        msg = (
            f"cell_energy {cell_energy.shape} and incident {incident.shape} do not go together; "
            f"expected (showers, {geometry.n_cells}) and (showers, 5)"
        )
        raise ShapeError(msg)
    known = observable_names(geometry)
    wanted = known if names is None else list(names)
    for name in wanted:
        if name not in known:
            msg = f"unknown observable {name!r} for {geometry.n_layers} layer(s); {near_miss(name, known)}"
            raise ConfigError(msg)
    values = {name: np.empty(len(cell_energy)) for name in wanted}
    step = max(1, _CHUNK_CELLS // geometry.n_cells)
    for start in range(0, len(cell_energy), step):
        chunk = slice(start, start + step)
        energy, particles = cell_energy[chunk].astype(np.float64), incident[chunk].astype(np.float64)
        for name in wanted:
            values[name][chunk] = OBSERVABLES[name].function(energy, particles, geometry)
    return values
