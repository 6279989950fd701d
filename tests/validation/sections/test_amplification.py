"""Section of the statistical amplification."""

from __future__ import annotations

import numpy as np

from calogan.metrics.amplification import showers_worth
from calogan.validation.sections.amplification import amplification_section
from calogan.validation.studies.amplification import AmplificationStudy


def test_limits_are_said_as_they_are_known():
    rng = np.random.default_rng(1)
    values = rng.normal(size=1000)
    worths = (
        showers_worth(values, values, paired=True, name="copied"),
        showers_worth(values, rng.normal(size=1000), paired=True, name="same"),
        showers_worth(values, rng.normal(1, 1, size=1000), paired=True, name="shifted"),
    )
    section = amplification_section(AmplificationStudy(worths, True, 1000, 1000))
    copied, same, shifted = section.tables[0].rows
    assert copied[3:] == ("1000", "1000 to 1000", "–", "–")
    assert same[5] == "–"
    assert same[6].startswith("above ")
    assert " to " in shifted[6]
    assert section.text[-1].startswith("Reference and generated showers are of the same incident particles")


def test_without_histograms_it_says_so():
    section = amplification_section(AmplificationStudy((), False, 10, 10))
    assert section.text[-1] == "No histogram has two filled bins."
    assert not section.tables
