"""Showers in GeV and mm -> branches as a schema describes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.data.decode import Jagged
from calogan.data.hits import Hits
from calogan.data.schema import Schema
from calogan.data.showers import Showers
from calogan.geometry import Geometry

__all__ = ["encode_energy", "encode_particles", "energy_types", "particle_types"]


def particle_types(schema: Schema, *, particles: bool = True) -> dict[str, str]:
    """Type of each branch of identifiers and incident particles, the event ids alone if need be."""
    types = {} if schema.event is None else {schema.event: "int64"}
    if not particles:
        return types
    if schema.pdg is not None:
        types[schema.pdg] = "int32"
    return types | dict.fromkeys(schema.incident_branches, "float64" if schema.is_hdf5 else "float32")


def energy_types(schema: Schema, geometry: Geometry) -> dict[str, str]:
    """Type of each branch of energies and their places, in Awkward's notation; HDF5 files usually have 64 bits."""
    if schema.layout == "calochallenge":
        return {schema.energy[0]: f"{geometry.n_cells} * float64"}
    if not schema.jagged_branches:
        number = "float64" if schema.is_hdf5 else "float32"
        return {
            branch: f"{layer.rows} * {layer.columns} * {number}"
            for branch, layer in zip(schema.energy, geometry.layers, strict=True)
        }
    index = _index_type(geometry) if schema.layout == "hits" else "float32"
    place = {branch: f"var * {index}" for branch in schema.place if branch is not None}
    return place | {schema.energy[0]: "var * float32"}


def encode_particles(showers: Showers, schema: Schema) -> dict[str, NDArray[Any] | Jagged]:
    """Identifiers and incident particles in the schema's units, one value a shower."""
    columns: dict[str, NDArray[Any] | Jagged] = {}
    if schema.event is not None:
        columns[schema.event] = showers.event
    if schema.pdg is not None:
        columns[schema.pdg] = showers.pdg
    size_only = len(schema.momentum) == 1
    for column, branch in zip(schema.incident_columns, schema.incident_branches, strict=True):
        unit = 1 / schema.length_in_mm if column >= 3 else schema.momentum_per_gev
        values = showers.momentum.astype(np.float32) if size_only and column < 3 else showers.incident[:, column]
        columns[branch] = values * np.float32(unit)
    return columns


def encode_energy(showers: Showers | Hits, schema: Schema) -> dict[str, NDArray[Any] | Jagged]:
    """Energies in the schema's layout and units.

    Args:
        showers: Energies in GeV.
        schema: Branches; in a jagged layout only cells above 0 are listed, in positions at the cell's centre, of
            whole rings at a point of their middle.
    """
    if schema.jagged_branches:
        return _encode_hits(showers if isinstance(showers, Hits) else Hits.of(showers), schema)
    cell_energy = showers.cell_energy if isinstance(showers, Showers) else showers.to_cells()
    unit = np.float32(schema.energy_per_gev)
    if schema.layout == "calochallenge":
        return {schema.energy[0]: cell_energy * unit}
    images = showers.geometry.layer_images(cell_energy)
    return {branch: image * unit for branch, image in zip(schema.energy, images, strict=True)}


def _encode_hits(hits: Hits, schema: Schema) -> dict[str, NDArray[Any] | Jagged]:
    counts, cell = hits.counts.astype(np.int64), hits.cell
    if schema.layout == "hits":
        place: list[NDArray[Any]] = [
            index.astype(_index_type(hits.geometry)) for index in (hits.layer, hits.row, hits.column)
        ]
    else:
        place = [(centre[cell] / schema.length_in_mm).astype(np.float32) for centre in _centres(hits.geometry)]
    listed = zip(schema.place, place, strict=True)
    columns: dict[str, NDArray[Any] | Jagged] = {branch: Jagged(counts, values) for branch, values in listed if branch}
    return columns | {schema.energy[0]: Jagged(counts, hits.energy * np.float32(schema.energy_per_gev))}


def _index_type(geometry: Geometry) -> str:
    longest = max(max(layer.rows, layer.columns) for layer in geometry.layers)
    return "int16" if longest <= np.iinfo(np.int16).max else "int32"


def _centres(geometry: Geometry) -> tuple[NDArray[np.float64], ...]:
    depth = [sum(layer.z_range) / 2 if layer.z_range else layer.depth for layer in geometry.layers]
    return geometry.cell_x + geometry.cell_spread, geometry.cell_y, np.array(depth)[geometry.cell_layer]
