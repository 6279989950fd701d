"""Section on the weights that the bundle itself gives its showers."""

from __future__ import annotations

from calogan.validation.numbers import estimated, number, with_error
from calogan.validation.page import Section, Table
from calogan.validation.studies.bundle_weights import BundleWeightStudy

__all__ = ["bundle_weights_section"]


def bundle_weights_section(study: BundleWeightStudy) -> Section:
    """What the bundle's weights are worth, and the figures without and with them."""
    made = (
        "`calogan weigh` has learnt a density ratio from training showers, clipped and calibrated with validation "
        "showers (arXiv:1907.08209); the sampler gives it as a weight (`weights=True`). It knows none of the showers "
        "compared here, unless these are the validation showers."
    )
    before, after = study.mean_excess
    worth = (
        f"The {study.n_generated} weighted showers are worth {study.effective:.0f} without weights, (Σw)² / Σw². Mean "
        f"and largest weight: {number(study.mean, 3)}, {number(study.largest, 3)}. Separation power above its floor, "
        f"mean over {len(study.separation)} observables: {number(before, 2)} without, {number(after, 2)} with weights."
    )
    high = study.high
    areas = [with_error(one.value, one.error) for one in (high.before, high.after)]
    moments = [
        (one.name, estimated(one.reference), estimated(one.before), estimated(one.after)) for one in study.moments
    ]
    table = Table(
        ("", "reference", "without", "with weights"),
        (*moments, (high.name, "–", *areas)),
        "Response, and boosted trees that see the observables (0.5 if the showers cannot be told apart)",
    )
    return Section(
        "bundle_weights",
        "Weights of the bundle",
        (made, worth),
        (table, _separations(study)),
        finding=f"The bundle's own weights bring the {high.name} from {areas[0]} to {areas[1]}.",
    )


def _separations(study: BundleWeightStudy) -> Table:
    rows = [
        (
            entry.name,
            with_error(entry.before.excess, entry.before.excess_error),
            with_error(entry.after.excess, entry.after.excess_error),
        )
        for entry in study.separation
    ]
    caption = "Separation power less the floor, as of independent samples; the floor is higher with weights"
    return Table(("separation power", "without", "with weights"), tuple(rows), caption, folded=True)
