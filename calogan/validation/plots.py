"""Drawing a comparison: each function takes numbers that are computed elsewhere and returns a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from calogan.metrics.resolution import ResponseBin
from calogan.validation.comparison import Comparison
from calogan.validation.distributions import Distribution
from calogan.validation.images import LayerImages, ShowerPair
from calogan.validation.profiles import Profile

__all__ = [
    "KNOWN_RATIO",
    "STYLE",
    "classifier_summary",
    "histogram",
    "layer_image",
    "momentum_trend",
    "profile_curve",
    "shower_pair",
]

FloatArray = NDArray[np.float64]

# Okabe and Ito's colours, told apart with any colour vision; line styles differ as well
_REFERENCE, _GENERATED = "#0072B2", "#D55E00"
STYLE: Any = {  # of rc_context, whose keys have a type of their own
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.labelsize": 11,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#e3e6ea",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "figure.facecolor": "white",
}
KNOWN_RATIO = 0.3  # largest error of a cell's ratio that is shown
_WIDTH = 5.0  # inches: 360 points, so that a figure fits a narrow screen with its letters at full size
_RATIO_RANGE = (0.4, 1.6)
_MOST_UNCERTAIN = 0.5  # relative error of the reference, above which a bin's ratio says nothing


def histogram(distribution: Distribution) -> Figure:
    """Histograms of both samples with statistical errors, and their ratio."""
    figure, main, ratio = _with_ratio(distribution.name)
    edges, centres = distribution.edges, _centres(distribution.edges)
    separation, samples = distribution.separation, (distribution.reference_counts, distribution.generated_counts)
    sizes = (separation.n_reference, separation.n_generated)
    densities = [counts / size for counts, size in zip(samples, sizes, strict=True)]
    errors = [np.sqrt(counts) / size for counts, size in zip(samples, sizes, strict=True)]
    _band(main, edges, densities[0], errors[0])
    main.stairs(densities[0], edges, color=_REFERENCE, linewidth=1.6, label="reference")
    main.stairs(densities[1], edges, color=_GENERATED, linewidth=1.6, linestyle=(0, (4, 1.5)), label="generated")
    main.errorbar(centres, densities[1], errors[1], fmt="none", ecolor=_GENERATED, elinewidth=1)
    main.set_ylabel("fraction of showers")
    main.set_ylim(bottom=0, top=1.25 * max(float(np.max(np.add(densities, errors))), 1e-9))
    main.legend(loc="upper right", ncols=2)
    _draw_ratio(ratio, edges, (densities[0], errors[0]), (densities[1], errors[1]))
    ratio.set_xlabel(distribution.axis_label)
    if distribution.scale == "log":
        ratio.set_xscale("log")
    return figure


def momentum_trend(bins: Sequence[ResponseBin], which: str) -> Figure:
    """Response or resolution of both samples against the incident momentum, and the relative difference."""
    title, label = {
        "response": ("Response", "mean of $E_{visible}/|p|$"),
        "resolution": ("Resolution", "relative width of $E_{visible}/|p|$"),
    }[which]
    quantities = [getattr(one, which) for one in bins]
    edges = np.array([bins[0].low, *(one.high for one in bins)])
    figure, main, ratio = _with_ratio(title)
    reference = np.array([(one.reference.value, one.reference.error) for one in quantities]).T
    generated = np.array([(one.generated.value, one.generated.error) for one in quantities]).T
    centres = np.sqrt(edges[:-1] * edges[1:])
    _band(main, edges, *reference)
    main.stairs(reference[0], edges, baseline=None, color=_REFERENCE, linewidth=1.6, label="reference")
    main.errorbar(
        centres, generated[0], generated[1], fmt="o", color=_GENERATED, markersize=5, capsize=2, label="generated"
    )
    main.set_ylabel(label)
    ends = np.concatenate([values + sign * errors for values, errors in (reference, generated) for sign in (-1, 1)])
    known = ends[np.isfinite(ends)]
    if known.size:
        # 2% at least on each side, so that agreement does not look like a difference
        main.set_ylim(0.98 * known.min(), 1.02 * known.max())
    main.legend(loc="best")
    _draw_ratio(ratio, edges, (reference[0], reference[1]), (generated[0], generated[1]), centres, fit_range=True)
    ratio.set_xscale("log")
    ratio.set_xlabel("$|p|$ [GeV]")
    _plain_log_ticks(ratio, edges)
    return figure


def profile_curve(profile: Profile, title: str, x_label: str, y_label: str, *, log_x: bool) -> Figure:
    """A profile of both samples on a logarithmic axis, and their ratio."""
    figure, main, ratio = _with_ratio(title)
    reference = (profile.reference, profile.reference_error)
    generated = (profile.generated, profile.generated_error)
    if len(profile.x) == len(profile.reference) + 1:
        centres = np.sqrt(profile.x[:-1] * profile.x[1:]) if log_x else _centres(profile.x)
        _band(main, profile.x, *reference)
        main.stairs(reference[0], profile.x, baseline=None, color=_REFERENCE, linewidth=1.6, label="reference")
        edges = profile.x
    else:
        centres = edges = profile.x
        main.fill_between(
            centres, reference[0] - reference[1], reference[0] + reference[1], color=_REFERENCE, alpha=0.25
        )
        main.plot(centres, reference[0], color=_REFERENCE, linewidth=1.6, label="reference")
    main.errorbar(centres, *generated, fmt="o", color=_GENERATED, markersize=3.5, elinewidth=1, label="generated")
    main.set_yscale("log")
    lit = [values[values > 0] for values in (profile.reference, profile.generated)]
    main.set_ylim(bottom=0.4 * min((float(values.min()) for values in lit if values.size), default=1e-9))
    main.set_ylabel(y_label)
    main.legend(loc="best")
    _draw_ratio(ratio, edges, reference, generated, centres)
    ratio.set_xlabel(x_label)
    if log_x:
        ratio.set_xscale("log")
    return figure


def layer_image(images: LayerImages, which: str) -> Figure:
    """Mean energy in each cell of a layer in logarithmic colours, or the ratio of both samples."""
    figure = Figure(figsize=(_WIDTH, 4.2))
    axes = figure.add_subplot()
    figure.subplots_adjust(left=0.15, right=0.87, top=0.93, bottom=0.13)
    axes.grid(visible=False)
    if which == "ratio":
        # where the ratio is known worse, its colour would show chance
        known = (images.ratio_error < KNOWN_RATIO) & (images.reference > 0)
        ratio = np.divide(images.generated, images.reference, out=np.full_like(images.reference, np.nan), where=known)
        mesh = axes.pcolormesh(images.x_edges, images.y_edges, ratio.T, cmap="PuOr_r", vmin=0.5, vmax=1.5)
        label, title = "generated / reference", "Ratio of mean energies"
        axes.set_facecolor("#d9d9d9")
    else:
        norm = _energy_norm(images.reference, images.generated)
        picture = np.ma.masked_less_equal(getattr(images, which), 0)
        mesh = axes.pcolormesh(images.x_edges, images.y_edges, picture.T, cmap="viridis", norm=norm)
        label, title = "mean cell energy [GeV]", f"{which.capitalize()}: mean energy"
        axes.set_facecolor(mesh.get_cmap()(0.0))
    axes.set_title(f"{title}, layer {images.layer}")
    _spatial_axes(axes)
    figure.colorbar(mesh, ax=axes, label=label, extend="both" if which == "ratio" else "neither")
    return figure


def shower_pair(pair: ShowerPair) -> Figure:
    """A single shower of either sample side by side, in common logarithmic colours."""
    figure = Figure(figsize=(_WIDTH, 3.6))
    grid = figure.subplots(1, 2, sharex=True, sharey=True)
    figure.subplots_adjust(left=0.15, right=0.97, top=0.98, bottom=0.27, wspace=0.08)
    norm = _energy_norm(pair.reference, pair.generated)
    for axes, name in zip(grid, ("reference", "generated"), strict=True):
        picture = np.ma.masked_less_equal(getattr(pair, name), 0)
        mesh = axes.pcolormesh(pair.x_edges, pair.y_edges, picture.T, cmap="viridis", norm=norm)
        axes.grid(visible=False)
        axes.set_facecolor("#eeeeee")
        axes.set_title(f"{name}, {getattr(pair, f'{name}_momentum'):.3g} GeV", fontsize=11)
        _spatial_axes(axes)
        axes.label_outer()
    figure.colorbar(mesh, cax=figure.add_axes((0.15, 0.16, 0.82, 0.035)), location="bottom", label="cell energy [GeV]")
    return figure


def classifier_summary(comparison: Comparison) -> Figure:
    """AUC of the classifier tests with their spreads, beside what reference against reference gives."""
    figure = Figure(figsize=(_WIDTH, 2.9))
    axes = figure.add_subplot()
    figure.subplots_adjust(left=0.2, right=0.97, top=0.9, bottom=0.4)
    tests = [("low level", comparison.classifier_low), ("high level", comparison.classifier_high)]
    for position, (_, test) in enumerate(tests):
        axes.errorbar(
            test.floor,
            position + 0.14,
            xerr=test.floor_error,
            fmt="s",
            color=_REFERENCE,
            capsize=3,
            label="floor: reference against reference" if position == 0 else None,
        )
        axes.errorbar(
            test.value,
            position - 0.14,
            xerr=test.error,
            fmt="o",
            color=_GENERATED,
            capsize=3,
            label="reference against generated" if position == 0 else None,
        )
    axes.axvline(0.5, color="#555555", linewidth=1, linestyle=":")
    axes.set_yticks(range(len(tests)), [name for name, _ in tests])
    axes.set_ylim(-0.6, len(tests) - 0.4)
    axes.set_xlim(0.4, 1.02)
    axes.invert_yaxis()
    axes.set_xlabel("AUC (0.5: cannot be told apart)")
    axes.set_title("Classifier tests")
    figure.legend(loc="lower left", ncols=1)
    return figure


def _with_ratio(title: str) -> tuple[Figure, Axes, Axes]:
    figure = Figure(figsize=(_WIDTH, 4.4))
    main, ratio = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.25))
    # fixed margins: a layout engine takes most of the time of drawing
    figure.subplots_adjust(left=0.17, right=0.97, top=0.93, bottom=0.125, hspace=0.09)
    main.set_title(title)
    return figure, main, ratio


def _band(axes: Axes, edges: FloatArray, values: FloatArray, errors: FloatArray) -> None:
    axes.stairs(
        values + errors, edges, baseline=np.maximum(values - errors, 0), fill=True, color=_REFERENCE, alpha=0.25
    )


def _draw_ratio(
    axes: Axes,
    edges: FloatArray,
    reference: tuple[FloatArray, FloatArray],
    generated: tuple[FloatArray, FloatArray],
    centres: FloatArray | None = None,
    *,
    fit_range: bool = False,
) -> None:
    """Generated over reference, with the reference's own error as a band about 1."""
    x = _centres(edges) if centres is None else centres
    known = reference[1] < _MOST_UNCERTAIN * reference[0]
    band = np.divide(reference[1], reference[0], out=np.zeros_like(reference[0]), where=known)
    ratio = np.divide(generated[0], reference[0], out=np.full_like(reference[0], np.nan), where=known)
    error = np.divide(generated[1], reference[0], out=np.full_like(reference[0], np.nan), where=known)
    low, high = _ratio_range(ratio, band) if fit_range else _RATIO_RANGE
    if len(edges) == len(x):
        axes.fill_between(x, 1 - band, 1 + band, color=_REFERENCE, alpha=0.25)
    else:
        axes.stairs(1 + band, edges, baseline=1 - band, fill=True, color=_REFERENCE, alpha=0.25)
    axes.axhline(1, color=_REFERENCE, linewidth=1.2)
    inside = (ratio >= low) & (ratio <= high)
    axes.errorbar(x[inside], ratio[inside], error[inside], fmt="o", color=_GENERATED, markersize=3.5, elinewidth=1)
    for beyond, place, marker in ((ratio > high, high, "^"), (ratio < low, low, "v")):
        axes.plot(x[beyond], np.full(int(beyond.sum()), place), marker, color=_GENERATED, markersize=5, clip_on=False)
    axes.set_ylim(low, high)
    axes.set_ylabel("gen. / ref.")


def _ratio_range(ratio: FloatArray, band: FloatArray) -> tuple[float, float]:
    largest = float(np.nanmax(np.append(np.abs(ratio - 1), 2 * band), initial=0.02))
    return 1 - min(0.6, 1.4 * largest), 1 + min(0.6, 1.4 * largest)


def _centres(edges: FloatArray) -> FloatArray:
    return (edges[:-1] + edges[1:]) / 2


def _plain_log_ticks(axes: Axes, edges: FloatArray) -> None:
    axes.set_xticks(edges, [f"{edge:g}" for edge in edges])
    axes.minorticks_off()


def _energy_norm(*pictures: FloatArray) -> LogNorm:
    lit = np.concatenate([picture[picture > 0] for picture in pictures])
    if not lit.size:
        return LogNorm(1e-3, 1.0)
    high = float(lit.max())
    # five decades at most, so that a few nearly empty cells do not take all the colours
    return LogNorm(max(float(lit.min()), high * 1e-5), max(high, 1.01 * float(lit.min())))


def _spatial_axes(axes: Axes) -> None:
    axes.set_xlabel("x [mm]")
    axes.set_ylabel("y [mm]")
    axes.set_aspect("equal")
