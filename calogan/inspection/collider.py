"""EDM4hep files: which collections hold a shower, and where the front face is that it is seen from.

Source:
    https://github.com/key4hep/EDM4hep/blob/main/edm4hep.yaml for the collections.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.data.decode import Jagged
from calogan.data.root import iterate_entries
from calogan.errors import DataError
from calogan.inspection.content import FileContent, Tree
from calogan.inspection.layout import Candidate
from calogan.inspection.names import words
from calogan.inspection.rounding import outwards, within_error
from calogan.physics.lattice import Grid, Planes, find_grid, find_planes

__all__ = ["complete", "find_collections"]

FloatArray = NDArray[np.float64]

# Attributes by which collections are known. Hits of the simulation have no energyError, clusters no cellID.
_HIT = ("energy", "position.x", "position.y", "position.z")
_PARTICLE = {"PDG", "generatorStatus", "charge", "vertex.x", "momentum.x", "parents_begin"}
_HEADER = {"eventNumber", "runNumber"}
_EVENTS = 200  # that are read to find the front face
_SIDES = (0, 6, 8, 10, 12, 16, 32)
_MARGIN = 1.1  # by which the face is wider than the hits that were seen
_ROUNDED = 0.05  # of the distance of two planes: by how much the front face may be off
_SCORE = 4.0


@dataclass(frozen=True)
class _Hits:
    """Hits of many events in the detector [mm]."""

    event: NDArray[np.int64]
    position: FloatArray
    energy: FloatArray


@dataclass(frozen=True)
class _Side:
    """A way to see hits of a barrel: depth, and position along the azimuth."""

    sides: int
    phi: float
    planes: Planes
    along: FloatArray


def find_collections(name: str, tree: Tree) -> Iterator[Candidate]:
    """The collections of a tree that has hits and particles; where the front face is, its hits tell: see `complete`."""
    attributes: dict[str, set[str]] = {}
    for branch in tree.branches:
        collection, _, attribute = branch.name.rpartition("/")[2].partition(".")
        attributes.setdefault(collection, set()).add(attribute)
    simulated, others = (
        [one for one, has in attributes.items() if has >= {*_HIT, *wanted} and not has & refused]
        for wanted, refused in ((set(), {"energyError"}), ({"cellID"}, set()))
    )
    hits = simulated or others
    particles = [one for one, has in attributes.items() if has >= _PARTICLE]
    headers = [one for one, has in attributes.items() if has >= _HEADER]
    if not hits or not particles or not tree.entries:
        return
    values = {
        "layout": "edm4hep",
        "tree": name,
        "header": headers[0] if headers else None,
        "collections": hits,
        "particles": "MCParticles" if "MCParticles" in particles else particles[0],
        "simulation_time": None,
    }
    yield Candidate(values, f"{len(hits)} collections of hits, particles in '{values['particles']}'", _SCORE)


def complete(candidate: Candidate, content: FileContent) -> Candidate:
    """The same with the brightest collection, and the front face that its hits lie behind.

    Raises:
        DataError: A damaged file, or no hits in any collection.
        SchemaError: Collections of another form.
    """
    tree = str(candidate.values["tree"])
    hits, is_charged = _read(content, tree, candidate.values["collections"], candidate.values["particles"])
    energies = {name: float(one.energy.sum()) for name, one in hits.items()}
    brightest = max(energies, key=lambda name: energies[name])
    total = sum(energies.values())
    if total <= 0:
        msg = f"{content.file.path}:{tree}: no hits with energy in {', '.join(map(repr, energies))}"
        raise DataError(msg)
    frame, told = _frame(brightest, hits[brightest])
    others = [f"'{name}' {energy / total:.1%}" for name, energy in energies.items() if energy and name != brightest]
    notes = [f"collection '{brightest}' holds {energies[brightest] / total:.1%} of the hits' energy"]
    if others:
        notes.append(
            f"{', '.join(others)} of the energy are in other collections, which are left out: name them in "
            "collections if they have the same front face"
        )
    notes.append(f"ASSUMED: the front face, {told}; put the detector's own numbers into local_frame")
    values = {**candidate.values, "collections": [brightest], "local_frame": frame}
    if is_charged:
        values["charged"] = "straight"
        notes.append("ASSUMED: charged particles fly straight to the front face: there is no field")
    why = f"hits in '{brightest}', particles in '{values['particles']}'"
    return replace(candidate, values=values, why=why, notes=tuple(notes))


def _frame(name: str, hits: _Hits) -> tuple[dict[str, Any], str]:
    """Section `local_frame`, and how it was found."""
    radius, z = np.hypot(hits.position[:, 0], hits.position[:, 1]), np.abs(hits.position[:, 2])
    if _is_endcap(name, radius, z):
        planes = find_planes(z, hits.event)
        frame: dict[str, Any] = {
            "face": "endcap",
            "z": _front(planes, z),
            "radii": [outwards(radius.min() / _MARGIN, radius.min(), up=False), _up(radius.max())],
            "phi": 0.0,
        }
        return frame | _cells(hits.position[:, 0], hits.position[:, 1], planes, hits.event), _tell(planes)
    side = _best_side(hits)
    planes = find_planes(radius, hits.event) if side is None else side.planes
    depth = radius if side is None else _depth(hits, side.sides, side.phi)[0]
    frame = {"face": "barrel", "radius": _front(planes, depth), "half_length": _up(float(z.max()))}
    if side is not None and side.sides:
        frame |= {"sides": side.sides, "phi": side.phi}
        frame |= _cells(side.along, hits.position[:, 2], planes, hits.event)
    return frame, _tell(planes)


def _is_endcap(name: str, radius: FloatArray, z: FloatArray) -> bool:
    told = "".join(words(name))
    if "barrel" in told or "endcap" in told or "plug" in told:
        return "barrel" not in told
    # showers are long along the depth, whatever face they start at
    return bool(z.min() > radius.max() or (z.min() > radius.min() and np.ptp(z) < np.ptp(radius)))


def _best_side(hits: _Hits) -> _Side | None:
    """The number of flat sides, and their azimuth, for which hits lie in the thinnest planes."""
    found = []
    for sides in _SIDES:
        for phi in (0.0, 180.0 / sides) if sides else (0.0,):
            depth, along = _depth(hits, sides, phi)
            if (planes := find_planes(depth, hits.event)) is not None:
                found.append(_Side(sides, phi, planes, along))
    return min(found, key=lambda side: (side.planes.thickness, len(side.planes.depth)), default=None)


def _depth(hits: _Hits, sides: int, phi: float) -> tuple[FloatArray, FloatArray]:
    """Distance from the beam axis along the normal of the side of each hit, and position across it."""
    radius = np.hypot(hits.position[:, 0], hits.position[:, 1])
    azimuth = np.arctan2(hits.position[:, 1], hits.position[:, 0])
    if not sides:
        return radius, radius * azimuth
    width = 2 * math.pi / sides
    off = np.mod(azimuth - math.radians(phi) + width / 2, width) - width / 2
    return radius * np.cos(off), radius * np.sin(off)


def _front(planes: Planes | None, depth: FloatArray) -> float:
    """Front face: half the distance of two planes before the first one."""
    if planes is None or len(planes.depth) < 2:
        return float(np.floor(depth.min()))
    gap = float(planes.depth[1] - planes.depth[0])
    return within_error(float(planes.depth[0]) - gap / 2, _ROUNDED * gap)


def _up(length: float) -> float:
    return outwards(_MARGIN * length, length, up=True)


def _cells(x: FloatArray, y: FloatArray, planes: Planes | None, event: NDArray[np.int64]) -> dict[str, Any]:
    """Size and centre of cells that all showers share; nothing if there are none."""
    if planes is None:
        return {}
    inside = planes.plane >= 0
    group = event[inside] * len(planes.depth) + planes.plane[inside]
    grids = [find_grid(values[inside], group) for values in (x, y)]
    known = [grid for grid in grids if isinstance(grid, Grid) and grid.aligned]
    if len(known) < 2:
        return {}
    return {
        "cell": [float(f"{grid.pitch:.4g}") for grid in known],
        "cell_centre": [round(grid.centre, 2) for grid in known],
    }


def _tell(planes: Planes | None) -> str:
    if planes is None:
        return "just before the first hit that was seen"
    return f"half a layer before the first of {len(planes.depth)} planes of hits"


def _read(content: FileContent, tree: str, collections: Sequence[str], particles: str) -> tuple[dict[str, _Hits], bool]:
    """Hits of the first events in each collection, and whether there are charged particles; in one reading."""
    known = {branch.name for branch in content.trees[tree].branches}
    wanted = [(name, attribute) for name in collections for attribute in _HIT]
    wanted += [(particles, attribute) for attribute in ("charge", "generatorStatus")]
    plain = {pair: ".".join(pair) for pair in wanted}
    branches = {pair: f"{pair[0]}/{name}" if f"{pair[0]}/{name}" in known else name for pair, name in plain.items()}
    stop = min(_EVENTS, content.trees[tree].entries)
    (chunk,) = iterate_entries(content.file, tree, list(branches.values()), _EVENTS, lists=True, stop=stop)
    values = {pair: chunk.jagged(branch, "fiu") for pair, branch in branches.items()}
    charge, status = (values[particles, attribute].content for attribute in ("charge", "generatorStatus"))
    hits = {name: _hits([values[name, part] for part in _HIT]) for name in collections}
    return hits, bool((charge[status == 1] != 0).any())


def _hits(columns: Sequence[Jagged]) -> _Hits:
    energy, *position = (column.content.astype(np.float64) for column in columns)
    event = np.repeat(np.arange(len(columns[0])), columns[0].counts)
    lit = energy > 0
    return _Hits(event[lit], np.column_stack(position)[lit], energy[lit])
