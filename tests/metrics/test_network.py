"""The low-level classifier on electron showers of the full simulation with known defects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calogan.config import HitsSource
from calogan.data.root import read_showers
from calogan.data.schema import Schema
from calogan.geometry import Geometry, Layer
from calogan.metrics.classifier import classifier_auc
from calogan.metrics.features import cell_features

pytest.importorskip("torch")

THRESHOLD = 3e-4
EDGES = tuple(np.linspace(-303.0, 303.0, 31).tolist())
ECAL = Geometry((Layer(EDGES, EDGES, depth=122.0),))
HITS = HitsSource(layout="hits", files=["-"], tree="hits", pdg="pdg")


@pytest.fixture(scope="module")
def electrons():
    showers = read_showers(["calogan://ecal30_electron/hits_1001.root"], Schema.from_source(HITS), ECAL)
    return showers[:2400]


def area(reference, generated):
    samples = [showers.above(THRESHOLD) for showers in (reference, generated)]
    features = [cell_features(one.cell_energy, one.incident, ECAL, scale=THRESHOLD) for one in samples]
    events = reference.event, generated.event
    return classifier_auc(*features, *events, rng=np.random.default_rng(1), repeats=1)


def smeared(cells):
    return cells * np.random.default_rng(2).lognormal(0.0, 0.5, cells.shape)


def scaled(cells):
    return 1.1 * cells


def mirrored(cells):
    return cells.reshape(-1, 30, 30)[:, ::-1].reshape(cells.shape)


@pytest.mark.parametrize(("defect", "least"), [(smeared, 0.7), (scaled, 0.65), (mirrored, 0.8)])
def test_defects_of_cells_are_seen(electrons, defect, least):
    generated = electrons[1200:]
    wrong = replace(generated, cell_energy=defect(generated.cell_energy).astype(np.float32))

    found = area(electrons[:1200], wrong)

    assert found.value > least
    assert found.value - found.floor > 3 * found.excess_error


def test_showers_of_one_simulation_cannot_be_told_apart(electrons):
    found = area(electrons[:1200], electrons[1200:])

    assert abs(found.value - 0.5) < 3 * found.error
    assert abs(found.floor - 0.5) < 3 * found.floor_error
