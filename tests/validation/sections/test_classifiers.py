"""The section on the classifier tests, and that on weights."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.geometry import Layer
from calogan.metrics.calibration import Calibration
from calogan.metrics.classifier import ClassifierTest
from calogan.metrics.metric import Estimate, Metric
from calogan.validation.sections.classifiers import classifiers_section
from calogan.validation.sections.weights import weights_section
from calogan.validation.studies.classifiers import ClassifierStudy, Importance, LearningPoint, SureShower
from calogan.validation.studies.weights import Moment, Reweighted, WeightStudy


def metric(name, value, p_value=None):
    return Metric(name, value, 0.01, 0.5, 0.02, 100, 100, "-", "halves of 50 showers", p_value)


def classifier(name):
    steps = np.linspace(0, 1, 5)
    calibration = Calibration(steps, steps, np.full(5, 0.1), 0.021)
    scores = [np.full(100, 0.5)] * 4
    areas = (Estimate(0.7, 0.02), Estimate(0.72, 0.02))
    return ClassifierTest(
        metric(f"{name} AUC", 0.71, 1e-9),
        metric(f"{name} JSD", 0.1),
        areas,
        areas,
        0.8,
        steps,
        steps,
        calibration,
        60,
        *scores,
        tested=None,  # which no section reads
        floor_tested=None,
    )


EDGES = (0.0, 10.0, 20.0, 30.0)
SURE = SureShower(12345, 8.25, 0.991, 0, Layer(EDGES, EDGES, 5.0), np.eye(3))
STUDY = ClassifierStudy(
    protocol="default",
    low=classifier("low-level"),
    high=classifier("high-level"),
    learning_curve=(LearningPoint(30, Estimate(0.6, 0.02)), LearningPoint(60, Estimate(0.71, 0.01))),
    importance=(Importance("occupancy", Estimate(0.05, 0.01), Estimate(0.4, 0.01)),),
    surest_reference=(SURE,),
    surest_generated=(SURE,),
    low_seconds=12.3,
    high_seconds=1.0,
)
POWER = Reweighted("response", metric("before", 0.7), metric("after", 0.52))
WEIGHTS = WeightStudy(
    n_generated=100,
    effective=62.4,
    limit=9.5,
    clipped=0.005,
    mean_ratio=1.02,
    edges=np.linspace(0, 9, 4),
    counts=np.array([80, 15, 5]),
    separation=(POWER,),
    moments=(Moment("mean response", Estimate(0.17, 0.01), Estimate(0.18, 0.01), Estimate(0.171, 0.02)),),
    high=POWER,
    weight=np.ones(100),
)


def test_tests_importance_and_surest_showers_are_listed():
    section = classifiers_section(STUDY)
    tests, importance, surest = section.tables
    assert tests.rows[0] == ("low-level AUC", "0.710 ± 0.010", "0.500 ± 0.020", "< 1e-6")
    assert "learnt from 60 showers" in tests.caption
    assert "halves of 50 showers" in tests.caption
    assert importance.rows == (("occupancy", "0.050 ± 0.010", "0.400 ± 0.010"),)
    assert surest.rows[0] == ("reference", "12345", "8.25", "0.991")


def test_the_challenge_names_its_differences_and_draws_no_learning_curve():
    from dataclasses import replace

    section = classifiers_section(replace(STUDY, protocol="calochallenge", learning_curve=STUDY.learning_curve[1:]))
    assert "rather than for the test showers" in section.text[0]
    assert "classifier_learning" not in [drawing.name for drawing in section.drawings]


def test_weights_are_shown_before_and_after_less_the_floor():
    section = weights_section(WEIGHTS)
    assert "worth 62 without weights" in section.text[1]
    assert "0.5% of the showers" in section.text[0]
    assert section.tables[2].rows == (("response", "0.200 ± 0.022", "0.020 ± 0.022"),)


@pytest.mark.parametrize("section", [classifiers_section(STUDY), weights_section(WEIGHTS)], ids=lambda one: one.id)
def test_every_drawing_draws_what_its_title_says(section):
    for drawing in section.drawings:
        assert drawing.make().axes
    keys = [drawing.name for drawing in section.drawings if drawing.key]
    assert keys == (["classifier_areas"] if section.id == "classifiers" else [])
