"""The figures of a report: which there are, in which section, and their pictures as PNG."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from matplotlib import rc_context
from matplotlib.figure import Figure

from calogan.progress import Reporter
from calogan.validation import plots
from calogan.validation.comparison import Comparison

__all__ = ["Picture", "draw"]

_PROFILES = {
    "radial_profile": ("Radial profile", "distance from the projected track [mm]", "fraction of visible energy", False),
    "cell_spectrum": ("Cell spectrum", "cell energy [GeV]", "cells per shower", True),
    "occupancy_curve": ("Occupancy against threshold", "threshold [GeV]", "cells per shower above it", True),
}
_IMAGES = {"reference": "", "generated": "", "ratio": f"grey: uncertain by more than {plots.KNOWN_RATIO:.0%}"}
_DPI = 144


@dataclass(frozen=True)
class Picture:
    """A drawn figure.

    Attributes:
        name: File name without its ending.
        section: Section of the report that it belongs to.
        title: What it shows, for those who do not see it.
        png: The picture.
        width: Its width in pixels.
        height: Its height in pixels.
        caption: What its own title and labels do not say.
    """

    name: str
    section: str
    title: str
    png: bytes
    width: int
    height: int
    caption: str = ""


@dataclass(frozen=True)
class _Plan:
    name: str
    section: str
    title: str
    make: Callable[[], Figure]
    caption: str = ""


def draw(comparison: Comparison, reporter: Reporter) -> list[Picture]:
    """Draw all figures of a report."""
    plans = [*_curves(comparison), *_images(comparison)]
    pictures = []
    with reporter.task("draw", total=len(plans), unit="figures") as task, rc_context(plots.STYLE):
        for plan in plans:
            pictures.append(_picture(plan))
            task.advance(note=plan.name)
    return pictures


def _curves(comparison: Comparison) -> Iterator[_Plan]:
    for which in ("response", "resolution"):
        make = partial(plots.momentum_trend, comparison.momentum_bins, which)
        yield _Plan(which, "momentum", f"{which} in bins of |p|", make)
    for one in comparison.distributions:
        yield _Plan(
            f"observable_{one.name}", "observables", f"distribution of {one.name}", partial(plots.histogram, one)
        )
    for name, (title, x_label, y_label, log_x) in _PROFILES.items():
        make = partial(plots.profile_curve, getattr(comparison, name), title, x_label, y_label, log_x=log_x)
        yield _Plan(name, "profiles", title, make)
    yield _Plan("classifiers", "classifiers", "AUC of the tests", partial(plots.classifier_summary, comparison))


def _images(comparison: Comparison) -> Iterator[_Plan]:
    for images in comparison.images:
        for which, caption in _IMAGES.items():
            title = f"mean energy of the cells of layer {images.layer}, {which}"
            yield _Plan(
                f"layer{images.layer}_{which}", "images", title, partial(plots.layer_image, images, which), caption
            )
    for number, pair in enumerate(comparison.pairs):
        make = partial(plots.shower_pair, pair)
        caption = f"layer {pair.layer}; events {pair.reference_event} and {pair.generated_event}"
        yield _Plan(f"shower_{number}", "showers", "a reference shower and a generated one", make, caption)


def _picture(plan: _Plan) -> Picture:
    buffer = io.BytesIO()
    figure = plan.make()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    width, height = (int(side * _DPI) for side in figure.get_size_inches())
    return Picture(plan.name, plan.section, plan.title, buffer.getvalue(), width, height, plan.caption)
