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

__all__ = ["branch_types", "encode"]


def branch_types(schema: Schema, geometry: Geometry) -> dict[str, str]:
    """Type of each branch that `encode` makes, in Awkward's notation."""
    types = dict.fromkeys(schema.branches, "float32")
    if schema.event is not None:
        types[schema.event] = "int64"
    if schema.pdg is not None:
        types[schema.pdg] = "int32"
    if schema.layout == "dense":
        for branch, layer in zip(schema.energy, geometry.layers, strict=True):
            types[branch] = f"{layer.rows} * {layer.columns} * float32"
    for branch in schema.jagged_branches:
        integer = schema.layout == "hits" and branch not in schema.energy
        types[branch] = f"var * {_index_type(geometry) if integer else 'float32'}"
    return types


def encode(showers: Showers, schema: Schema, hits: Hits | None = None) -> dict[str, NDArray[Any] | Jagged]:
    """Branches of showers in the schema's units: identifiers, incident particle and energies.

    Args:
        showers: Showers in GeV and mm.
        schema: Branches; in a jagged layout only cells above 0 are listed, in positions at the cell's centre.
        hits: Energies to write instead of those in the showers' cells, in cells of any geometry.
    """
    columns: dict[str, NDArray[Any] | Jagged] = {}
    if schema.event is not None:
        columns[schema.event] = showers.event
    if schema.pdg is not None:
        columns[schema.pdg] = showers.pdg
    for column, branch in enumerate(schema.incident_branches):
        unit = 1 / schema.length_in_mm if column >= 3 else schema.momentum_per_gev
        columns[branch] = showers.incident[:, column] * np.float32(unit)
    if schema.layout == "dense":
        geometry, cells = (showers.geometry, showers.cell_energy) if hits is None else (hits.geometry, hits.to_cells())
        images = geometry.layer_images(cells)
        for branch, image in zip(schema.energy, images, strict=True):
            columns[branch] = image * np.float32(schema.energy_per_gev)
    else:
        columns |= _encode_hits(Hits.of(showers) if hits is None else hits, schema)
    return columns


def _encode_hits(hits: Hits, schema: Schema) -> dict[str, Jagged]:
    counts = hits.counts
    energy = hits.energy * np.float32(schema.energy_per_gev)
    if schema.layout == "hits":
        indices = (hits.layer, hits.row, hits.column)
        place: list[NDArray[Any]] = [index.astype(_index_type(hits.geometry)) for index in indices]
    else:
        place = [(centre[hits.cell] / schema.length_in_mm).astype(np.float32) for centre in _centres(hits.geometry)]
    listed = {branch: Jagged(counts, values) for branch, values in zip(schema.place, place, strict=True) if branch}
    return listed | {schema.energy[0]: Jagged(counts, energy)}


def _index_type(geometry: Geometry) -> str:
    longest = max(max(layer.rows, layer.columns) for layer in geometry.layers)
    return "int16" if longest <= np.iinfo(np.int16).max else "int32"


def _centres(geometry: Geometry) -> tuple[NDArray[np.float64], ...]:
    depth = [sum(layer.z_range) / 2 if layer.z_range else layer.depth for layer in geometry.layers]
    return geometry.cell_x, geometry.cell_y, np.array(depth)[geometry.cell_layer]
