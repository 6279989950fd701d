"""How showers develop through the layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations

from calogan.metrics.correlation import CorrelationComparison
from calogan.validation.numbers import estimated, number, percent, sigmas, with_error
from calogan.validation.page import Drawing, Section, Table
from calogan.validation.plots.longitudinal import MOST_PANELS, depth_growth, layer_shares
from calogan.validation.plots.multivariate import correlation_matrices
from calogan.validation.plots.profile import profile_curve
from calogan.validation.plots.trend import momentum_trend
from calogan.validation.sections.response import comparison_cells
from calogan.validation.studies.longitudinal import DepthGrowth, LayerBin, LayerTrend, LongitudinalStudy

__all__ = ["longitudinal_section"]

_TEXT = (
    "Shares are means, over the showers of a momentum bin, of a layer's energy over that of all layers. Response and "
    "resolution of a layer are mean and relative width of its energy over |p|, averaged over bins of the momentum."
)
_GROWTH = (
    "The maximum of an electromagnetic cascade, and nearly so its mean depth, grows with the logarithm of the energy. "
    "The lines are fits of depth = growth × ln(|p| / GeV) + constant to the showers of either sample."
)
_LAYERS = ("layer", "depth [mm]", "response, ref.", "gen.", "difference [%]", "resolution, difference [%]")
_SHARES = ("|p| [GeV]", "layer", "reference [%]", "generated [%]", "difference in errors")
_PAIRS = ("shares of layers", "reference", "generated", "difference", "in errors")
_OPEN = 3  # layers whose figures are not folded
_MOST_LISTED = 6  # layers whose pairs are listed


def longitudinal_section(study: LongitudinalStudy) -> Section:
    """Shares, depth, response and resolution of the layers, their correlations, and radial profiles."""
    depths = study.depth.tolist()
    rows = tuple(_layer(one, depths[one.layer]) for one in study.layers)
    tables = [
        Table(_LAYERS, rows, "Response and resolution of the layers"),
        Table(_SHARES, tuple(_shares(study.momentum_bins)), "Mean shares of the layers", left=(0,), folded=True),
    ]
    if study.correlation and len(depths) <= _MOST_LISTED:
        tables.append(Table(_PAIRS, tuple(_pairs(study.correlation)), "Rank correlations of the layers' shares"))
    text = (_TEXT, _GROWTH) if study.growth else (_TEXT,)
    drawings = (*_overview(study), *_layer_drawings(study.layers))
    return Section("layers", "Layers", text, tuple(tables), drawings, finding=_finding(study))


def _finding(study: LongitudinalStudy) -> str:
    told = [
        f"layer {one.layer} {percent(one.response.difference)}% "
        f"({sigmas(one.response.difference.value, one.response.difference.error)})"
        for one in _furthest(study.layers)
    ]
    found = f"Response of the layers, generated over reference less 1: {', '.join(told)}."
    return f"{found} {_growth(study.growth)}" if study.growth else found


def _furthest(layers: Sequence[LayerTrend]) -> list[LayerTrend]:
    """The layers whose responses differ most in errors, front to back."""
    ranked = sorted(layers, key=lambda one: -abs(_pull(one)))[:_OPEN]
    return sorted(ranked, key=lambda one: one.layer)


def _pull(one: LayerTrend) -> float:
    difference = one.response.difference
    return difference.value / difference.error if difference.error > 0 else 0.0


def _growth(growth: DepthGrowth) -> str:
    both, difference = growth.growth, growth.growth.difference
    return (
        f"When |p| grows by a factor e, the mean depth grows by {estimated(both.reference)} mm in the reference and by "
        f"{estimated(both.generated)} mm in the generated showers ({sigmas(difference.value, difference.error)})."
    )


def _layer(one: LayerTrend, depth: float) -> tuple[str, ...]:
    return str(one.layer), number(depth), *comparison_cells(one.response), percent(one.resolution.difference)


def _shares(bins: Sequence[LayerBin]) -> Iterator[tuple[str, ...]]:
    for one in bins:
        columns = (one.reference, one.reference_error, one.generated, one.generated_error)
        for layer, (first, first_error, second, second_error) in enumerate(zip(*columns, strict=True)):
            yield (
                f"{one.low:.3g} to {one.high:.3g}",
                str(layer),
                with_error(100 * first, 100 * first_error),
                with_error(100 * second, 100 * second_error),
                sigmas(second - first, (first_error**2 + second_error**2) ** 0.5),
            )


def _pairs(found: CorrelationComparison) -> Iterator[tuple[str, ...]]:
    for first, second in combinations(range(len(found.names)), 2):
        values = found.reference[first, second], found.generated[first, second]
        difference, error = values[1] - values[0], found.error[first, second]
        yield (
            f"{first} and {second}",
            number(values[0], 3),
            number(values[1], 3),
            with_error(difference, error),
            sigmas(difference, error),
        )


def _overview(study: LongitudinalStudy) -> Iterator[Drawing]:
    shown = f"{MOST_PANELS} of {len(study.momentum_bins)} momentum bins"
    yield Drawing(
        "layer_shares",
        "Mean share of each layer in the energy, of reference and generated showers, in bins of the momentum",
        partial(layer_shares, study.momentum_bins, study.depth),
        shown if len(study.momentum_bins) > MOST_PANELS else "",
        key=True,
    )
    if study.growth:
        yield Drawing(
            "depth_growth",
            "Mean depth of reference and generated showers against the momentum with straight lines, and their ratio",
            partial(depth_growth, study.growth),
            "Lines: straight in the logarithm of the momentum.",
            key=True,
        )
    if study.correlation:
        yield Drawing(
            "layer_correlations",
            "Rank correlations of the layers' shares in both samples",
            partial(correlation_matrices, study.correlation, "Correlations of the layers"),
        )


def _layer_drawings(layers: Sequence[LayerTrend]) -> Iterator[Drawing]:
    shown = {one.layer for one in _furthest(layers)}
    for one in layers:
        folded = one.layer not in shown
        for which in ("response", "resolution"):
            yield Drawing(
                f"layer_{one.layer}_{which}",
                f"{which.capitalize()} of layer {one.layer} against the momentum, and the ratio of both samples",
                partial(momentum_trend, one.bins, which, one.layer),
                folded=folded,
            )
        title, x_label = f"Radial profile, layer {one.layer}", "distance from the projected track [mm]"
        yield Drawing(
            f"layer_{one.layer}_radial_profile",
            f"{title}, of reference and generated showers, and their ratio",
            partial(profile_curve, one.radial_profile, title, x_label, "fraction of the layer's energy", log_x=False),
            "Showers that leave the layer dark do not enter.",
            folded=folded,
        )
