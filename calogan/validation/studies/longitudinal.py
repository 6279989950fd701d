"""How showers develop through the layers: shares, depth, response, correlations and radial profiles of the layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from calogan.data.showers import Showers
from calogan.metrics import resolution
from calogan.metrics.binning import logarithmic_edges
from calogan.metrics.correlation import CorrelationComparison, compare_correlations
from calogan.metrics.metric import Estimate, Metric
from calogan.metrics.resolution import Comparison, ResponseBin
from calogan.progress import Reporter
from calogan.validation.samples import Samples
from calogan.validation.studies.distributions import mean_estimate
from calogan.validation.studies.profiles import Profile, radial_profile
from calogan.validation.studies.response import difference_metric

__all__ = ["DepthGrowth", "LayerBin", "LayerTrend", "LongitudinalStudy", "fit_growth", "study_longitudinal"]

_FINE_BINS = 8
_MOST_LAYERS = 12  # of most energy, that get a response and a radial profile of their own
_CORRELATED = 3  # layers, from which on their shares are not each other's mirror

FloatArray = NDArray[np.float64]
Pair = tuple[FloatArray, FloatArray]  # of the reference and of the generated showers


@dataclass(frozen=True)
class LayerBin:
    """Mean shares of the layers in the energy of a shower, in one momentum bin.

    Attributes:
        low: Lower edge of |p| [GeV].
        high: Upper edge of |p| [GeV].
        reference: Mean shares of the reference showers, front layer first, shape ``(layers,)``.
        reference_error: Their standard errors.
        generated: Mean shares of the generated showers, likewise.
        generated_error: Their standard errors.
    """

    low: float
    high: float
    reference: FloatArray
    reference_error: FloatArray
    generated: FloatArray
    generated_error: FloatArray


@dataclass(frozen=True)
class DepthGrowth:
    r"""Mean depth against the momentum, and straight lines in its logarithm.

    Attributes:
        profile: Mean depth [mm] in bins of |p| [GeV].
        momentum: Ends of the lines [GeV], shape ``(2,)``.
        reference_line: Depth [mm] on the reference's line at these ends.
        generated_line: The same of the generated showers.
        growth: By how much the depth grows when |p| grows by a factor e [mm], and the relative difference.
    """

    profile: Profile
    momentum: FloatArray
    reference_line: FloatArray
    generated_line: FloatArray
    growth: Comparison


@dataclass(frozen=True)
class LayerTrend:
    """One layer's energy over the incident momentum, and where in the layer it is.

    Attributes:
        layer: Number of the layer.
        bins: Mean and relative width of E_layer/|p| in fine bins of the momentum.
        response: Its mean, averaged over them.
        resolution: Its relative width, averaged over them.
        radial_profile: Share of the layer's energy in rings about the projected track; showers that leave the layer
            dark do not enter.
    """

    layer: int
    bins: tuple[ResponseBin, ...]
    response: Comparison
    resolution: Comparison
    radial_profile: Profile


@dataclass(frozen=True)
class LongitudinalStudy:
    """Development of the showers of both samples through the layers.

    Attributes:
        depth: Depths of the layers [mm], shape ``(layers,)``.
        momentum_bins: Mean shares of the layers in bins of the momentum.
        growth: Depth against the momentum; None where all particles have the same one.
        layers: Response, resolution and radial profile of each layer, of the twelve of most energy if there are more.
        correlation: Rank correlations of the layers' shares; None for two layers.
        reference_count: Reference showers.
        generated_count: Generated showers.
    """

    depth: FloatArray
    momentum_bins: tuple[LayerBin, ...]
    growth: DepthGrowth | None
    layers: tuple[LayerTrend, ...]
    correlation: CorrelationComparison | None
    reference_count: int
    generated_count: int

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Relative differences of the layers' responses and resolutions, of the growth, and of the correlations."""
        compared = {
            f"layer {one.layer} {which} difference": getattr(one, which)
            for one in self.layers
            for which in ("response", "resolution")
        }
        if self.growth:
            compared["depth growth difference"] = self.growth.growth
        sizes = self.reference_count, self.generated_count
        found = [difference_metric(one, name, sizes) for name, one in compared.items()]
        return (*found, *((self.correlation.difference,) if self.correlation else ()))


