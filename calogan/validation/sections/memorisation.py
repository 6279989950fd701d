"""Section on copies."""

from __future__ import annotations

from functools import partial

from calogan.metrics.metric import Metric
from calogan.validation.numbers import number, probability, sigmas, with_error
from calogan.validation.page import Drawing, Section, Table
from calogan.validation.plots.memorisation import training_distances
from calogan.validation.studies.memorisation import Duplicates, MemorisationStudy, NearestTraining

__all__ = ["memorisation_section"]

_DISTANCE = (
    "The second number and the picture compare the distances of generated and of reference showers from the training "
    "showers: copies are nearer, but so are showers that fluctuate too little."
)


def memorisation_section(study: MemorisationStudy) -> Section:
    """Exact copies, and how near generated showers are to those that were trained on."""
    nearest = study.nearest
    if nearest is None:
        return Section(
            id="memorisation",
            title="Memorisation",
            finding=_copied(study.duplicates),
            text=(
                "There are no training showers to look for copies of; --reference FOLDER, a prepared folder, has them.",
            ),
            tables=(_duplicates(study.duplicates),),
        )
    return Section(
        id="memorisation",
        title="Memorisation",
        finding=f"{_copied(study.duplicates)} {_near(nearest)}",
        text=(_share(nearest), _DISTANCE),
        tables=(_duplicates(study.duplicates), _metrics(nearest), _closest(nearest)),
        drawings=(
            Drawing(
                name="memorisation",
                title="Histograms of the distance from the nearest training shower, reference and generated",
                make=partial(training_distances, nearest),
                caption=f"{nearest.queries} showers of each sample, spread evenly; s = {number(nearest.scale)} GeV.",
            ),
        ),
    )


def _copied(found: Duplicates) -> str:
    copies = found.within_generated + found.between + (found.generated_training or 0)
    return "Some generated showers are copies, see the table." if copies else "No generated shower is a copy."


def _near(nearest: NearestTraining) -> str:
    share = nearest.share
    return (
        f"For {100 * share.value:.1f} ± {100 * share.error:.1f}% the nearest is a training shower, "
        f"{100 * share.floor:.1f}% would be by chance ({sigmas(share.excess, share.excess_error)})."
    )


def _share(nearest: NearestTraining) -> str:
    return (
        f"For each of {nearest.queries} generated showers the nearest of {nearest.training} training showers and "
        f"{nearest.other} reference showers that were not trained on was looked for. A generator that has learnt the "
        "distribution, well or badly, has no reason to be nearer to the ones than to the others: the share of training "
        "showers among the nearest is then their share of all, the floor. One that has learnt showers by heart has "
        "more. This rests on training and reference showers being of one distribution."
    )


def _duplicates(found: Duplicates) -> Table:
    rows = [
        ("reference showers equal to another one", str(found.within_reference)),
        ("generated showers equal to another one", str(found.within_generated)),
        ("generated showers equal to a reference shower", str(found.between)),
    ]
    if found.generated_training is not None:
        rows.append(("generated showers equal to a training shower", str(found.generated_training)))
    if found.reference_training is not None:
        rows.append(("reference showers equal to a training shower", str(found.reference_training)))
    return Table(("exact copies in all cells", "showers"), tuple(rows), "Showers without energy are not counted.")


def _metrics(nearest: NearestTraining) -> Table:
    header = ("", "measured", "floor", "p-value")
    return Table(header, (_row(nearest.share, "share whose "), _row(nearest.nearer, "probability of being ")))


def _row(metric: Metric, before: str) -> tuple[str, ...]:
    return (
        f"{before}{metric.name}",
        with_error(metric.value, metric.error),
        number(metric.floor),
        probability(metric.p_value),
    )


def _closest(nearest: NearestTraining) -> Table:
    header = ("closest pairs: generated event", "|p| [GeV]", "training event", "|p| [GeV]", "distance")
    rows = tuple(
        (
            str(pair.generated_event),
            number(pair.generated_momentum),
            str(pair.training_event),
            number(pair.training_momentum),
            number(pair.distance, 3),
        )
        for pair in nearest.closest
    )
    return Table(header, rows, "Generated showers nearest to a training shower", folded=True)
