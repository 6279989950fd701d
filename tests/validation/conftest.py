"""Showers, samples and comparisons that several tests look at."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import pytest
from matplotlib.figure import Figure

from calogan.config import HitsSource, ValidationConfig
from calogan.data.reading import read_showers
from calogan.data.schema import Schema
from calogan.data.toy import toy_geometry, toy_showers
from calogan.geometry import Geometry, Layer
from calogan.metrics.metric import Metric
from calogan.physics.observables import OBSERVABLES, compute_observables
from calogan.progress import SilentReporter
from calogan.validation.criteria import Outcome, Verdict
from calogan.validation.page import Drawing, Section, Table
from calogan.validation.samples import Samples

THRESHOLD = 3e-4
EDGES = tuple(np.linspace(-303.0, 303.0, 31).tolist())
ECAL = Geometry((Layer(EDGES, EDGES, depth=122.0),))
HITS = HitsSource(layout="hits", files=["-"], tree="hits", pdg="pdg")
# few repetitions and wide bins: fast, and decided with some hundred showers
SETTINGS = ValidationConfig(momentum_bins=[1.0, 8.0, 64.0], bootstrap=20, classifier_repeats=3)


@pytest.fixture(scope="session")
def electrons():
    """1,600 electrons of the full simulation."""
    return read_showers(["calogan://ecal30_electron/hits_1001.root"], Schema.from_source(HITS), ECAL, max_showers=1600)


@pytest.fixture(scope="session")
def full_simulation():
    """7,500 electrons of the full simulation."""
    return read_showers(["calogan://ecal30_electron/hits_*.root"], Schema.from_source(HITS), ECAL).above(THRESHOLD)


@pytest.fixture(scope="session")
def make_samples():
    """Function from two samples of showers to `Samples` with the observables of given names."""

    def make(reference, generated, *, paired=False, names=("response", "occupancy", "radial_width"), settings=SETTINGS):
        first, second = reference.above(THRESHOLD), generated.above(THRESHOLD)
        values = [compute_observables(one.cell_energy, one.incident, one.geometry, names) for one in (first, second)]
        group = np.arange(len(first) + len(second))
        return Samples(
            reference=first,
            generated=second,
            threshold=THRESHOLD,
            observables={name: OBSERVABLES[name] for name in names},
            reference_values=values[0],
            generated_values=values[1],
            paired=paired,
            reference_group=group[: len(first)],
            generated_group=group[: len(first)] if paired else group[len(first) :],
            settings=settings,
        )

    return make


@pytest.fixture(scope="session")
def electron_samples(electrons, make_samples):
    """Truth against truth: 800 electrons against 800 others."""
    return make_samples(electrons[:800], electrons[800:])


@pytest.fixture(scope="session")
def toy_comparison():
    """Two toy samples of one distribution in three layers."""
    from calogan.validation.comparison import compare

    rng = np.random.default_rng(3)
    reference = toy_showers(rng, toy_geometry(), 400)
    generated = toy_showers(rng, toy_geometry(), 300, first_event=1000)
    return compare(reference, generated, SETTINGS, THRESHOLD, SilentReporter())


@pytest.fixture(scope="session")
def small_comparison(toy_comparison):
    """The same with one observable and one image, so that drawing is quick."""
    return replace(
        toy_comparison,
        distributions=replace(
            toy_comparison.distributions, distributions=toy_comparison.distributions.distributions[:1]
        ),
        images=toy_comparison.images[1:2],
        pairs=toy_comparison.pairs[:1],
    )


HOSTILE = "<script>document.title = 'owned'</script> & co"


@dataclass(frozen=True)
class Measured:
    """Numbers as a report wants them: a comparison with one study, and no showers behind it."""

    provenance: dict = field(default_factory=lambda: {"study": "<b>toy</b>", "reference files": "a.root, b.root"})
    reference_count: int = 400
    generated_count: int = 300
    threshold: float = 3e-4
    metrics: tuple = (
        Metric("separation E/p", 0.012, 0.002, 0.004, 0.0, 400, 300, "arXiv:2009.03796, eq. 15", "expected", 0.003),
        Metric("KPD", math.nan, math.nan, math.inf, 0.0, 400, 300, "", ""),
    )
    spread: np.ndarray = field(default_factory=lambda: np.array([1.0, np.nan, 3.0]))


@pytest.fixture(scope="session")
def measured():
    return Measured()


@pytest.fixture(scope="session")
def make_verdict():
    """Function from a criterion, its outcome and figures to a verdict."""

    def make(criterion, outcome="pass", difference=0.01, error=0.002, floor=0.003, group="separation power", note=""):
        limit = difference - floor + 1.6 * error
        values = (math.nan, math.nan, difference, error, floor, 0.02, limit)
        return Verdict(group, criterion, *values, Outcome(outcome), note)

    return make


@pytest.fixture(scope="session")
def verdicts(make_verdict):
    return (
        make_verdict("response, 1 to 8 GeV", group="response"),
        make_verdict("radial|width", "undecided", error=0.05, note="needs about 9000 showers"),
        make_verdict("occupancy", "fail", difference=0.2),
    )


@pytest.fixture(scope="session")
def toy_sections():
    """Sections with a warning, hostile names, a wide and a long table, and figures of which two are key."""

    def figure(side):
        drawn = Figure(figsize=(side, 1.0))
        drawn.add_subplot().plot([0, 1])
        return drawn

    wide = Table(tuple(f"column {number}" for number in range(14)), (tuple("0.12345 ± 0.00012" for _ in range(14)),))
    long = Table(("name", "value"), (("first group",), *((f"row {number}", "1") for number in range(60))), "Long table")
    drawings = (
        Drawing("response", "response of both samples", partial(figure, 2.0), key=True),
        Drawing("../../<b>E</b>", 'distribution of "<b>E</b>"', partial(figure, 3.0), "caption <i>", folded=True),
        Drawing("../../<b>E</b>", "another of that name", partial(figure, 3.0), key=True),
    )
    return (
        Section(
            "condition",
            "Incident particles",
            ("Text & arXiv:2410.21611.",),
            warning="Particles <differ>.",
            finding="Nothing & all.",
        ),
        Section("E/p <x>", "Observable <E>", (), (wide, long), drawings),
    )


@pytest.fixture(scope="session")
def toy_report(tmp_path_factory, measured, verdicts, toy_sections):
    """A written report whose title tries to run a script."""
    from calogan.validation.report import write_report

    folder = tmp_path_factory.mktemp("report")
    inputs = {"bundle": "abc", "split": "test"}
    return write_report(
        measured, verdicts, toy_sections, folder, title=HOSTILE, inputs=inputs, reporter=SilentReporter()
    )
