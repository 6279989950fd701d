"""Which showers of two samples belong together: pairs of one incident particle, and groups that no split may tear."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from calogan.data.fingerprints import shower_fingerprints
from calogan.data.showers import Showers

__all__ = ["groups", "pair"]

_GRID = 50  # showers of one incident particle, above which the particle is a point of a grid


def pair(reference: Showers, generated: Showers) -> tuple[Showers, bool]:
    """Put the generated showers in the order of the reference, if both samples are of the same incident particles.

    Args:
        reference: Full simulation.
        generated: Surrogate, in any order.

    Returns:
        The generated showers, and whether each of them has exactly the momentum and entry point of the reference
        shower in the same place. Where the particles differ in any of these, the showers stay as they are. Of showers
        of one momentum and entry point those of one type belong together, where both samples know their types, and of
        those the ones with the lower event id come first.
    """
    if len(reference) != len(generated):
        return generated, False
    typed = all(sample.pdg.all() for sample in (reference, generated))
    alike = np.array_equal(reference.pdg, generated.pdg) or not typed
    if alike and np.array_equal(reference.incident, generated.incident):
        return generated, True
    orders = [np.lexsort((one.event, *([one.pdg] if typed else ()), *one.incident.T)) for one in (reference, generated)]
    if not np.array_equal(reference.incident[orders[0]], generated.incident[orders[1]]):
        return generated, False
    order = np.empty(len(reference), dtype=np.int64)
    order[orders[0]] = orders[1]
    return generated[order], True


def groups(reference: Showers, generated: Showers) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Groups of showers that must stay in one part of any split.

    A classifier that is trained on one shower of a particle and tested on another of the same particle is told that
    both have the same label, mostly wrongly; one that is tested on a copy of a training shower has seen the answer.
    Hence showers of one incident particle are a group, and so are showers that agree in every cell. Event ids play
    no part: two files may number different events alike. A particle that more than 50 showers share is a point of a
    grid (or the only one): of its showers the first of each sample make a group, then the second, and so on, which
    leaves every part of a split as many showers of each sample. Showers without energy are no copies of each other.

    Args:
        reference: Full simulation.
        generated: Surrogate, in the same cells.

    Returns:
        Numbers of the groups, shared by both samples, shapes ``(n,)`` and ``(m,)``.
    """
    incident = np.concatenate([reference.incident, generated.incident]) + np.float32(0)  # makes -0 and 0 the same
    _, particle = np.unique(incident, axis=0, return_inverse=True)
    particle = particle.reshape(-1).astype(np.int64)
    particle = _split_grids(particle, len(reference))
    copies = _copies(np.concatenate([reference.cell_energy, generated.cell_energy]))
    return _connected(particle, copies, len(reference))


def _split_grids(particle: NDArray[np.int64], n_reference: int) -> NDArray[np.int64]:
    """Particles anew, those of many showers by the place of each shower among those of its sample."""
    crowded = (np.bincount(particle) > _GRID)[particle]
    place = np.where(crowded, np.append(_places(particle[:n_reference]), _places(particle[n_reference:])), 0)
    _, split = np.unique(np.stack([particle, place], axis=1), axis=0, return_inverse=True)
    return split.reshape(-1).astype(np.int64)


def _places(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many entries with the same label come before each one."""
    order = np.argsort(labels, kind="stable")
    ordered = labels[order]
    places = np.empty(len(labels), dtype=np.int64)
    places[order] = np.arange(len(labels)) - np.searchsorted(ordered, ordered)
    return places


def _copies(cell_energy: NDArray[np.float32]) -> NDArray[np.int64]:
    """A number for each content of all cells; showers without energy have one each."""
    lit: NDArray[np.bool_] = np.any(cell_energy, axis=1)
    _, content = np.unique(shower_fingerprints(cell_energy), return_inverse=True)
    copies = content.reshape(-1).astype(np.int64)
    copies[~lit] = len(lit) + np.arange(np.count_nonzero(~lit))
    return copies


def _connected(
    particle: NDArray[np.int64], copies: NDArray[np.int64], n_reference: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Showers that hang together through particles and copies: components of a graph of both."""
    n_particles = int(particle.max(initial=-1)) + 1
    size = n_particles + int(copies.max(initial=-1)) + 1
    edges = coo_array((np.ones(len(particle)), (particle, n_particles + copies)), shape=(size, size))
    _, component = connected_components(edges, directed=False)
    _, label = np.unique(component[particle], return_inverse=True)
    found = label.reshape(-1).astype(np.int64)
    return found[:n_reference], found[n_reference:]