def study_longitudinal(samples: Samples, reporter: Reporter) -> LongitudinalStudy:
    """Compare how showers develop through the layers of a calorimeter that has several.

    Args:
        samples: Both samples.
        reporter: Told about each layer.
    """
    geometry, momentum = samples.reference.geometry, samples.reference.momentum
    low, high = float(momentum.min()), float(momentum.max())
    energies = samples.reference.layer_energy, samples.generated.layer_energy
    shares = _shares(energies[0]), _shares(energies[1])
    brightest = np.argsort(-energies[0].mean(axis=0), kind="stable")[:_MOST_LAYERS]
    smaller = min(len(samples.reference), len(samples.generated))
    fine = logarithmic_edges(low, high, max(1, min(_FINE_BINS, smaller // (2 * resolution.LEAST_SHOWERS))))
    layers = []
    with reporter.task("layers", total=len(brightest) + 1, unit="layers") as task:
        for layer in sorted(brightest.tolist()):
            layers.append(_layer_trend(samples, layer, (energies[0][:, layer], energies[1][:, layer]), fine))
            task.advance(note=f"layer {layer}")
        correlation = None
        if geometry.n_layers >= _CORRELATED:
            names = [f"layer {layer}" for layer in range(geometry.n_layers)]
            draws = samples.resampling("layer correlation")
            correlation = compare_correlations(*shares, names, draws, name="layer correlation difference")
        task.advance(note="correlations")
    return LongitudinalStudy(
        depth=np.array([layer.depth for layer in geometry.layers]),
        momentum_bins=_momentum_bins(samples, shares, samples.settings.momentum_bins or logarithmic_edges(low, high)),
        growth=_growth(samples, fine) if len(fine) > 2 else None,
        layers=tuple(layers),
        correlation=correlation,
        reference_count=len(samples.reference),
        generated_count=len(samples.generated),
    )


def fit_growth(depth: FloatArray, momentum: FloatArray) -> tuple[Estimate, float, FloatArray]:
    r"""Straight line of the depth in the logarithm of the momentum, by least squares over the showers.

    The maximum of an electromagnetic cascade is at a depth that grows with the logarithm of the energy,
    :math:`t_{max} = \ln(E / E_c) + C`, and so is, nearly, its mean depth.

    Args:
        depth: Depths [mm], shape ``(showers,)``, all of them numbers.
        momentum: \|p\| [GeV], shape ``(showers,)``, not all the same.

    Returns:
        The slope [mm] per factor e with its error, the depth [mm] on the line at 1 GeV, and what each shower adds to
        the deviation of the slope from its expectation [mm], shape ``(showers,)``: the root of the sum of its squares
        is the error, whether or not all showers scatter alike.

    Source:
        Review of Particle Physics (PDG), passage of particles through matter, electromagnetic cascades; errors of
        White, Econometrica 48 (1980) 817.

    Example:
        >>> slope, start, _ = fit_growth(np.array([10.0, 20.0, 30.0]), np.exp([0.0, 1.0, 2.0]))
        >>> round(slope.value, 9), round(start, 9)
        (10.0, 10.0)
    """
    size = np.log(momentum)
    arm = size - size.mean()
    slope = float(arm @ depth / (arm @ arm))
    start = float(depth.mean() - slope * size.mean())
    influence: FloatArray = arm * (depth - start - slope * size) / (arm @ arm)
    return Estimate(slope, math.sqrt(float(influence @ influence))), start, influence


def _shares(layer_energy: FloatArray) -> FloatArray:
    """Energies over their sum; NaN for an empty shower."""
    total = layer_energy.sum(axis=1, keepdims=True)
    shares: FloatArray = np.full_like(layer_energy, np.nan)
    np.divide(layer_energy, total, out=shares, where=total > 0)
    return shares


def _momentum_bins(samples: Samples, shares: Pair, edges: Sequence[float]) -> tuple[LayerBin, ...]:
    places = [resolution.momentum_bin(one.momentum, edges) for one in (samples.reference, samples.generated)]
    found = []
    for number, (low, high) in enumerate(pairwise(edges)):
        means = [_means(values[place == number]) for values, place in zip(shares, places, strict=True)]
        found.append(LayerBin(float(low), float(high), *means[0], *means[1]))
    return tuple(found)


def _means(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean of each column and its error."""
    estimates = [mean_estimate(column) for column in values.T]
    return np.array([one.value for one in estimates]), np.array([one.error for one in estimates])


def _layer_trend(samples: Samples, layer: int, energy: Pair, edges: list[float]) -> LayerTrend:
    momenta = samples.reference.momentum, samples.generated.momentum
    bins = resolution.response_by_momentum(
        energy[0] / momenta[0],
        energy[1] / momenta[1],
        *momenta,
        edges,
        rng=samples.rng(f"layer {layer}"),
        resamplings=samples.settings.bootstrap,
        paired=samples.paired,
    )
    return LayerTrend(
        layer,
        bins,
        resolution.averaged(bins, "response"),
        resolution.averaged(bins, "resolution"),
        radial_profile(samples.reference, samples.generated, layer),
    )


def _growth(samples: Samples, edges: list[float]) -> DepthGrowth | None:
    showers = samples.reference, samples.generated
    depths = [_mean_depth(one) for one in showers]
    known = [np.isfinite(depth) for depth in depths]
    if samples.paired:
        known = [known[0] & known[1]] * 2
    values = [(depth[keep], one.momentum[keep]) for depth, keep, one in zip(depths, known, showers, strict=True)]
    if any(len(depth) < resolution.LEAST_SHOWERS or np.ptp(momentum) == 0 for depth, momentum in values):
        return None
    (first, start, influence), (second, other_start, other) = (fit_growth(*pair) for pair in values)
    ends = np.array([edges[0], edges[-1]])
    return DepthGrowth(
        profile=_depth_profile(values, edges),
        momentum=ends,
        reference_line=start + first.value * np.log(ends),
        generated_line=other_start + second.value * np.log(ends),
        growth=Comparison(first, second, _relative(first, second, influence, other, paired=samples.paired)),
    )


def _mean_depth(showers: Showers) -> FloatArray:
    """Energy-weighted mean depth of each shower [mm]; NaN for an empty one."""
    return np.asarray(_shares(showers.layer_energy) @ np.array([layer.depth for layer in showers.geometry.layers]))


def _relative(first: Estimate, second: Estimate, influence: FloatArray, other: FloatArray, *, paired: bool) -> Estimate:
    """Second over first less 1, with the error of linear propagation and the covariance of pairs."""
    if first.value <= 0:
        return Estimate(math.nan, math.nan)
    quotient = second.value / first.value
    if paired:
        variance = float(np.sum((other - quotient * influence) ** 2))
    else:
        variance = second.error**2 + (quotient * first.error) ** 2
    return Estimate(quotient - 1, math.sqrt(variance) / first.value)


def _depth_profile(values: Sequence[Pair], edges: list[float]) -> Profile:
    columns = []
    for depth, momentum in values:
        place = resolution.momentum_bin(momentum, edges)
        means = [mean_estimate(depth[place == number]) for number in range(len(edges) - 1)]
        columns += [np.array([one.value for one in means]), np.array([one.error for one in means])]
    return Profile(np.array(edges), *columns)
