"""What the report's words and figures mean, and where their formulas come from."""

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
        "Error",
        "Standard error of the value: its spread when showers are drawn again from the samples, in pairs where both "
        "samples have the same particles.",
    ),
    Definition(
        "Floor",
        "What a metric gives, on average, for two samples of one distribution: as large as those of the report or "
        "scaled to them; of classifiers for two halves of the reference. Where a high value is good (precision, "
        "recall, density, coverage, PRD) it is the best that can be expected.",
    ),
    Definition(
        "p-value",
        "Chance of a value as extreme for two samples of one distribution. Mostly it comes from exchanging labels "
        "(Fisher's randomisation): within pairs where both samples have the same particles, else among all showers; "
        "then it is at least 1 over the number of exchanges. χ², KS of independent samples of continuous values, "
        "classifiers, relative differences and shares have the distributions of their tests.",
    ),
    Definition(
        "Effect size and limit",
        "A criterion is a test of equivalence: it passes when the upper confidence limit of the difference, less the "
        "floor, is at or under the effect size, so that a sample too small to tell does not pass.",
        "J. Pharmacokinet. Biopharm. 15 (1987) 657",
    ),
    Definition(
        "Response, linearity, resolution",
        "Mean of E_visible / |p| over the showers of a momentum bin, the same against |p|, and its standard deviation "
        "over its mean. Differences are relative to the reference.",
    ),
    Definition(
        "Resolution fit",
        "σ / E = a / √E ⊕ c, the two terms added in squares: a is the stochastic term, c the constant term.",
        "R. Wigmans, Calorimetry, section 4.8",
    ),
    Definition(
        "Effective resolution",
        "Half the central 68.27% interval of E_visible / |p| over its median: the resolution without the tails.",
    ),
    Definition(
        "Separation power",
        "Half the sum over the bins of (a − b)² / (a + b), with both histograms normalised to 1: 0 for equal ones, 1 "
        "for disjoint ones.",
        "arXiv:2009.03796, eq. 15; also used in arXiv:2410.21611",
    ),
    Definition(
        "χ²/ndf",
        "Chi-squared test of two histograms being drawn from one distribution, per degree of freedom.",
        "arXiv:0804.0380; of paired samples Biometrika 42 (1955) 412",
    ),
    Definition(
        "KS",
        "Kolmogorov-Smirnov test: the largest difference of the two cumulative distributions. The p-value of "
        "pairs and of values of which many are equal comes from exchanges of labels.",
    ),
    Definition(
        "Wasserstein",
        "Area between the two cumulative distributions, over the standard deviation of the reference: how far values "
        "have to be moved, in widths of the distribution.",
        "arXiv:1509.02237",
    ),
    Definition(
        "Fréchet physics distance (FPD)",
        "Squared Fréchet distance of two normal distributions with the means and covariances of the observables, at "
        "one fixed number of showers, and extrapolated to infinitely many where there are enough.",
        "arXiv:2211.10295",
    ),
    Definition(
        "Kernel physics distance (KPD)",
        "Maximum mean discrepancy of the observables with a polynomial kernel: sees differences beyond means and "
        "covariances.",
        "arXiv:2211.10295",
    ),
    Definition(
        "PRD area, F8, F1/8",
        "Both samples together are sorted into clusters; the curve of precision against recall follows from the two "
        "histograms of clusters, and the area under it is 1 for equal samples. F8 weighs recall, F1/8 precision.",
        "arXiv:1806.00035",
    ),
    Definition(
        "Precision, recall",
        "Share of generated showers that lie among the reference showers, and share of reference showers that lie "
        "among the generated ones. A shower lies among others if it is nearer to one of them than that one's k-th "
        "neighbour is.",
        "arXiv:1904.06991",
    ),
    Definition(
        "Density, coverage",
        "The same, less sensitive to single outlying showers: how crowded the surroundings of the reference showers "
        "are with generated ones, and the share of reference showers that have a generated one near.",
        "arXiv:2002.09797",
    ),
    Definition(
        "Classifier AUC",
        "Area under the ROC curve of a classifier that was trained on other showers: 0.5 when the samples cannot be "
        "told apart, 1 when they always can. Low level: a network that sees all cells and the incident particle; high "
        "level: boosted trees that see the observables and the particle. All showers of one incident particle stay in "
        "one part of each split.",
        "arXiv:1610.06545, arXiv:2410.21611",
    ),
    Definition(
        "Shares and response of layers",
        "A layer's share is its part of the energy of all layers; its response is the mean of its energy over |p|. "
        "The growth of the depth is the slope of a line through the showers' mean depths against ln |p|.",
    ),
    Definition(
        "Jensen-Shannon divergence (JSD)",
        "Of the calibrated classifier, in bits: 0 when the samples cannot be told apart, 1 when they always can. On "
        "test showers the estimate may come out a little below 0.",
        "arXiv:2410.21611",
    ),
    Definition(
        "Weights",
        "Ratio of the densities of reference and generated showers at a generated shower, from the calibrated "
        "classifier. The effective sample size is (Σ w)² / Σ w².",
        "arXiv:1907.08209",
    ),
    Definition(
        "Amplification",
        "Number of reference showers that would know a histogram as well as the generated sample does. It cannot grow "
        "beyond what the difference of the two distributions allows.",
        "arXiv:2008.06545, arXiv:2202.07352",
    ),
)
