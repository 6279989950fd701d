import awkward as ak
import numpy as np
import pytest

from calogan.data.hits import Hits
from calogan.data.showers import Showers
from calogan.geometry import Geometry, Layer

GEOMETRY = Geometry((Layer((0.0, 1.0, 2.0), (0.0, 1.0, 2.0, 3.0), 5.0), Layer((0.0, 2.0), (0.0, 1.0, 3.0), 9.0)))


def showers() -> Showers:
    cells = np.zeros((3, GEOMETRY.n_cells), dtype=np.float32)
    cells[0, [1, 5, 7]] = 1.0, 2.0, 3.0
    cells[2, 6] = 4.0
    return Showers(GEOMETRY, np.arange(3), np.ones((3, 5), np.float32), cells, np.zeros(3, np.int32))


def test_hits_name_layer_row_and_column():
    hits = Hits.of(showers())
    assert hits.n_showers == 3
    assert hits.counts.tolist() == [3, 0, 1]
    assert hits.layer.tolist() == [0, 0, 1, 1]
    assert hits.row.tolist() == [0, 1, 0, 0]
    assert hits.column.tolist() == [1, 2, 1, 0]
    assert (GEOMETRY.flat_index(hits.layer, hits.row, hits.column) == hits.cell).all()


def test_records_have_a_list_a_shower():
    records = Hits.of(showers()).to_awkward()
    assert ak.num(records).tolist() == [3, 0, 1]
    assert records.energy.tolist() == [[1.0, 2.0, 3.0], [], [4.0]]
    assert ak.sum(records.energy, axis=1).tolist() == showers().total_energy.tolist()


def test_some_of_the_showers_are_numbered_from_zero():
    hits = Hits.of(showers())
    for part in (slice(0, 1), slice(1, None), slice(1, 2), slice(2, 9), slice(3, None)):
        expected = Hits.of(showers()[part])
        assert hits[part].n_showers == expected.n_showers
        for name in ("shower", "cell", "energy"):
            np.testing.assert_array_equal(getattr(hits[part], name), getattr(expected, name))


def test_all_cells_come_back():
    cells = Hits.of(showers()).to_cells()
    assert cells.dtype == np.float32
    np.testing.assert_array_equal(cells, showers().cell_energy)


def test_showers_of_an_event_are_summed_in_double_precision():
    cells = np.zeros((5, GEOMETRY.n_cells), dtype=np.float32)
    cells[:, 3] = 1.0, 2.0**-24, 2.0**-24, 5.0, 7.0  # one after the other, float32 would lose the small ones
    cells[4, 0] = 2.0
    hits = Hits.of(Showers(GEOMETRY, np.arange(5), np.ones((5, 5), np.float32), cells, np.zeros(5, np.int32)))
    events = hits.summed(np.array([1, 1, 1, 3, 4]), 5)
    assert events.n_showers == 5
    assert events.shower.tolist() == [1, 3, 4, 4]
    assert events.cell.tolist() == [3, 3, 0, 3]
    assert events.energy.tolist() == [1 + 2.0**-23, 5.0, 2.0, 7.0]
    assert events.energy.dtype == np.float32


@pytest.mark.parametrize("index", [0, slice(None, None, 2), slice(None, None, -1)])
def test_hits_are_selected_by_neighbours_alone(index):
    with pytest.raises(TypeError, match="slices of neighbouring showers"):
        Hits.of(showers())[index]
