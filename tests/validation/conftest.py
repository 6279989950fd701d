"""Samples, comparisons and a report that several tests look at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calogan.config import HitsSource, ValidationConfig
from calogan.data.root import read_showers
from calogan.data.schema import Schema
from calogan.data.toy import toy_geometry, toy_showers
from calogan.geometry import Geometry, Layer
from calogan.progress import SilentReporter
from calogan.validation import report
from calogan.validation.comparison import compare
from calogan.validation.criteria import judge
from calogan.validation.figures import draw

THRESHOLD = 3e-4
EDGES = tuple(np.linspace(-303.0, 303.0, 31).tolist())
ECAL = Geometry((Layer(EDGES, EDGES, depth=122.0),))
HITS = HitsSource(layout="hits", files=["-"], tree="hits", pdg="pdg")
# few repetitions and wide bins: fast, and decided with some hundred showers
SETTINGS = ValidationConfig(momentum_bins=[1.0, 8.0, 64.0], bootstrap=20, classifier_repeats=1)


@pytest.fixture(scope="session")
def electrons():
    return read_showers(["calogan://ecal30_electron/hits_1001.root"], Schema.from_source(HITS), ECAL, max_showers=1600)


@pytest.fixture(scope="session")
def toy_comparison():
    """Two toy samples of one distribution in three layers, with few observables kept so that drawing is quick."""
    rng = np.random.default_rng(3)
    reference = toy_showers(rng, toy_geometry(), 400)
    generated = toy_showers(rng, toy_geometry(), 300, first_event=1000)
    return compare(reference, generated, SETTINGS, THRESHOLD, SilentReporter(), {"study": "toy"})


@pytest.fixture(scope="session")
def small_comparison(toy_comparison):
    return replace(
        toy_comparison,
        distributions=toy_comparison.distributions[:1],
        images=toy_comparison.images[1:2],
        pairs=toy_comparison.pairs[:1],
    )


@pytest.fixture(scope="session")
def pictures(small_comparison):
    return draw(small_comparison, SilentReporter())


@pytest.fixture(scope="session")
def toy_report(tmp_path_factory, small_comparison, pictures):
    """A written report whose title tries to run a script."""
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "draw", lambda comparison, reporter: pictures)
        return _write(folder, small_comparison)


def _write(folder, small_comparison):
    return report.write_report(
        small_comparison,
        judge(small_comparison, SETTINGS.criteria),
        folder,
        title="<script>document.title = 'owned'</script> & co",
        inputs={"bundle": "abc"},
        reporter=SilentReporter(),
    )
