"""Showers on a larger calorimeter: moved by whole cells, in files and in overlays."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from calogan.data.reading import read_provenance
from calogan.errors import GeometryError, SchemaError
from calogan.geometry import Geometry, Layer
from calogan.sampler import load_sampler

PITCH = 20.2
WALL = Geometry((Layer(*(tuple(PITCH * np.arange(-half, half + 1)) for half in (40, 30)), depth=122.0),))


def particles(count=50):
    """All over the wall, a few beyond it."""
    rng = np.random.default_rng(4)
    columns = {name: rng.normal(0, 0.3, count) for name in ("px", "py")}
    columns |= {"pz": rng.uniform(5, 50, count), "pdg": np.full(count, 11, dtype=np.int32)}
    columns |= {"x": rng.uniform(-850, 850, count), "y": rng.uniform(-650, 650, count)}
    return {"event": np.arange(count), **columns}


def on_the_wall(columns):
    return (np.abs(columns["x"]) < 40 * PITCH) & (np.abs(columns["y"]) < 30 * PITCH)


def sample(production, columns, **named):
    names = ("px", "py", "pz", "x", "y")
    sampler = load_sampler(production.bundle, threads=1)
    return sampler.sample(
        *(columns[name] for name in names), seed=7, placement="cell", calorimeter=WALL, outside="clip", **named
    )


def test_showers_are_where_their_particles_are(production):
    columns = particles()
    result = production(production.write("in.root", columns), calorimeter=WALL, part_showers=20)
    kept, showers = on_the_wall(columns), sample(production, columns, shower_id=columns["event"])
    assert 30 < kept.sum() < 50
    assert (result.showers, result.outside) == (kept.sum(), 50 - kept.sum())
    assert result.lost_energy == pytest.approx(showers.lost_energy[kept].sum(), rel=1e-6)
    assert result.lost_energy > 0
    found, hits = production.read(), showers.to_awkward().hits[kept]
    assert found["event"].tolist() == columns["event"][kept].tolist()
    for branch, name in (("cell_ix", "row"), ("cell_iy", "column")):
        assert ak.all(found[branch] == hits[name])
    np.testing.assert_allclose(ak.flatten(found["cell_energy"]), 1000 * ak.flatten(hits.energy), rtol=1e-5)
    assert ak.max(found["cell_ix"]) > 60
    assert read_provenance(production.folder / "out.root")["placement"] == "cell"


def test_events_are_summed_on_the_wall(production):
    columns, counts = particles(), np.array([20, 0, 30])
    events = {name: ak.unflatten(values, counts) for name, values in columns.items() if name != "event"}
    source = production.write("in.root", {"event": np.array([0, 1, 2]), **events})
    result = production(source, overlay=True, pdg=[11], calorimeter=WALL)
    kept = on_the_wall(columns)
    assert (result.events, result.showers, result.outside) == (3, kept.sum(), 50 - kept.sum())
    cells = sample(production, events).hits().to_cells() * kept[:, None]
    expected = np.stack([cells[:20].sum(axis=0), np.zeros(WALL.n_cells), cells[20:].sum(axis=0)])
    found, filled = production.read(), np.zeros((3, 80, 60))
    rows = np.repeat(np.arange(3), ak.num(found["cell_energy"]))
    filled[rows, ak.flatten(found["cell_ix"]), ak.flatten(found["cell_iy"])] = ak.flatten(found["cell_energy"]) / 1000
    np.testing.assert_allclose(filled.reshape(3, -1), expected, rtol=1e-4, atol=1e-6)
    assert ak.num(production.read(tree="hits_left")["x"]).tolist() == [20 - kept[:20].sum(), 0, 30 - kept[20:].sum()]


def test_a_calorimeter_of_other_cells_is_refused(production):
    source = production.write("in.root", particles())
    edges = tuple(np.linspace(-600, 600, 41))
    with pytest.raises(GeometryError, match="layer 0"):
        production(source, calorimeter=Geometry((Layer(edges, edges, 122.0),)))
    edges = tuple(PITCH * np.arange(-150, 151))
    with pytest.raises(SchemaError, match="90000 cells a shower are too many for a dense tree; choose the layout hits"):
        production(source, calorimeter=Geometry((Layer(edges, edges, 122.0),)), layout="dense")
    assert production.names == ["in.root"]
