"""Particle types, as the networks know them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.errors import DomainError

__all__ = ["list_types", "network_input", "particle_name"]


def network_input(incident: NDArray[np.float32], pdg: NDArray[Any], particles: Sequence[int]) -> NDArray[np.float32]:
    """Incident particles as networks take them: where they know several types, with the type's number.

    Args:
        incident: px, py, pz [GeV], x, y [mm], shape ``(showers, 5)``.
        pdg: PDG ids, shape ``(showers,)``; not looked at without types.
        particles: PDG ids of the types that the networks know, in ascending order; empty where the type is not told.

    Returns:
        The same, float32, or with the place of each PDG id among `particles` as a sixth column.

    Raises:
        DomainError: A PDG id that is not among them.

    Example:
        >>> network_input(np.array([[0, 0, 9, 1, 2]], dtype=np.float32), np.array([22]), (11, 22))
        array([[0., 0., 9., 1., 2., 1.]], dtype=float32)
    """
    if not particles:
        return incident
    known = np.asarray(particles)
    number = np.searchsorted(known, pdg).clip(max=len(known) - 1)
    other = np.unique(np.asarray(pdg)[known[number] != pdg])
    if other.size:
        msg = f"no showers of pdg {list_types(other.tolist())}; the known types are pdg {list_types(particles)}"
        raise DomainError(msg)
    return np.column_stack([incident, number]).astype(np.float32)


def list_types(pdg: Sequence[int]) -> str:
    """PDG ids in words, with names where the library `particle` is installed and knows them."""
    named = ((one, particle_name(one)) for one in pdg)
    return ", ".join(f"{one} ({name})" if name else str(one) for one, name in named)


@cache
def particle_name(pdg: int) -> str | None:
    """Name of a particle type; None where the library `particle` is not installed or does not know it."""
    try:
        from particle import InvalidParticle, Particle, ParticleNotFound
    except ModuleNotFoundError:
        return None
    try:
        return str(Particle.from_pdgid(pdg).name)
    except (InvalidParticle, ParticleNotFound):
        return None
