"""What the report's figures mean, and where their formulas come from."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DEFINITIONS", "Definition"]


@dataclass(frozen=True)
class Definition:
    """A metric in words.

    Attributes:
        name: Name as used in the report.
        text: Formula and meaning.
        source: Publication; empty where there is none.
    """

    name: str
    text: str
    source: str = ""


DEFINITIONS = (
    Definition(
        "Threshold",
        "Cells below the read-out threshold are set to 0 in both samples before anything is computed.",
    ),
    Definition(
        "Floor",
        "What a metric gives when reference showers are compared with other reference showers, in samples as large as "
        "those of the report or scaled to them. No surrogate can be expected to come below it.",
    ),
    Definition(
        "Response and resolution",
        "Mean of E_visible / |p| over the showers of a momentum bin, and its standard deviation over its mean. "
        "Differences are relative to the reference; all errors come from resampling the showers, in pairs where "
        "both samples have the same particles.",
    ),
    Definition(
        "Paired samples",
        "Where each generated shower has the very particle of a reference shower, the samples are not independent, as "
        "floors, errors and p-values of the distances below assume. Separation power, χ², KS, Wasserstein and Fréchet "
        "distances are then the mean of two comparisons: the reference showers of a random half of the particles with "
        "the generated showers of the other half, and the other way round. Floors hold for these halves; errors are "
        "not divided for taking two, and a p-value is twice the smaller one.",
    ),
    Definition(
        "Separation power",
        "Half the sum over the bins of (a − b)² / (a + b), with both histograms normalised to 1: 0 for equal ones, 1 "
        "for disjoint ones.",
        "arXiv:2009.03796, eq. 15; also used in arXiv:2410.21611",
    ),
    Definition(
        "χ²/ndf",
        "Chi-squared test of two histograms being drawn from one distribution, per degree of freedom. Neighbouring "
        "bins are merged until at least 10 showers of each sample are expected in each.",
        "arXiv:0804.0380",
    ),
    Definition(
        "KS",
        "Kolmogorov-Smirnov test: the largest difference of the two cumulative distributions. Only for continuous "
        "observables, since its p-value is too large for whole numbers.",
    ),
    Definition(
        "Wasserstein",
        "Area between the two cumulative distributions, over the standard deviation of the reference: how far values "
        "have to be moved, in widths of the distribution. Its error comes from resampling the showers, its floor from "
        "random partitions of both samples together.",
        "arXiv:1509.02237",
    ),
    Definition(
        "Effective width",
        "Half the central 68.27% interval of E_visible / |p| over its median: the resolution without the tails.",
    ),
    Definition(
        "Classifier AUC",
        "Area under the ROC curve of a classifier that learns on 60% of the events, is stopped on 20% and judged on "
        "20%: 0.5 when the samples cannot be told apart, 1 when they always can. Low level: a network that sees all "
        "cells and the incident particle; high level: boosted trees that see the observables and the particle. The "
        "mean over several splits; its floor is the same on two halves of the reference.",
        "arXiv:1610.06545, arXiv:2410.21611",
    ),
    Definition(
        "Fréchet physics distance",
        "Squared Fréchet distance of two normal distributions with the means and covariances of the observables, in "
        "widths of the reference, at the size of these samples. Its floor comes from halves of the reference, scaled "
        "to that size.",
        "arXiv:2211.10295",
    ),
)
