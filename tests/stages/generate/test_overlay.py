"""Events of many particles: sums of showers, the particles that are left, and keys that nothing moves."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from calogan.data.reading import read_provenance
from calogan.errors import ConfigError, DataError, SchemaError
from calogan.sampler import load_sampler
from calogan.stages.generate import overlay

COUNTS = np.array([3, 0, 1, 5, 0, 2, 4])
# By number of the particle: its type, angle (backwards), momentum and type, entry point, not a number.
LEFT = {1: 8, 5: 2, 7: 9, 9: 4, 13: 16}


def columns(seed=1):
    """Seven events; the particles in `LEFT` are not the surrogate's."""
    rng, total = np.random.default_rng(seed), COUNTS.sum()
    flat = {name: rng.normal(0, 0.5, total).astype(np.float32) for name in ("px", "py", "x", "y")}
    flat |= {"pz": rng.uniform(5, 50, total), "pdg": np.full(total, 11, dtype=np.int64)}
    flat["pdg"][1], flat["pz"][5], flat["x"][9], flat["py"][13] = 211, -20, 90, np.nan
    flat["pdg"][7], flat["px"][7], flat["py"][7], flat["pz"][7] = 211, 0, 0, 0.1
    particles = {name: ak.unflatten(values, COUNTS) for name, values in flat.items()}
    return {"event": np.arange(500, 507, dtype=np.int32), **particles}


def sums(production, inputs, seed=7):
    """What the output must hold: showers from the sampler alone, added one by one."""
    sampler = load_sampler(production.bundle, threads=1)
    expected = np.zeros((len(COUNTS), sampler.geometry.n_cells))
    number = 0
    for row, event in enumerate(inputs["event"]):
        for particle in range(COUNTS[row]):
            if number not in LEFT:
                incident = np.array([[inputs[name][row][particle] for name in ("px", "py", "pz", "x", "y")]], "f4")
                cells = sampler.cell_energy(incident, seed, np.array([event], "i8"), np.array([particle]))
                expected[row] += cells[0]
            number += 1
    return expected


def overlaid(production, inputs, output="out.root", **options):
    return production(inputs, output, **{"overlay": True, "pdg": [11], **options})


def dense(found):
    cells = np.zeros((len(found["event"]), 30, 30))
    rows = np.repeat(np.arange(len(cells)), ak.num(found["cell_energy"]))
    cells[rows, ak.flatten(found["cell_ix"]), ak.flatten(found["cell_iy"])] = ak.flatten(found["cell_energy"])
    return cells.reshape(len(cells), -1) / 1000  # [GeV]


@pytest.mark.parametrize("rntuple", [False, True])
def test_an_event_is_the_sum_of_its_showers(production, rntuple):
    inputs = columns()
    source = production.write("in.root", inputs, rntuple=rntuple)
    result = overlaid(production, source, rntuple=rntuple)
    assert (result.events, result.showers, result.outside, result.outside_list) == (7, 10, 5, None)
    found = production.read()
    assert set(found) - {"ncell"} == {"event", "cell_ix", "cell_iy", "cell_energy"}
    assert str(found["event"].type) == "7 * int32"
    assert found["event"].tolist() == inputs["event"].tolist()
    expected = sums(production, inputs)
    np.testing.assert_allclose(dense(found), expected, rtol=1e-5, atol=1e-6)
    assert expected[3].sum() > expected[2].sum() > 0
    assert not expected[[1, 4]].any()
    overlaid(production, source, "dense.root", layout="dense")
    images = ak.to_numpy(production.read("dense.root")["energy"]).reshape(7, -1)
    np.testing.assert_allclose(images / 1000, dense(found), rtol=1e-6)


def test_particles_that_are_left_are_written_as_they_were(production):
    inputs = columns()
    overlaid(production, production.write("in.root", inputs))
    left = production.read(tree="hits_left")
    assert left["event"].tolist() == inputs["event"].tolist()
    index = ak.local_index(inputs["px"])
    flags = ak.unflatten([number in LEFT for number in range(COUNTS.sum())], COUNTS)
    assert left["particle_index"].tolist() == index[flags].tolist() == [[1], [], [], [1, 3], [], [0], [2]]
    assert ak.flatten(left["reason"]).tolist() == list(LEFT.values())
    for name in ("pdg", "px", "py", "pz", "x", "y"):
        expected = ak.flatten(inputs[name][flags])
        assert ak.flatten(left[name]).to_numpy().tobytes() == expected.to_numpy().tobytes(), name
    legend = read_provenance(production.folder / "out.root")["reason"]
    assert legend == "1 momentum, 2 angle, 4 entry point, 8 particle type, 16 not a number"


