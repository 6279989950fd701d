"""Classifier tests: areas, curves, what they go by, and the showers that they are surest about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from calogan.metrics.classifier import ClassifierTest
from calogan.metrics.metric import Estimate
from calogan.validation.plots.style import GENERATED, REFERENCE, WIDTH, draw_cells
from calogan.validation.studies.classifiers import ClassifierStudy, Importance, LearningPoint, SureShower

__all__ = ["areas", "calibrations", "importances", "learning_curve", "receiver_curves", "surest_showers"]

_SHOWN = 12  # observables
_KINDS = (("low level", "o"), ("high level", "s"))


def areas(study: ClassifierStudy) -> Figure:
    """Area under the curve of each repeat, their mean with its error, and the floor."""
    figure = Figure(figsize=(WIDTH, 3.6))
    axes = figure.add_subplot()
    figure.subplots_adjust(left=0.2, right=0.97, top=0.91, bottom=0.36)
    axes.axvline(0.5, color="#555555", linewidth=1, linestyle=":")
    for row, test in enumerate((study.low, study.high)):
        mean, floor = Estimate(test.auc.value, test.auc.error), Estimate(test.auc.floor, test.auc.floor_error)
        _draw_areas(axes, row - 0.17, test.floor_areas, floor, REFERENCE, "reference against reference" * (row == 0))
        _draw_areas(axes, row + 0.17, test.areas, mean, GENERATED, "reference against generated" * (row == 0))
    axes.set_yticks((0, 1), [name for name, _ in _KINDS])
    axes.set_ylim(1.55, -0.55)
    axes.set_xlim(right=1.01)
    axes.set_xlabel("AUC (0.5: cannot be told apart)")
    axes.set_title("Classifier tests")
    figure.legend(loc="lower left", ncols=1, bbox_to_anchor=(0.17, 0.0))
    return figure


def _draw_areas(axes: Axes, row: float, found: Sequence[Estimate], mean: Estimate, colour: str, label: str) -> None:
    axes.plot([one.value for one in found], [row] * len(found), "|", color=colour, markersize=11, alpha=0.55)
    axes.errorbar(mean.value, row, xerr=mean.error, fmt="o", color=colour, capsize=4, label=label or None)


def receiver_curves(study: ClassifierStudy) -> Figure:
    """Generated showers recognised against reference showers mistaken."""
    figure, axes = _square("ROC curves")
    for test, name, style in _tests(study):
        axes.plot(
            test.false_positive, test.true_positive, style, color=GENERATED, label=f"{name}: {test.auc.value:.3f}"
        )
    axes.plot((0, 1), (0, 1), color=REFERENCE, linewidth=1, label="chance: 0.5")
    axes.set_xlabel("reference showers taken for generated")
    axes.set_ylabel("generated showers recognised")
    axes.legend(loc="lower right", title="AUC")
    return figure


def calibrations(study: ClassifierStudy) -> Figure:
    """Observed against predicted fractions of generated showers."""
    figure, axes = _square("Calibration")
    axes.plot((0, 1), (0, 1), color=REFERENCE, linewidth=1)
    for (test, name, style), (_, marker) in zip(_tests(study), _KINDS, strict=True):
        found = test.calibration
        axes.errorbar(
            found.predicted,
            found.observed,
            found.observed_error,
            fmt=f"{marker}{style}",
            color=GENERATED,
            markersize=4,
            linewidth=1,
            markerfacecolor=GENERATED if marker == "o" else "white",
            label=name,
        )
    axes.set_xlabel("predicted probability of being generated")
    axes.set_ylabel("fraction that is generated")
    axes.legend(loc="upper left")
    return figure


def learning_curve(points: Sequence[LearningPoint]) -> Figure:
    """Area under the curve against the number of training showers."""
    figure = Figure(figsize=(WIDTH, 3.4))
    axes = figure.add_subplot()
    figure.subplots_adjust(left=0.17, right=0.96, top=0.9, bottom=0.17)
    numbers = [point.n_training for point in points]
    values, errors = ([getattr(point.area, key) for point in points] for key in ("value", "error"))
    axes.errorbar(numbers, values, errors, fmt="o-", color=GENERATED, capsize=3)
    axes.axhline(0.5, color="#555555", linewidth=1, linestyle=":")
    axes.set_xscale("log", base=2)
    axes.set_xticks(numbers, [str(number) for number in numbers])
    axes.minorticks_off()
    axes.set_xlabel("training showers of each sample")
    axes.set_ylabel("low-level AUC")
    axes.set_title("Low-level test by training showers")
    return figure


def importances(found: Sequence[Importance]) -> Figure:
    """What the high-level classifier loses without an observable, and what that does alone."""
    shown = found[:_SHOWN]
    figure = Figure(figsize=(WIDTH, 1.5 + 0.3 * len(shown)))
    axes = figure.add_subplot()
    height = figure.get_figheight()
    figure.subplots_adjust(left=0.42, right=0.96, top=1 - 0.35 / height, bottom=1.05 / height)
    rows = np.arange(len(shown))
    lost, own = [entry.lost for entry in shown], [entry.own for entry in shown]
    bars = (
        (-0.2, [one.value for one in lost], lost, GENERATED, "lost when shuffled"),
        (0.2, [abs(one.value - 0.5) for one in own], own, "#999999", "alone: |AUC − 0.5|"),
    )
    for offset, values, found_errors, colour, label in bars:
        errors = [one.error for one in found_errors]
        axes.barh(rows + offset, values, 0.4, xerr=errors, color=colour, label=label, error_kw={"elinewidth": 1})
    axes.set_yticks(rows, [entry.name for entry in shown], fontsize=9)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlabel("AUC")
    axes.set_title("What tells them apart")
    figure.legend(loc="lower right", ncols=2)
    return figure


def surest_showers(showers: Sequence[SureShower], title: str) -> Figure:
    """Single showers in the layer with most energy, in common logarithmic colours."""
    rows = (len(showers) + 1) // 2
    figure = Figure(figsize=(WIDTH, 1.2 + 2.45 * rows))
    height = figure.get_figheight()
    grid = figure.subplots(rows, 2, squeeze=False)
    figure.subplots_adjust(left=0.16, right=0.97, top=1 - 0.62 / height, bottom=1.2 / height, wspace=0.2, hspace=0.2)
    figure.suptitle(title, x=0.02, ha="left", fontsize=12)
    norm = _energy_norm(showers)
    for axes in grid.flat[len(showers) :]:
        axes.set_axis_off()
    for axes, shower in zip(grid.flat, showers, strict=False):
        picture = np.ma.masked_less_equal(shower.energy, 0)
        mesh = draw_cells(axes, shower.cells, picture, cmap="viridis", norm=norm)
        axes.grid(visible=False)
        axes.set_facecolor("#eeeeee")
        axes.set_title(f"{shower.momentum:.3g} GeV, p = {shower.score:.3g}", fontsize=10)
        axes.tick_params(labelsize=8)
        axes.set_aspect("equal")
        axes.set_xlabel("x [mm]", fontsize=10)
        axes.set_ylabel("y [mm]", fontsize=10)
        axes.label_outer()
    place = (0.16, 0.5 / height, 0.81, 0.11 / height)
    figure.colorbar(mesh, cax=figure.add_axes(place), location="bottom", label="cell energy [GeV]")
    return figure


def _tests(study: ClassifierStudy) -> tuple[tuple[ClassifierTest, str, str], ...]:
    return (study.low, "low level", "-"), (study.high, "high level", "--")


def _square(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, 4.3))
    axes = figure.add_subplot()
    figure.subplots_adjust(left=0.15, right=0.96, top=0.92, bottom=0.13)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_title(title)
    return figure, axes


def _energy_norm(showers: Sequence[SureShower]) -> LogNorm:
    lit = np.concatenate([shower.energy[shower.energy > 0] for shower in showers])
    if not lit.size:
        return LogNorm(1e-3, 1.0)
    low, high = float(lit.min()), float(lit.max())
    return LogNorm(max(low, high * 1e-5), max(high, 1.01 * low))
