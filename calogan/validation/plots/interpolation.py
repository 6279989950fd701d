"""Agreement inside a held-out momentum band and beside it."""

from __future__ import annotations

from matplotlib.figure import Figure

from calogan.metrics.metric import Estimate
from calogan.validation.numbers import number
from calogan.validation.plots.style import GENERATED, REFERENCE, WIDTH
from calogan.validation.studies.interpolation import Zone

__all__ = ["zone_differences"]


def zone_differences(zones: tuple[Zone, ...]) -> Figure:
    """Relative differences of response, resolution and lit cells in the band and its neighbours."""
    figure = Figure(figsize=(WIDTH, 5.0))
    panels = figure.subplots(3, 1, sharex=True)
    figure.subplots_adjust(left=0.19, right=0.97, top=0.93, bottom=0.11, hspace=0.18)
    columns: tuple[tuple[str, list[Estimate]], ...] = (
        ("response", [zone.response for zone in zones]),
        ("resolution", [zone.resolution for zone in zones]),
        ("lit cells", [zone.occupancy for zone in zones]),
    )
    for axes, (label, estimates) in zip(panels, columns, strict=True):
        values = [100 * estimate.value for estimate in estimates]
        errors = [100 * estimate.error for estimate in estimates]
        axes.axhline(0, color=REFERENCE, linewidth=1.2)
        axes.axvspan(0.5, 1.5, color=GENERATED, alpha=0.12, linewidth=0)
        axes.errorbar(range(len(zones)), values, errors, fmt="o", color=GENERATED, markersize=5, elinewidth=1.2)
        axes.set_ylabel(f"{label}\ndifference [%]")
    panels[0].set_title("Momenta that were not trained on")
    names = [f"{zone.name}\n{number(zone.low, 3)} to {number(zone.high, 3)} GeV" for zone in zones]
    panels[-1].set_xticks(range(len(zones)), names)
    panels[-1].set_xlim(-0.5, len(zones) - 0.5)
    return figure
