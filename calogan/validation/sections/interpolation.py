"""Section on momenta that were not trained on, and on the edges of the domain."""

from __future__ import annotations

from functools import partial

from calogan.validation.numbers import number, percent, sigmas, with_error
from calogan.validation.page import Drawing, Section, Table
from calogan.validation.plots.interpolation import zone_differences
from calogan.validation.studies.interpolation import InterpolationStudy, Zone

__all__ = ["interpolation_section"]


def interpolation_section(study: InterpolationStudy) -> Section:
    """The held-out band beside its neighbours if there was one, the command for one, and the domain's edges."""
    edges = _table(study.edges, "Edges of the momentum range; a dash for fewer than 50 showers.")
    if study.hold_out is None:
        return Section(
            id="interpolation",
            title="Interpolation and edges",
            finding="No momentum band is known to have been held out of the training.",
            text=(_how_to(study, study.suggested), _edges(study)),
            tables=(edges,),
        )
    caption = "The held-out band and its neighbours, as wide in ln |p|; a dash for fewer than 50 showers."
    drawing = Drawing(
        name="interpolation",
        title="Differences of response, resolution and lit cells below, in and above the held-out band",
        make=partial(zone_differences, study.zones),
        caption="Generated over reference minus 1; the shaded band was held out of the training.",
    )
    return Section(
        id="interpolation",
        title="Interpolation and edges",
        finding=_finding(study),
        text=(_held_out(study.hold_out), _how_to(study, study.hold_out), _edges(study)),
        tables=(_table(study.zones, caption), _contrasts(study), edges),
        drawings=(drawing,),
    )


def _finding(study: InterpolationStudy) -> str:
    known = [one for one in study.contrasts if one.error > 0]
    if not known:
        return "The band, or a neighbour of it, has too few showers to be judged."
    worst = max(known, key=lambda one: abs(one.value / one.error))
    return (
        f"Largest difference of the held-out band from its neighbours: {worst.name}, "
        f"{with_error(worst.value, worst.error)} ({sigmas(worst.value, worst.error)})."
    )


def _held_out(band: tuple[float, float]) -> str:
    return (
        f"Showers of {number(band[0])} to {number(band[1])} GeV were kept from the training and from the selection of "
        "the checkpoint. If the generator interpolates, the band agrees with the reference as well as its neighbours, "
        "and the differences from them are 0 within their errors."
    )


def _how_to(study: InterpolationStudy, band: tuple[float, float]) -> str:
    command = f"calogan run {study.study or 'CONFIG'}"
    options = f"--set 'training.hold_out_momentum=[{band[0]:g},{band[1]:g}]' --set run_dir=runs/holdout"
    if study.hold_out is None:
        return f"To train and judge without one: {command} {options}"
    return f"The command that prepares, trains without the band and validates: {command} {options}"


def _edges(study: InterpolationStudy) -> str:
    return (
        f"The reference has momenta from {number(study.lowest)} to {number(study.highest)} GeV. A calogan sampler "
        "refuses particles outside of the domain of its bundle; only a caller who asks for it (outside='warn' or "
        "'clip') gets showers there, which nothing in this report speaks of. The last table shows the lowest and the "
        "highest tenth of the range of ln |p|, where a generator has neighbours on one side only."
    )


def _table(zones: tuple[Zone, ...], caption: str) -> Table:
    names = list(zones[0].separation) if zones else []
    header = ("", *(f"{zone.name}, {number(zone.low, 3)} to {number(zone.high, 3)} GeV" for zone in zones))
    rows = [
        ("reference showers", *(str(zone.n_reference) for zone in zones)),
        ("response, difference [%]", *(percent(zone.response) for zone in zones)),
        ("resolution, difference [%]", *(percent(zone.resolution) for zone in zones)),
        ("lit cells, difference [%]", *(percent(zone.occupancy) for zone in zones)),
    ]
    for name in names:
        powers = [zone.separation[name] for zone in zones]
        rows.append((f"separation of {name} above its floor", *(with_error(one.value, one.error) for one in powers)))
    return Table(header, tuple(rows), caption)


def _contrasts(study: InterpolationStudy) -> Table:
    rows = tuple((metric.name, with_error(metric.value, metric.error), "0") for metric in study.contrasts)
    header = ("held-out band minus mean of its neighbours", "difference", "expected")
    return Table(header, rows, "Differences of response, resolution and lit cells are relative ones.")
