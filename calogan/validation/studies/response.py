"""Response, linearity, resolution and lit cells of both samples against the incident momentum."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calogan.metrics import resolution
from calogan.metrics.binning import logarithmic_edges
from calogan.metrics.metric import Estimate, Metric
from calogan.metrics.resolution import Comparison, ResponseBin
from calogan.metrics.resolution_fit import ResolutionFit, fit_resolution
from calogan.progress import Reporter
from calogan.validation.samples import Samples

__all__ = ["Linearity", "ResponseStudy", "difference_metric", "lit_cells", "responses_of", "study_response"]

_FINE_BINS = 8
_STEPS = 5


@dataclass(frozen=True)
class Linearity:
    """Response in fine momentum bins over its mean over the bins, less 1.

    Attributes:
        reference: That of the reference, shape ``(bins,)``.
        reference_error: Its standard error, shape ``(bins,)``.
        generated: That of the generated sample, shape ``(bins,)``.
        generated_error: Its standard error, shape ``(bins,)``.
        difference: Largest difference of the two.
    """

    reference: NDArray[np.float64]
    reference_error: NDArray[np.float64]
    generated: NDArray[np.float64]
    generated_error: NDArray[np.float64]
    difference: Metric

    @property
    def reference_largest(self) -> float:
        """Largest deviation of the reference from a constant response."""
        return float(np.nanmax(np.abs(self.reference)))

    @property
    def generated_largest(self) -> float:
        """The same of the generated sample."""
        return float(np.nanmax(np.abs(self.generated)))


@dataclass(frozen=True)
class ResponseStudy:
    """Calorimeter response of both samples.

    Attributes:
        momentum_bins: Response and resolution in the momentum bins of the settings.
        reference_outside: Reference showers whose momentum is in none of them.
        generated_outside: Generated showers whose momentum is in none of them.
        fine_bins: The same in finer bins over all momenta of the reference.
        response: Response, averaged over the fine bins.
        resolution: Resolution, averaged over the fine bins.
        sigma_effective: Effective resolution, averaged over the fine bins.
        occupancy: Mean number of lit cells.
        linearity: Response relative to its mean; None where there is one fine bin.
        fit: Terms of the resolution; None where there are too few bins to fit.
        draws: Resamplings that the errors come from.
        reference_count: Reference showers.
        generated_count: Generated showers.
    """

    momentum_bins: tuple[ResponseBin, ...]
    reference_outside: int
    generated_outside: int
    fine_bins: tuple[ResponseBin, ...]
    response: Comparison
    resolution: Comparison
    sigma_effective: Comparison
    occupancy: Comparison
    linearity: Linearity | None
    fit: ResolutionFit | None
    draws: int
    reference_count: int
    generated_count: int

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Relative differences and the linearity's."""
        compared = {
            "response difference": self.response,
            "resolution difference": self.resolution,
            "effective resolution difference": self.sigma_effective,
            "lit cells difference": self.occupancy,
        }
        found = [
            difference_metric(one, name, (self.reference_count, self.generated_count)) for name, one in compared.items()
        ]
        return (*found, *((self.linearity.difference,) if self.linearity else ()))


