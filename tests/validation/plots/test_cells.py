from __future__ import annotations

import numpy as np
import pytest

from calogan.geometry import Geometry, Layer, PolarLayer
from calogan.validation.plots.cells import cells


def grid(rows, columns, depth, z_range=None):
    return Layer(tuple(np.linspace(-10, 10, rows + 1)), tuple(np.linspace(-5, 5, columns + 1)), depth, z_range)


def test_layers_of_one_grid_are_drawn_once():
    geometry = Geometry((*(grid(4, 2, 5.0 * layer) for layer in range(45)), grid(2, 2, 300.0)))
    side, *panels = cells(geometry).axes
    assert side.get_title(loc="left") + side.get_title() == "46 layers, 364 cells"
    assert [axes.get_title(loc="left") + axes.get_title() for axes in panels] == [
        "layers 0-44: 4 x 2 cells\nof 5 x 5 mm",
        "layer 45: 2 x 2 cells\nof 10 x 5 mm",
    ]
    assert len(side.lines) == 46
    # the borders of rows and of columns
    assert len(panels[0].collections[0].get_segments()) == 5 + 3


def test_layers_with_a_front_and_a_back_are_boxes():
    side = cells(Geometry((grid(2, 2, 5.0, (0.0, 10.0)), grid(2, 2, 20.0)))).axes[0]
    (box,) = side.patches
    assert (box.get_x(), box.get_width(), box.get_y(), box.get_height()) == (0, 10, -10, 20)


@pytest.mark.parametrize(("sectors", "lines"), [(1, 4), (8, 9 + 4)])
def test_rings_are_round(sectors, lines):
    panel = cells(Geometry((PolarLayer((0.0, 1.0, 2.0, 4.0), sectors, depth=1.0),))).axes[1]
    drawn = panel.collections[0].get_segments()
    assert len(drawn) == lines
    rings = [line for line in drawn if len(line) > 4]
    assert [np.hypot(*ring.T).max() for ring in rings] == pytest.approx([0, 1, 2, 4])
    assert all(len(ring) > 60 for ring in rings)


def test_very_fine_grids_are_an_area_with_a_border():
    panel = cells(Geometry((grid(2000, 1000, 5.0),))).axes[1]
    assert len(panel.collections[0].get_segments()) == 4


def test_many_grids_say_what_is_left_out():
    geometry = Geometry(tuple(grid(2 + layer, 2, float(layer)) for layer in range(15)))
    figure = cells(geometry)
    assert len(figure.axes) == 13
    assert figure.get_supxlabel() == "and 3 more grids"
