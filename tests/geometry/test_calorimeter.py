"""Regular grids: the size of their cells, and how one lies to another."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.errors import GeometryError
from calogan.geometry import Geometry, Layer


def grid(x, y, depth=5.0):
    """A layer from (first edge, cells, size) along x and y."""
    x_edges, y_edges = (tuple(low + size * np.arange(cells + 1)) for low, cells, size in (x, y))
    return Layer(x_edges, y_edges, depth)


SMALL = Geometry((grid((-30, 3, 20), (0, 4, 2.5)), grid((-30, 2, 30), (0, 1, 10), depth=50.0)))


def test_rows_and_columns_are_those_of_the_flat_index():
    found = SMALL.flat_index(SMALL.cell_layer, SMALL.cell_row, SMALL.cell_column)
    np.testing.assert_array_equal(found, np.arange(SMALL.n_cells))


def test_pitch_is_the_size_of_the_cells():
    np.testing.assert_allclose(SMALL.pitch, [[20, 2.5], [30, 10]])


def test_cells_of_different_sizes_have_no_pitch():
    layer = Layer((0.0, 1.0, 3.0), (0.0, 1.0), 5.0)
    with pytest.raises(GeometryError, match=r"^layer 1 along x: the cells are 1 to 2 mm wide; a regular grid has .*$"):
        _ = Geometry((grid((0, 2, 1), (0, 2, 1)), layer)).pitch


def test_a_cell_is_found_again_in_the_other_grid():
    large = Geometry((grid((-90, 12, 20), (-10, 9, 2.5)), grid((-120, 9, 30), (-20, 6, 10), depth=50.0)))
    offset = SMALL.cells_from(large)
    np.testing.assert_array_equal(offset, [[3, 4], [3, 2]])
    row, column = np.stack([SMALL.cell_row, SMALL.cell_column]) + offset[SMALL.cell_layer].T
    cell = large.flat_index(SMALL.cell_layer, row, column)
    np.testing.assert_allclose(large.cell_x[cell], SMALL.cell_x)
    np.testing.assert_allclose(large.cell_y[cell], SMALL.cell_y)
    np.testing.assert_array_equal(large.cells_from(SMALL), -offset)


def test_rounding_of_edges_is_no_matter():
    one = Geometry((grid((-303, 30, 20.2), (0, 1, 1)),))
    edges = tuple(float(edge) for edge in np.float32(-6060 + 20.2 * np.arange(601)))
    np.testing.assert_array_equal(one.cells_from(Geometry((Layer(edges, (0.0, 1.0), 5.0),))), [[285, 0]])


OFF = "layer 0 along x: the edges of one calorimeter are up to"


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        ((SMALL.layers[0],), "one calorimeter has 2 layers, the other 1; both need the same"),
        (
            (SMALL.layers[0], grid((-30, 2, 30), (0, 1, 10), depth=51.0)),
            "layer 1: depth 50 mm in one calorimeter and 51 mm in the other",
        ),
        (
            (SMALL.layers[0], grid((-30, 2, 30), (0, 1, 12), depth=50.0)),
            "layer 1 along y: cells of 10 mm in one calorimeter and of 12 mm in the other; they must be the same",
        ),
        (
            (grid((-25, 3, 20), (0, 4, 2.5)), SMALL.layers[1]),
            f"{OFF} 5 mm off those of the other; move it by whole cells of 20 mm only",
        ),
        (
            (grid((-30, 300, 20.05), (0, 4, 2.5)), SMALL.layers[1]),
            f"{OFF} 10 mm off those of the other; move it by whole cells of 20 mm only",
        ),
    ],
)
def test_grids_that_do_not_go_together_are_refused(layers, text):
    with pytest.raises(GeometryError) as error:
        SMALL.cells_from(Geometry(layers))
    assert str(error.value) == text
