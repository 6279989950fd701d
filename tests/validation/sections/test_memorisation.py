from __future__ import annotations

import numpy as np

from calogan.metrics.metric import Metric
from calogan.validation.sections.memorisation import memorisation_section
from calogan.validation.studies.memorisation import ClosePair, Duplicates, MemorisationStudy, NearestTraining


def metric(name, value):
    return Metric(name, value, 0.01, 0.75, 0.0, 100, 50, "-", p_value=0.2)


COPIES = metric("copies", 0.0)
NEAREST = NearestTraining(
    scale=3e-4,
    queries=50,
    training=75,
    other=25,
    share=metric("nearest is a training shower", 0.76),
    nearer=metric("nearer to training showers", 0.51),
    edges=np.linspace(0, 10, 6),
    reference=np.array([0, 10, 20, 10, 10]),
    generated=np.array([5, 5, 20, 10, 10]),
    closest=(ClosePair(1, 2, 10.0, 11.0, 0.5),),
)


def test_numbers_stand_beside_their_floors():
    section = memorisation_section(MemorisationStudy(Duplicates(0, 1, 2, 3, 4), COPIES, NEAREST))

    assert [row[1] for row in section.tables[0].rows] == ["0", "1", "2", "3", "4"]
    assert section.tables[1].rows[0] == ("share whose nearest is a training shower", "0.760 ± 0.010", "0.75", "0.2")
    assert section.tables[2].rows == (("1", "10", "2", "11", "0.5"),)


def test_without_training_showers_only_copies_are_counted():
    section = memorisation_section(MemorisationStudy(Duplicates(0, 1, 2, None, None), COPIES, None))

    assert "no training showers" in section.text[0]
    assert len(section.tables[0].rows) == 3
    assert section.drawings == ()
