"""Statistical amplification: how many reference showers the generated sample is worth for the main histograms."""

from __future__ import annotations

from dataclasses import dataclass

from calogan.metrics.amplification import Worth, showers_worth
from calogan.metrics.metric import Metric
from calogan.progress import Reporter
from calogan.validation.samples import Samples

__all__ = ["MAIN_OBSERVABLES", "AmplificationStudy", "study_amplification"]

MAIN_OBSERVABLES = (
    "response",
    "occupancy",
    "radial_width",
    "hottest_fraction",
    "lit_pairs",
    "transverse_width",
    "longitudinal_width",
    "ring_fraction_0",
    "ring_fraction_3",
    "depth",
    "depth_width",
)


@dataclass(frozen=True)
class AmplificationStudy:
    """Worth of the generated sample.

    Attributes:
        worths: One for each of the main observables that the samples have and that fills two bins.
        paired: Whether the samples are paired.
        n_reference: Reference showers.
        n_generated: Generated showers.
    """

    worths: tuple[Worth, ...]
    paired: bool
    n_reference: int
    n_generated: int

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Biases of the histograms."""
        return tuple(one.bias for one in self.worths)


def study_amplification(samples: Samples, reporter: Reporter) -> AmplificationStudy:
    """Worth of the generated sample for those of the `MAIN_OBSERVABLES` that the samples have.

    Args:
        samples: Both samples.
        reporter: Told about each histogram.
    """
    names = [name for name in MAIN_OBSERVABLES if name in samples.observables]
    found = []
    with reporter.task("amplification", total=len(names), unit="histograms") as task:
        for name in names:
            worth = showers_worth(
                samples.reference_values[name],
                samples.generated_values[name],
                paired=samples.paired,
                name=name,
            )
            found.append(worth)
            task.advance(note=name)
    worths = tuple(worth for worth in found if worth is not None)
    return AmplificationStudy(worths, samples.paired, len(samples.reference), len(samples.generated))
