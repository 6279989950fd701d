"""Mean images and single showers."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from calogan.validation.plots.style import (
    WIDTH,
    FloatArray,
    draw_cells,
)
from calogan.validation.studies.images import LayerImages, ShowerPair

__all__ = ["KNOWN_RATIO", "layer_image", "shower_pair"]

KNOWN_RATIO = 0.3  # largest error of a cell's ratio that is shown


def layer_image(images: LayerImages, which: str) -> Figure:
    """Mean energy in each cell of a layer in logarithmic colours, or the ratio of both samples."""
    figure = Figure(figsize=(WIDTH, 4.2))
    axes = figure.add_subplot()
    figure.subplots_adjust(left=0.15, right=0.87, top=0.93, bottom=0.13)
    axes.grid(visible=False)
    if which == "ratio":
        # where the ratio is known worse, its colour would show chance
        known = (images.ratio_error < KNOWN_RATIO) & (images.reference > 0)
        ratio = np.divide(images.generated, images.reference, out=np.full_like(images.reference, np.nan), where=known)
        mesh = draw_cells(axes, images.cells, ratio, cmap="PuOr_r", vmin=0.5, vmax=1.5)
        label, title = "generated / reference", "Ratio of mean energies"
        axes.set_facecolor("#d9d9d9")
    else:
        norm = _energy_norm(images.reference, images.generated)
        picture = np.ma.masked_less_equal(getattr(images, which), 0)
        mesh = draw_cells(axes, images.cells, picture, cmap="viridis", norm=norm)
        label, title = "mean cell energy [GeV]", f"{which.capitalize()}: mean energy"
        axes.set_facecolor(mesh.get_cmap()(0.0))
    axes.set_title(f"{title}, layer {images.layer}")
    _spatial_axes(axes)
    figure.colorbar(mesh, ax=axes, label=label, extend="both" if which == "ratio" else "neither")
    return figure


def shower_pair(pair: ShowerPair) -> Figure:
    """A single shower of either sample side by side, in common logarithmic colours."""
    figure = Figure(figsize=(WIDTH, 3.6))
    grid = figure.subplots(1, 2, sharex=True, sharey=True)
    figure.subplots_adjust(left=0.15, right=0.97, top=0.98, bottom=0.27, wspace=0.08)
    norm = _energy_norm(pair.reference, pair.generated)
    for axes, name in zip(grid, ("reference", "generated"), strict=True):
        picture = np.ma.masked_less_equal(getattr(pair, name), 0)
        mesh = draw_cells(axes, pair.cells, picture, cmap="viridis", norm=norm)
        axes.grid(visible=False)
        axes.set_facecolor("#eeeeee")
        axes.set_title(f"{name}, {getattr(pair, f'{name}_momentum'):.3g} GeV", fontsize=11)
        _spatial_axes(axes)
        axes.label_outer()
    figure.colorbar(mesh, cax=figure.add_axes((0.15, 0.16, 0.82, 0.035)), location="bottom", label="cell energy [GeV]")
    return figure


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
