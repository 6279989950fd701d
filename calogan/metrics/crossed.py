"""Metrics of paired samples, which showers of one particle make dependent: halves compared crosswise."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.metrics.metric import Metric

__all__ = ["crossed", "random_half"]


def random_half(showers: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Flags of half of the showers, rounded down, shape ``(showers,)``."""
    return rng.permutation(showers) < showers // 2


def crossed(
    measure: Callable[[NDArray[Any], NDArray[Any]], Metric],
    reference: NDArray[Any],
    generated: NDArray[Any],
    half: NDArray[np.bool_] | None,
) -> Metric:
    """Measure the distance of two samples; if they are paired, on halves that have no particle in common.

    Floors, errors and p-values of the metrics hold for independent samples. Two showers of the same particle are
    alike, so that paired samples agree too well. Therefore the reference showers of one half of the particles are
    compared with the generated showers of the other half, and the other way round. The result is the mean of the two
    values and floors, with the root mean square of their errors: as both come from the same two sets of particles,
    no gain from taking two is claimed. The p-value is twice the smaller one (Bonferroni), which holds however much
    the two depend on each other.

    Args:
        measure: Metric of independent samples, reference first.
        reference: What `measure` takes of the reference showers, showers first.
        generated: The same of the generated showers.
        half: Flags of the first half if the samples are paired, shape ``(showers,)``; None if they are independent.

    Returns:
        The metric; its numbers of showers are those of both halves together, its note names the halves' sizes.
    """
    if half is None:
        return measure(reference, generated)
    first, second = measure(reference[half], generated[~half]), measure(reference[~half], generated[half])
    p_values = [one.p_value for one in (first, second) if one.p_value is not None]
    return replace(
        first,
        value=(first.value + second.value) / 2,
        error=math.hypot(first.error, second.error) / math.sqrt(2),
        floor=(first.floor + second.floor) / 2,
        floor_error=math.hypot(first.floor_error, second.floor_error) / math.sqrt(2),
        n_reference=first.n_reference + second.n_reference,
        n_generated=first.n_generated + second.n_generated,
        floor_note=f"{first.floor_note}; mean of two crossed halves of {half.sum()} and {(~half).sum()} showers",
        p_value=min(1.0, 2 * min(p_values)) if p_values else None,
    )
