"""Generated showers for the incident particles of reference showers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from calogan.data.showers import Showers
from calogan.progress import Reporter
from calogan.sampler import GeneratedShowers, ShowerSampler

__all__ = ["generate_partners", "partners"]

_BATCH = 500


def partners(
    sampler: ShowerSampler, reference: Showers, seed: int, *, weights: bool = False
) -> Iterator[GeneratedShowers]:
    """One generated shower for each reference shower, in the same order, in batches.

    Args:
        sampler: Makes them, for the same incident particles.
        reference: Their events key the noise; their types are asked for where the sampler is told the type.
        seed: Seed of the noise.
        weights: Whether the showers get weights.
    """
    located, typed = (name in sampler.condition for name in ("entry_point", "particle"))
    for start in range(0, len(reference), _BATCH):
        batch = reference[start : start + _BATCH]
        px, py, pz, *point = batch.incident.T
        x, y = point if located else (None, None)
        pdg = batch.pdg if typed else None
        yield sampler.sample(px, py, pz, x, y, pdg, seed=seed, shower_id=batch.event, weights=weights)


def generate_partners(
    sampler: ShowerSampler, reference: Showers, seed: int, reporter: Reporter, *, weights: bool = False
) -> tuple[Showers, NDArray[np.float32] | None]:
    """The same as one sample of the reference's particles and events, and the weights if they are wanted.

    Args:
        sampler: As `partners`.
        reference: As `partners`.
        seed: As `partners`.
        reporter: Told about the progress.
        weights: As `partners`.
    """
    cells, weight = [], []
    with reporter.task("generate", total=len(reference), unit="showers") as task:
        for showers in partners(sampler, reference, seed, weights=weights):
            cells.append(showers.cell_energy)
            weight.append(showers.weight)
            task.advance(len(showers))
    generated = replace(reference, geometry=sampler.geometry, cell_energy=np.concatenate(cells))
    return generated, np.concatenate([one for one in weight if one is not None]) if weights else None
