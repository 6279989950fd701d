"""Which metric sees which defect: each defect on real showers is seen, and the same showers without it are not."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.config import ValidationConfig
from calogan.metrics.classifier import classifier_test, fit_trees
from calogan.progress import SilentReporter
from calogan.validation.comparison import make_samples
from calogan.validation.defects import DEFECTS
from calogan.validation.studies.classifiers import high_level_features
from calogan.validation.studies.distributions import study_distributions
from calogan.validation.studies.diversity import study_diversity
from calogan.validation.studies.memorisation import study_memorisation
from calogan.validation.studies.multivariate import study_multivariate
from calogan.validation.studies.response import study_response


def high_level(samples):
    groups = samples.reference_group, samples.generated_group
    features = high_level_features(samples)
    return classifier_test(*features, *groups, rng=samples.rng("high"), fit=fit_trees, repeats=3, name="high-level")


STUDIES = {
    "response": study_response,
    "distributions": study_distributions,
    "multivariate": study_multivariate,
    "diversity": study_diversity,
    "memorisation": lambda samples, reporter: study_memorisation(samples, None, reporter),
    "classifier": lambda samples, reporter: high_level(samples),
}
SMALL, LARGE = 3500, 700  # showers of each sample: small defects need more of them
CASES = [
    ("energies 0.5% higher", "response", "response difference", SMALL),
    ("response 5% wider", "response", "resolution difference", SMALL),
    ("faint cells independent", "distributions", "separation isolated_cells", SMALL),
    ("faint cells independent", "distributions", "Wasserstein lit_clusters", SMALL),
    ("moved by a cell", "distributions", "KS centre_x", LARGE),
    ("moved by a cell", "classifier", "high-level AUC", LARGE),
    ("energies 5% higher", "distributions", "chi2/ndf response", LARGE),
    ("energies 5% higher", "response", "response difference", LARGE),
    ("cells shuffled", "multivariate", "FPD", LARGE),
    ("cells shuffled", "multivariate", "KPD", LARGE),
    ("cells shuffled", "multivariate", "PRD area", LARGE),
    ("cells shuffled", "multivariate", "density at 0.3 MeV", LARGE),
    ("cells shuffled", "multivariate", "correlation difference", LARGE),
    ("10% of cells zeroed", "response", "lit cells difference", LARGE),
    ("10% of cells zeroed", "multivariate", "KPD", LARGE),
    ("20% copies", "memorisation", "copies", LARGE),
    ("mean shower", "diversity", "diversity cells", LARGE),
    ("mean shower", "multivariate", "recall at 0.3 MeV", LARGE),
]
SURE, USUAL = 4.0, 3.5  # standard errors


@pytest.fixture(scope="module")
def found(full_simulation):
    """Function from a defect (or none), a study and a number of showers to metrics by name; each computed once."""
    kept = {}

    def measure(defect, study, size):
        key = (defect, study, size)
        if key not in kept:
            reference, other = full_simulation[:size], full_simulation[size : 2 * size]
            generated = DEFECTS[defect](other, np.random.default_rng(8)) if defect else other
            settings = ValidationConfig(momentum_bins=[1.0, 8.0, 64.0], bootstrap=30, classifier_repeats=3)
            samples = make_samples(reference, generated, settings, 3e-4, SilentReporter())
            kept[key] = {one.name: one for one in STUDIES[study](samples, SilentReporter()).metrics}
        return kept[key]

    return measure


def significance(metric):
    return abs(metric.excess) / max(metric.excess_error, 1e-9)  # one shower again and again has no error


@pytest.mark.parametrize(("defect", "study", "name", "size"), CASES, ids=[f"{case[0]}-{case[2]}" for case in CASES])
def test_the_defect_is_seen_and_truth_is_not(found, defect, study, name, size):
    assert significance(found(defect, study, size)[name]) > SURE
    assert significance(found(None, study, size)[name]) < USUAL


def test_every_defect_has_a_case():
    assert {case[0] for case in CASES} == set(DEFECTS)
