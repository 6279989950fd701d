"""Response, linearity and resolution, with fits."""

from __future__ import annotations

from functools import partial

from calogan.metrics.metric import Estimate
from calogan.metrics.resolution import Comparison, ResponseBin
from calogan.metrics.resolution_fit import FitParameter, ResolutionFit
from calogan.validation.numbers import estimated, number, percent, sigmas
from calogan.validation.page import Drawing, Section, Table
from calogan.validation.plots.trend import momentum_trend, resolution_curves
from calogan.validation.studies.response import Linearity, ResponseStudy

__all__ = ["comparison_cells", "response_section"]

_TEXT = (
    (
        "Response is the mean of E_visible/|p|, resolution its standard deviation over its mean, effective "
        "resolution half its central 68.27% interval over its median. Differences are generated over reference "
        "less 1."
    ),
    ("The averages are those of the differences in {} bins over all momenta, weighted with the reference's precision."),
)
_FIT_TEXT = (
    "The fit is (sigma/mean)^2 = a^2/|p| + c^2{}, with chi2/ndf {}/{} for the reference and {}/{} for the generated "
    "showers. Differences are those of the squared terms, in standard errors."
)
_SUMMARY = ("number", "reference", "generated", "difference [%]")
_BINS = ("|p| [GeV]", "showers, ref.", "gen.", "response [%]", "resolution [%]", "effective resolution [%]")
_FITS = ("term", "reference", "generated", "difference in errors")
_SYMBOLS = {"stochastic": "a", "constant": "c", "noise": "b"}


def response_section(study: ResponseStudy) -> Section:
    """Averages, momentum bins, fits and trends."""
    tables = [Table(_SUMMARY, _summary(study), "Over all momenta")]
    if study.fit:
        tables.append(Table(_FITS, tuple(_parameter(one) for one in study.fit.parameters), "Terms of the resolution"))
    tables.append(Table(_BINS, tuple(_bin(one) for one in study.momentum_bins), "Differences in bins of the momentum"))
    return Section(
        "response", "Response and resolution", _text(study), tuple(tables), _drawings(study), finding=_finding(study)
    )


def comparison_cells(compared: Comparison) -> tuple[str, str, str]:
    """Reference, generated and relative difference in percent as texts."""
    return estimated(compared.reference), estimated(compared.generated), percent(compared.difference)


def _finding(study: ResponseStudy) -> str:
    compared = (("response", study.response), ("resolution", study.resolution), ("lit cells", study.occupancy))
    told = (
        f"{name} {percent(one.difference)}% ({sigmas(one.difference.value, one.difference.error)})"
        for name, one in compared
    )
    return f"Generated over reference less 1: {', '.join(told)}."


def _text(study: ResponseStudy) -> tuple[str, ...]:
    found = [_TEXT[0], _TEXT[1].format(len(study.fine_bins))]
    if study.reference_outside or study.generated_outside:
        found.append(
            f"{study.reference_outside} reference and {study.generated_outside} generated showers are in no momentum "
            "bin of the settings."
        )
    if study.fit:
        found.append(_fit_text(study.fit))
    return tuple(found)


def _fit_text(fit: ResolutionFit) -> str:
    noise = " + b^2/|p|^2" if any(one.name == "noise" for one in fit.parameters) else ""
    chi2 = (number(fit.reference_chi2, 3), fit.degrees, number(fit.generated_chi2, 3), fit.degrees)
    return _FIT_TEXT.format(noise, *chi2)


def _summary(study: ResponseStudy) -> tuple[tuple[str, ...], ...]:
    rows: list[tuple[str, ...]] = [
        ("response", *comparison_cells(study.response)),
        ("resolution", *comparison_cells(study.resolution)),
        ("effective resolution", *comparison_cells(study.sigma_effective)),
        ("lit cells", *comparison_cells(study.occupancy)),
    ]
    if study.linearity:
        rows.append(_linearity(study.linearity))
    return tuple(rows)


def _linearity(linearity: Linearity) -> tuple[str, ...]:
    metric = linearity.difference
    difference = f"{percent(Estimate(metric.value, metric.error))} (floor {number(100 * metric.floor, 2)})"
    largest = (f"{number(100 * one, 2)}%" for one in (linearity.reference_largest, linearity.generated_largest))
    return "largest non-linearity", *largest, difference


def _parameter(one: FitParameter) -> tuple[str, ...]:
    name = f"{one.name} {_SYMBOLS[one.name]}" + (f" [{one.unit}]" if one.unit else "")
    return name, estimated(one.reference), estimated(one.generated), f"{one.sigmas:+.1f}"


def _bin(one: ResponseBin) -> tuple[str, ...]:
    differences = (percent(which.difference) for which in (one.response, one.resolution, one.sigma_effective))
    return f"{one.low:.3g} to {one.high:.3g}", str(one.n_reference), str(one.n_generated), *differences


def _drawings(study: ResponseStudy) -> tuple[Drawing, ...]:
    found = [
        Drawing(
            "response_trend",
            "Response of reference and generated showers against the momentum, and their ratio",
            partial(momentum_trend, study.fine_bins, "response"),
            key=True,
        ),
        Drawing(
            "resolution_trend",
            "Resolution of reference and generated showers against the momentum, and their ratio",
            partial(momentum_trend, study.fine_bins, "resolution"),
            key=study.fit is None,
        ),
    ]
    if study.fit:
        found.append(
            Drawing(
                "resolution_fit",
                "Resolution of reference and generated showers against the momentum with fitted curves",
                partial(resolution_curves, study.fit),
                "Curves are the fits, points are at the harmonic mean of the momentum in each bin.",
                key=True,
            )
        )
    return tuple(found)
