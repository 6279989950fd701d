import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calogan.geometry import Geometry, Layer
from calogan.models.conditioning import Conditioning
from calogan.models.frame import LocalFrame
from calogan.models.shape import KNOTS, STEEPEST, CellShape
from calogan.physics.kinematics import Domain

ROW = Geometry((Layer((-10.0, 10.0), tuple(20.0 * number for number in range(-4, 5)), depth=0.0),))
CELLS = ROW.n_cells


def make_shape(geometry=ROW):
    domain = Domain((1.0, 64.0), 0.3, (-10.0, 10.0), (-10.0, 10.0))
    return CellShape(geometry, LocalFrame(geometry, Conditioning(("momentum",), domain), ()))


@pytest.fixture(scope="module")
def shape():
    torch.manual_seed(0)
    made = make_shape().double()
    torch.nn.init.uniform_(made.free_slope, -2.0, 2.0)
    return made


def inverse(shape, u):
    """v and log dv/du of showers of all cells."""
    cell = torch.arange(CELLS).expand(u.shape)
    v, log_slope = shape.inverse(u.flatten(), cell.flatten())
    return v.reshape(u.shape), log_slope.reshape(u.shape)


@settings(deadline=None)
@given(v=st.lists(st.floats(1e-6, 50.0), min_size=CELLS, max_size=CELLS))
def test_inverse_undoes_the_function(shape, v):
    v = torch.tensor([v], dtype=torch.float64)
    torch.testing.assert_close(inverse(shape, shape(v))[0], v, rtol=1e-6, atol=1e-6)


def test_knots_are_on_both_functions(shape):
    u = torch.tensor(KNOTS[1:], dtype=torch.float64).unsqueeze(1).expand(-1, CELLS)
    torch.testing.assert_close(shape(inverse(shape, u)[0]), u, rtol=1e-6, atol=1e-6)


def test_slope_of_the_inverse_is_its_derivative(shape):
    step = 1e-6
    u = (torch.tensor(KNOTS).double() + 0.03).unsqueeze(1).expand(-1, CELLS)
    difference = (inverse(shape, u + step)[0] - inverse(shape, u - step)[0]) / (2 * step)
    torch.testing.assert_close(inverse(shape, u)[1].exp(), difference, rtol=1e-6, atol=0)
    assert inverse(shape, u)[1].std() > 0.5


@settings(deadline=None)
@given(v=st.lists(st.floats(-10.0, 20.0, allow_subnormal=False), min_size=2, max_size=2).map(sorted))
def test_function_rises_from_zero(shape, v):
    low, high = shape(torch.tensor(v, dtype=torch.float64).unsqueeze(1).expand(-1, CELLS))
    assert (low > 0).all() if v[0] > 0 else (low == 0).all()
    assert (high >= low).all()


def test_at_the_start_nothing_changes():
    v = torch.linspace(-3, 12, 100).unsqueeze(1).expand(-1, CELLS)
    torch.testing.assert_close(make_shape()(v), v.clamp_min(0.0), rtol=1e-6, atol=1e-6)


def test_slopes_are_bounded():
    shape = make_shape()
    torch.nn.init.constant_(shape.free_slope, 20.0)
    assert shape(torch.ones(1, CELLS))[0, 0].item() == pytest.approx(math.exp(-STEEPEST), rel=1e-3)
    torch.nn.init.constant_(shape.free_slope, -20.0)
    assert shape(torch.ones(1, CELLS))[0, 0].item() == pytest.approx(math.exp(STEEPEST), rel=1e-3)


def test_each_slope_that_is_used_learns():
    shape = make_shape()
    v = torch.tensor([[-1.0, 0.1, 0.3, -1.0, 9.0, -1.0, -1.0, 0.1]])  # 4, 3, 2, 1, 0, 1, 2, 3 cells from the track
    shape(v).sum().backward()
    reached = (shape.free_slope.grad != 0).sum(dim=0)
    assert reached.tolist() == [len(KNOTS), 0, 3, 2, 0]


def test_cells_equally_far_from_the_track_share_a_function_and_layers_do_not():
    shape = make_shape(Geometry((*ROW.layers, *ROW.layers)))
    torch.nn.init.uniform_(shape.free_slope, -2.0, 2.0)
    one, other = shape(torch.full((1, 2 * CELLS), 5.0)).reshape(2, CELLS).tolist()
    assert one[3] == one[5] != one[4] != one[2]
    assert one[0] not in one[1:]
    assert one[4] != other[4]


def test_some_cells_are_as_they_are_among_all(shape):
    torch.manual_seed(0)
    v = 3.0 * torch.randn(200, CELLS, dtype=torch.float64)
    place = (v > 0).flatten().nonzero().squeeze(1)
    found = shape.of_cells(v.flatten()[place], place % CELLS)
    torch.testing.assert_close(found, shape(v).flatten()[place], rtol=1e-12, atol=1e-12)