def test_particles_that_are_left_move_no_shower(production):
    """The index of a particle, and so its noise, counts those that no shower is made for."""
    inputs = columns()
    overlaid(production, production.write("in.root", inputs), "some.root")
    overlaid(production, production.write("in.root", inputs), "all.root", pdg=[11, 211])
    some, others = dense(production.read("some.root")), dense(production.read("all.root"))
    changed = np.flatnonzero((some != others).any(axis=1))
    assert changed.tolist() == [0]  # where a pion is inside the domain
    assert (others[0] >= some[0]).all()
    assert production.read("all.root", "hits_left")["reason"].tolist() == [[], [], [], [2, 1], [], [4], [16]]


@pytest.mark.parametrize("options", [{"part_showers": 3}, {"chunk_showers": 1}, {"chunk_showers": 4, "batch_size": 32}])
def test_overlays_do_not_depend_on_how_the_work_is_cut(production, options):
    sources = [production.write("a.root", columns()), production.write("b.root", columns(2), rntuple=True)]
    whole = overlaid(production, sources, "whole.root", key="entry")
    cut = overlaid(production, sources, "cut.root", key="entry", **options)
    production.assert_close("whole.root", "cut.root")
    production.assert_same("whole.root", "cut.root", "hits_left")
    assert (whole.events, whole.showers) == (cut.events, cut.showers) == (14, 20)


def test_events_of_many_files_have_ids_of_their_own(production):
    sources = [production.write(name, columns()) for name in ("a.root", "b.root")]
    with pytest.raises(DataError, match=r"b\.root, branch 'event', entry 0: event 500 is there twice"):
        overlaid(production, sources)


def test_without_ids_and_types(production):
    inputs = {name: values for name, values in columns().items() if name not in ("event", "pdg")}
    result = overlaid(production, production.write("in.root", inputs), input_branches={"event": None, "pdg": None})
    assert (result.showers, result.outside) == (11, 4)
    assert production.read()["event"].tolist() == list(range(7))
    assert production.read(tree="hits_left")["event"].tolist() == list(range(7))


def test_layouts_lie_side_by_side(production):
    source = production.write("in.root", columns())
    overlaid(production, source, layout=["hits", "dense"], part_showers=4)
    images = ak.to_numpy(production.read(tree="dense")["energy"]).reshape(7, -1)
    np.testing.assert_allclose(images / 1000, dense(production.read()), rtol=1e-6)


def test_what_makes_no_event_is_refused(production):
    inputs = columns()
    with pytest.raises(SchemaError, match=r"flat\.root:hits, branch '\w+': expected a list of (whole )?numbers"):
        overlaid(production, production.particles("flat.root"))
    with pytest.raises(ConfigError, match="cannot refuse them"):
        overlaid(production, production.write("in.root", inputs), outside="raise")
    inputs["reason"] = inputs["pdg"]
    with pytest.raises(SchemaError, match="input branch 'reason': the tree of particles left has another of that name"):
        overlaid(production, production.write("named.root", inputs), input_branches={"pdg": "reason"})


def test_lists_of_different_lengths_are_named(production):
    inputs = columns()
    inputs["px"] = inputs["px"][:, :2]
    source = production.write("in.root", inputs, rntuple=True)
    with pytest.raises(DataError, match=r"branch 'py', entry 0: has 3 particles, but 'px' has 2"):
        overlaid(production, source)


def test_spans_hold_whole_events():
    spans = overlay._spans(np.array([2, 9, 0, 1, 3, 1]), 4)
    assert list(spans) == [(0, 1), (1, 2), (2, 5), (5, 6)]


def test_types_that_do_not_fit_are_refused(production):
    inputs = columns()
    flat = ak.flatten(inputs["pdg"]).to_numpy().copy()
    flat[4] = 2**40 + 11  # the first of the fourth event
    source = production.write("in.root", inputs | {"pdg": ak.unflatten(flat, COUNTS)})
    with pytest.raises(DataError, match=r"branch 'pdg', entry 3: the PDG id 1099511627787 does not fit 32 bits"):
        overlaid(production, source)


def test_the_counter_of_those_left_is_no_branch(production):
    inputs = columns()
    inputs["nleft"] = inputs.pop("px")
    source = production.write("in.root", inputs)
    with pytest.raises(SchemaError, match="input branch 'nleft': the tree of particles left has another of that name"):
        overlaid(production, source, input_branches={"px": "nleft"})
