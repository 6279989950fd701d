"""Frechet physics distance: how far apart two samples are in many observables at once."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from calogan.errors import DataError
from calogan.metrics.features import standardise
from calogan.metrics.metric import Metric

__all__ = ["frechet_distance", "frechet_physics_distance"]


def frechet_distance(
    mean_1: NDArray[np.float64],
    covariance_1: NDArray[np.float64],
    mean_2: NDArray[np.float64],
    covariance_2: NDArray[np.float64],
) -> float:
    r"""Squared Frechet (2-Wasserstein) distance of two Gaussians.

    .. math:: |\mu_1 - \mu_2|^2 + \mathrm{tr}(C_1 + C_2 - 2 (C_1^{1/2} C_2 C_1^{1/2})^{1/2})

    Args:
        mean_1: Mean, shape ``(k,)``.
        covariance_1: Covariance, shape ``(k, k)``; may be singular.
        mean_2: Mean, shape ``(k,)``.
        covariance_2: Covariance, shape ``(k, k)``; may be singular.

    Source:
        Dowson and Landau, J. Multivariate Anal. 12 (1982) 450.

    Example:
        >>> frechet_distance(np.zeros(1), np.eye(1), np.array([3.0]), 4 * np.eye(1))
        10.0
    """
    values, vectors = np.linalg.eigh(covariance_1)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ covariance_2 @ root).clip(0)).sum()
    shift = mean_1 - mean_2
    return float(shift @ shift + np.trace(covariance_1) + np.trace(covariance_2) - 2 * cross)


def frechet_physics_distance(
    reference: NDArray[np.float64],
    generated: NDArray[np.float64],
    *,
    rng: np.random.Generator,
    resamplings: int = 50,
    name: str = "FPD",
) -> Metric:
    """Squared Frechet distance of Gaussians fitted to vectors of observables.

    The vectors are first standardised by the reference. The distance is taken at the sizes given, not extrapolated
    to infinite ones, so it has a floor: the distance of random halves of the reference, whose expectation falls
    with the sizes like 1/n + 1/m, scaled to the sizes given.

    Args:
        reference: Observables of the reference, shape ``(n, observables)``.
        generated: Observables of the generated showers, shape ``(m, observables)``.
        rng: Source of the resamplings (for the error) and of the halves.
        resamplings: Number of resamplings; a fifth of it, at least 4, is the number of halvings.
        name: Name of the result.

    Raises:
        DataError: Fewer than four reference or two generated showers.

    Source:
        arXiv:2211.10295, at fixed size.
    """
    n, m = len(reference), len(generated)
    if n < 4 or m < 2:
        msg = f"{name}: {n} reference and {m} generated showers are too few; give at least 4 and 2"
        raise DataError(msg)
    first, second = standardise(reference, generated)
    value = _distance(first, second)
    drawn = [_distance(first[rng.integers(n, size=n)], second[rng.integers(m, size=m)]) for _ in range(resamplings)]
    halves = []
    for _ in range(max(resamplings // 5, 4)):
        order = rng.permutation(n)
        scale = (1 / n + 1 / m) / (1 / (n // 2) + 1 / (n - n // 2))
        halves.append(scale * _distance(first[order[: n // 2]], first[order[n // 2 :]]))
    return Metric(
        name=name,
        value=value,
        error=float(np.std(drawn, ddof=1)),
        floor=float(np.mean(halves)),
        floor_error=float(np.std(halves, ddof=1) / math.sqrt(len(halves))),
        n_reference=n,
        n_generated=m,
        source="arXiv:2211.10295, at fixed size",
        floor_note=f"halves of the reference ({n // 2} showers each), scaled by 1/n + 1/m",
    )


def _distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    covariances = [np.atleast_2d(np.cov(sample, rowvar=False)) for sample in (first, second)]
    return frechet_distance(first.mean(axis=0), covariances[0], second.mean(axis=0), covariances[1])
