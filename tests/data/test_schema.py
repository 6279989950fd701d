from __future__ import annotations

import json
from dataclasses import replace

import pytest

from calogan.data.schema import Schema
from calogan.errors import SchemaError
from calogan.geometry import Geometry, Layer

ONE_LAYER = Geometry((Layer((0.0, 1.0), (0.0, 1.0, 2.0), depth=1.0),))


@pytest.mark.parametrize("layout", ["dense", "hits", "positions"])
def test_plain_values_come_back(toy, layout):
    schema = toy.schema(layout)
    assert Schema.from_dict(json.loads(json.dumps(schema.to_dict()))) == schema
    assert schema.digest == Schema.from_dict(schema.to_dict()).digest != replace(schema, tree="other").digest


def test_branches_of_each_layout(toy):
    assert toy.schema("dense").branches == [
        *("event", "pdg", "px", "py", "pz", "x", "y"),
        *("energy_layer0", "energy_layer1", "energy_layer2"),
    ]
    assert toy.schema("hits").jagged_branches == ("cell_layer", "cell_ix", "cell_iy", "cell_energy")
    without = replace(toy.schema("hits"), event=None, pdg=None, entry_point=None)
    assert without.branches == ["px", "py", "pz", "cell_layer", "cell_ix", "cell_iy", "cell_energy"]


def test_units_are_known():
    schema = Schema.from_dict({**_values(), "energy_unit": "keV", "momentum_unit": "MeV", "length_unit": "cm"})
    assert (schema.energy_per_gev, schema.momentum_per_gev, schema.length_in_mm) == (1e6, 1e3, 10)


def test_other_layout_has_the_usual_names(toy):
    hits = toy.schema("hits")
    assert hits.as_layout("hits", toy.geometry) is hits
    assert hits.as_layout("dense", toy.geometry).energy == ("energy_layer0", "energy_layer1", "energy_layer2")
    assert hits.as_layout("dense", ONE_LAYER).energy == ("energy",)
    assert hits.as_layout("positions", ONE_LAYER).place == ("hit_x", "hit_y", None)
    assert hits.as_layout("dense", toy.geometry).as_layout("hits", toy.geometry) == hits


def test_values_out_of_range_are_named():
    with pytest.raises(SchemaError, match=r"length_unit is 'mmm'; did you mean 'mm'"):
        Schema.from_dict({**_values(), "length_unit": "mmm"})
    with pytest.raises(SchemaError, match="not a schema"):
        Schema.from_dict({"tree": "t"})


def test_geometry_that_does_not_fit(toy):
    with pytest.raises(SchemaError, match="has 3 names for 1 layers"):
        toy.schema("dense").check(ONE_LAYER)
    with pytest.raises(SchemaError, match="set cell_layer, the geometry has 3 layers"):
        replace(toy.schema("hits"), place=(None, "cell_ix", "cell_iy")).check(toy.geometry)
    with pytest.raises(SchemaError, match="set hit_z, the geometry has 3 layers"):
        replace(toy.schema("positions"), place=("hit_x", "hit_y", None)).check(toy.geometry)
    with pytest.raises(SchemaError, match="need z_range"):
        toy.schema("positions").check(ONE_LAYER)


def _values():
    return {
        "layout": "dense",
        "tree": "showers",
        "event": None,
        "pdg": None,
        "momentum": ["px", "py", "pz"],
        "entry_point": None,
        "energy": ["energy"],
        "place": [],
        "energy_unit": "MeV",
        "momentum_unit": "GeV",
        "length_unit": "mm",
    }
