"""One number for how close generated showers are, quick enough to pick checkpoints by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.errors import DataError
from calogan.metrics.binning import observable_edges
from calogan.metrics.separation import separation_power
from calogan.physics.observables import OBSERVABLES

__all__ = ["physics_score", "separation_powers"]


def separation_powers(reference: Mapping[str, NDArray[Any]], generated: Mapping[str, NDArray[Any]]) -> dict[str, float]:
    """Separation power above its floor, at least 0, of each observable of the reference.

    Args:
        reference: Registered observables by name, each of shape ``(n,)``.
        generated: The same observables of the generated showers, each of shape ``(m,)``.

    Raises:
        DataError: No observables, an observable that the generated sample lacks, or a sample without showers.
    """
    missing = [name for name in reference if name not in generated]
    if not reference or missing:
        msg = f"a physics score needs the same observables of both samples; the generated one lacks {missing or 'all'}"
        raise DataError(msg)
    edges = {name: observable_edges(OBSERVABLES[name], values) for name, values in reference.items()}
    return {
        name: max(separation_power(values, generated[name], edges[name]).excess, 0.0)
        for name, values in reference.items()
    }


def physics_score(reference: Mapping[str, NDArray[Any]], generated: Mapping[str, NDArray[Any]]) -> float:
    """Mean of `separation_powers`: about 0 for the same distribution, 1 where nothing overlaps; lower is better."""
    return float(np.mean(list(separation_powers(reference, generated).values())))