def study_response(samples: Samples, reporter: Reporter) -> ResponseStudy:
    """Compare the energy response of both samples.

    Args:
        samples: Both samples; paired ones are drawn in pairs, so that errors are those of differences.
        reporter: Told about each piece of the work.

    Returns:
        Response and resolution in coarse and fine bins of the momentum, their averages, linearity and fits.
    """
    momentum = samples.reference.momentum
    low, high = float(momentum.min()), float(momentum.max())
    smaller = min(len(samples.reference), len(samples.generated))
    fine = logarithmic_edges(low, high, max(1, min(_FINE_BINS, smaller // (2 * resolution.LEAST_SHOWERS))))
    with reporter.task("response", total=_STEPS, unit="steps") as task:
        bins = _bins(samples, samples.settings.momentum_bins or logarithmic_edges(low, high), "momentum bins")
        task.advance(note="momentum bins")
        fine_bins = _bins(samples, fine, "fine momentum bins")
        task.advance(note="finer bins")
        linearity = _linearity(samples, fine_bins, fine)
        task.advance(note="linearity")
        arguments = *responses_of(samples), momentum, samples.generated.momentum, fine
        fit = fit_resolution(*arguments, samples.resampling("resolution fit"))
        task.advance(note="resolution fit")
        occupancy = _lit_cells(samples, fine)
        task.advance(note="lit cells")
    return ResponseStudy(
        momentum_bins=bins,
        reference_outside=len(samples.reference) - sum(one.n_reference for one in bins),
        generated_outside=len(samples.generated) - sum(one.n_generated for one in bins),
        fine_bins=fine_bins,
        response=resolution.averaged(fine_bins, "response"),
        resolution=resolution.averaged(fine_bins, "resolution"),
        sigma_effective=resolution.averaged(fine_bins, "sigma_effective"),
        occupancy=occupancy,
        linearity=linearity,
        fit=fit,
        draws=samples.settings.bootstrap,
        reference_count=len(samples.reference),
        generated_count=len(samples.generated),
    )


def difference_metric(compared: Comparison, name: str, sizes: tuple[int, int]) -> Metric:
    """A relative difference as a metric, whose floor is 0 and whose p-value is that of a Gaussian, both sides."""
    value, error = compared.difference.value, compared.difference.error
    return Metric(
        name=name,
        value=value,
        error=error,
        floor=0.0,
        floor_error=0.0,
        n_reference=sizes[0],
        n_generated=sizes[1],
        source="definition of calogan",
        floor_note="differences of either sign",
        p_value=math.erfc(abs(value) / (math.sqrt(2) * error)) if error > 0 else None,
    )


def responses_of(samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """E_visible/|p| of the showers of both samples."""
    return (
        samples.reference.total_energy / samples.reference.momentum,
        samples.generated.total_energy / samples.generated.momentum,
    )


def lit_cells(samples: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lit cells of the showers of both samples."""
    return (
        np.count_nonzero(samples.reference.cell_energy, axis=1).astype(np.float64),
        np.count_nonzero(samples.generated.cell_energy, axis=1).astype(np.float64),
    )


def _bins(samples: Samples, edges: list[float], piece: str) -> tuple[ResponseBin, ...]:
    return resolution.response_by_momentum(
        *responses_of(samples),
        samples.reference.momentum,
        samples.generated.momentum,
        edges,
        rng=samples.rng(piece),
        resamplings=samples.settings.bootstrap,
        paired=samples.paired,
    )


def _linearity(samples: Samples, bins: tuple[ResponseBin, ...], edges: list[float]) -> Linearity | None:
    if len(bins) < 2:
        return None
    difference = resolution.linearity(
        *responses_of(samples),
        samples.reference.momentum,
        samples.generated.momentum,
        edges,
        samples.resampling("linearity"),
    )
    return Linearity(*_relative(bins, "reference"), *_relative(bins, "generated"), difference)


def _relative(bins: tuple[ResponseBin, ...], which: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Response of a sample over its mean over the bins, less 1, and its error."""
    values = np.array([getattr(one.response, which).value for one in bins])
    errors = np.array([getattr(one.response, which).error for one in bins])
    known = np.isfinite(values)
    mean = float(values[known].mean()) if known.any() else math.nan
    return values / mean - 1, errors / mean


def _lit_cells(samples: Samples, edges: list[float]) -> Comparison:
    """Mean number of lit cells; its difference is averaged over momentum bins, as it grows with the momentum."""
    numbers = lit_cells(samples)
    bins = resolution.response_by_momentum(
        *numbers,
        samples.reference.momentum,
        samples.generated.momentum,
        edges,
        rng=samples.rng("occupancy"),
        resamplings=samples.settings.bootstrap,
        paired=samples.paired,
    )
    reference, generated = (
        Estimate(float(one.mean()), float(one.std(ddof=1)) / math.sqrt(len(one))) for one in numbers
    )
    return Comparison(reference, generated, resolution.averaged(bins, "response").difference)
