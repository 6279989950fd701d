"""Which generator is kept: the one whose showers fit the validation showers best."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from calogan.data.showers import Showers
from calogan.metrics.score import physics_score
from calogan.models.generator import Generator
from calogan.physics.observables import compute_observables
from calogan.physics.particles import network_input
from calogan.training.batches import step_seed

__all__ = ["PhysicsScore"]

CHUNK = 1000
Observables = dict[str, NDArray[np.float64]]


class PhysicsScore:
    """Mean separation power of all observables above its floor; 0 is perfect.

    Where the generator knows several particle types, the mean of what it is for the showers of each.

    The incident particles and the noise are the same at every call, so that scores of one training compare.

    Args:
        reference: Validation showers, cut at the threshold.
        seed: Seed of the noise.
    """

    def __init__(self, reference: Showers, seed: int) -> None:
        self._reference = reference
        self._seed = step_seed(seed, 1)

    @cached_property
    def _observables(self) -> Observables:
        """Those of the reference, for the process that scores alone."""
        reference = self._reference
        return compute_observables(reference.cell_energy, reference.incident, reference.geometry)

    @torch.inference_mode()
    def __call__(self, generator: Generator) -> float:
        """Score of a generator."""
        device = next(generator.parameters()).device
        rng = torch.Generator().manual_seed(self._seed)
        pieces = []
        reference, types = self._reference, generator.architecture.particles
        told = torch.from_numpy(network_input(reference.incident, reference.pdg, types))
        for incident in torch.split(told, CHUNK):
            noise = torch.randn(len(incident), generator.noise_size, generator=rng)
            pieces.append(generator(incident.to(device), noise.to(device)).cpu())
        found = compute_observables(torch.cat(pieces).numpy(), reference.incident, reference.geometry)
        samples = [rows for pdg in types if (rows := reference.pdg == pdg).any()] or [slice(None)]
        return float(np.mean([physics_score(_some(self._observables, rows), _some(found, rows)) for rows in samples]))


def _some(observables: Observables, rows: NDArray[np.bool_] | slice) -> Observables:
    return {name: values[rows] for name, values in observables.items()}
