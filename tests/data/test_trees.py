"""Trees of showers: copied columns, several layouts in one file, and what does not fit."""

from __future__ import annotations

import numpy as np
import pytest
import uproot

from calogan.data.hits import Hits
from calogan.data.reading import read_showers
from calogan.data.trees import ShowerTrees
from calogan.data.writer import RootWriter
from calogan.errors import SchemaError, ShapeError


@pytest.mark.parametrize("rntuple", [False, True])
def test_copied_columns_are_written_as_they_are(toy, tmp_path, rntuple):
    exact = np.random.default_rng(1).normal(size=len(toy.showers))
    numbers = np.arange(len(toy.showers), dtype=np.int32)
    trees = ShowerTrees.of(toy.schema("hits"), toy.geometry, types={"px": "float64", "event": "int32"})
    with RootWriter(tmp_path / "a.root", trees.specs, rntuple=rntuple) as writer:
        for part in (slice(0, 1), slice(1, 150), slice(150, None)):
            trees.write(writer, toy.showers[part], {"px": exact[part], "event": numbers[part]})
    with uproot.open(tmp_path / "a.root") as file:
        found = {name: file["hits"][name].array(library="np") for name in ("px", "event", "py")}
    assert found["px"].dtype == np.float64
    assert found["px"].tobytes() == exact.tobytes()
    assert found["event"].dtype == np.int32
    np.testing.assert_array_equal(found["event"], numbers)
    np.testing.assert_array_equal(found["py"], toy.showers.incident[:, 1])


@pytest.mark.parametrize(
    ("error", "copied", "message"),
    [
        (SchemaError, {"p_x": np.zeros(3)}, "no branch 'p_x' to copy to; did you mean 'px'"),
        (SchemaError, {"cell_energy": np.zeros(3)}, "no branch 'cell_energy' to copy to"),
        (ShapeError, {"px": np.zeros(2)}, r"branch 'px': 3 showers, but copied values of shape \(2,\)"),
        (SchemaError, {"px": np.zeros(3)}, "branch 'px': is float32 and cannot hold float64"),
    ],
)
def test_copied_columns_that_do_not_fit_are_named(toy, tmp_path, error, copied, message):
    trees = ShowerTrees.of(toy.schema("hits"), toy.geometry)
    with RootWriter(tmp_path / "a.root", trees.specs) as writer, pytest.raises(error, match=message):
        trees.write(writer, toy.showers[:3], copied)


def test_types_of_no_branch_are_refused(toy):
    with pytest.raises(SchemaError, match="no branch 'p_x' to copy to"):
        ShowerTrees.of(toy.schema("hits"), toy.geometry, types={"p_x": "float64"})


@pytest.mark.parametrize("rntuple", [False, True])
def test_layouts_lie_side_by_side(toy, tmp_path, rntuple):
    """As in files of the full simulation: the first in the tree of the schema, the others under their own names."""
    trees = ShowerTrees.of(toy.schema("dense"), toy.geometry, ["dense", "hits", "positions"])
    with RootWriter(tmp_path / "a.root", trees.specs, rntuple=rntuple) as writer:
        trees.write(writer, toy.showers)
    assert [schema.tree for schema in trees.schemas] == ["showers", "hits", "positions"]
    for schema in trees.schemas:
        found = read_showers([str(tmp_path / "a.root")], schema, toy.geometry)
        np.testing.assert_array_equal(found.event, toy.showers.event)
        np.testing.assert_allclose(found.cell_energy, toy.showers.cell_energy, rtol=2e-7)


@pytest.mark.parametrize(("layouts", "tree"), [(["hits", "hits"], None), (["dense", "hits"], "hits")])
def test_each_tree_is_there_once(toy, layouts, tree):
    with pytest.raises(SchemaError, match="give each layout and tree once"):
        ShowerTrees.of(toy.schema("hits"), toy.geometry, layouts, tree=tree)


@pytest.mark.parametrize("layout", ["dense", "hits"])
def test_hits_alone_make_no_particles(toy, tmp_path, layout):
    trees = ShowerTrees.of(toy.schema(layout), toy.geometry, particles=False)
    with RootWriter(tmp_path / "a.root", trees.specs) as writer:
        trees.write(writer, Hits.of(toy.showers), {"event": toy.showers.event})
    toy.write(tmp_path / "b.root", layout)
    with uproot.open(tmp_path / "a.root") as alone, uproot.open(tmp_path / "b.root") as full:
        tree = trees.schemas[0].tree
        kept = [name for name in full[tree].keys() if name not in ("pdg", "px", "py", "pz", "x", "y")]  # noqa: SIM118
        assert alone[tree].keys() == kept
        assert alone[tree].arrays().tolist() == full[tree].arrays(kept).tolist()


def test_other_cells_are_refused(toy, tmp_path, ecal30_showers):
    trees = ShowerTrees.of(toy.schema("hits"), toy.geometry)
    with RootWriter(tmp_path / "a.root", trees.specs) as writer, pytest.raises(ShapeError, match="of 900 cells"):
        trees.write(writer, ecal30_showers)
