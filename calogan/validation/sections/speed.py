"""Section on the time of a shower."""

from __future__ import annotations

from functools import partial

from calogan.validation.numbers import number
from calogan.validation.page import Drawing, Section, Table
from calogan.validation.plots.speed import speed_bars
from calogan.validation.studies.speed import SpeedStudy, Timing

__all__ = ["speed_section"]


def speed_section(study: SpeedStudy) -> Section:
    """Times at each size of the request, and the full simulation's."""
    rows = [_row(timing) for timing in study.timings]
    if study.simulation is not None:
        known = study.simulation
        rows.append(("full simulation", f"{known.showers} showers", number(known.mean, 3), "–", "1"))
    table = Table(("time of a shower", "measured in", "median [ms]", "16% to 84% [ms]", "speed-up"), tuple(rows))
    return Section(
        id="speed",
        title="Speed",
        finding=_finding(study),
        text=(_conditions(study), _simulation(study)),
        tables=(table,),
        drawings=(
            Drawing(
                name="speed",
                title="Bars with the time of a shower, on a logarithmic axis",
                make=partial(speed_bars, study),
                caption="Bars: median; lines: 16% to 84% of the repeats.",
            ),
        ),
    )


def _finding(study: SpeedStudy) -> str:
    best = min(study.timings, key=lambda timing: timing.median)
    told = f"{number(best.median, 2)} ms a shower, {best.batch} at a time"
    if best.speedup is None:
        return f"{told}."
    return f"{told}: {number(best.speedup, 2)} times faster than the full simulation."


def _row(timing: Timing) -> tuple[str, ...]:
    spread = f"{number(timing.low, 3)} to {number(timing.high, 3)}"
    name, repeats = f"surrogate, {timing.batch} at a time", f"{timing.repeats} requests"
    return name, repeats, number(timing.median, 3), spread, number(timing.speedup, 3)


def _conditions(study: SpeedStudy) -> str:
    return (
        f"Whole requests to the sampler, with checks, noise and network: {study.backend} on {study.device}, "
        f"{study.precision}, threads of the network: {study.threads}. Machine: {study.machine}; what else ran on it at "
        "the time is in the times."
    )


def _simulation(study: SpeedStudy) -> str:
    if study.simulation is None:
        return (
            "The full simulation's time is not known: name the branch that holds it [ms] in the configuration, "
            "data.sources, simulation_time."
        )
    return (
        f"The full simulation's time is the mean of branch {study.simulation.branch} over "
        f"{study.simulation.showers} showers, as its own machine recorded it; it grows with |p|, the surrogate's "
        "does not."
    )
