"""Arguments of the sampler: their forms, how they are brought to one shape, and what is refused."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
import torch

from calogan.errors import ConfigError, DomainError, ShapeError
from calogan.physics.kinematics import Domain
from calogan.sampler.request import OutsideDomainWarning, admit, check, read_arguments

DOMAIN = Domain((1.0, 64.0), 0.35, (-20.0, 20.0), (-20.0, 20.0))


def make_request(*arguments, **named):
    return read_arguments(*arguments, **named).request()


def checked(request, domain, outside):
    check(request, domain, outside)
    return admit(request, domain, outside)


@pytest.mark.parametrize("form", [list, tuple, np.array, ak.Array, lambda values: np.array(values, dtype=">f4")])
def test_flat_forms_are_the_same(form):
    request = make_request(
        (form([0.0, 1.0]), form([2.0, 3.0]), form([40.0, 5.0])), (form([6.0, 7.0]), form([8.0, 9.0]))
    )
    assert request.incident.dtype == np.float32
    np.testing.assert_array_equal(request.incident, [[0, 2, 40, 6, 8], [1, 3, 5, 7, 9]])
    np.testing.assert_array_equal(request.shower_id, [0, 1])
    assert request.particle is None
    assert request.counts is None


def test_scalars_are_broadcast():
    request = make_request((0, 0.5, [10.0, 20.0, 30.0]), (1, np.float32(2)))
    np.testing.assert_array_equal(request.incident, [[0, 0.5, 10, 1, 2], [0, 0.5, 20, 1, 2], [0, 0.5, 30, 1, 2]])
    assert len(make_request((0, 0, 10), None)) == 1


def test_without_entry_point_it_is_the_centre():
    momentum = ([1.0], [2.0], [3.0])
    np.testing.assert_array_equal(make_request(momentum, None).incident, [[1, 2, 3, 0, 0]])
    np.testing.assert_array_equal(make_request(momentum, None, centre=(4, 5)).incident, [[1, 2, 3, 4, 5]])


def test_nothing_asked():
    request = make_request(([], [], []), ([], []))
    assert request.incident.shape == (0, 5)
    assert len(admit(request, DOMAIN, "raise")) == 0


@pytest.mark.parametrize(
    "form",
    [ak.Array, lambda values: values, lambda values: ak.Array([[], *values, []])[1:3]],
    ids=["awkward", "lists", "a slice of awkward"],
)
def test_ragged_events(form):
    pz = form([[10.0, 20.0], [30.0]])
    request = make_request((0.0, 0.0, pz), (ak.Array([1.0, 2.0]), np.array([3.0, 4.0])), [100, -5])
    np.testing.assert_array_equal(request.incident[:, 2:], [[10, 1, 3], [20, 1, 3], [30, 2, 4]])
    np.testing.assert_array_equal(request.shower_id, [100, 100, -5])
    np.testing.assert_array_equal(request.particle, [0, 1, 0])
    np.testing.assert_array_equal(request.counts, [2, 1])


def test_events_without_particles():
    request = make_request((0.0, 0.0, ak.Array([[], [10.0], []])), None)
    np.testing.assert_array_equal(request.counts, [0, 1, 0])
    np.testing.assert_array_equal(request.shower_id, [1])
    assert len(make_request((0.0, 0.0, ak.Array([[], []])), None)) == 0


def test_two_dimensional_numpy_is_events_of_particles():
    request = make_request((0.0, 0.0, np.array([[10.0, 20.0], [30.0, 40.0]])), None)
    np.testing.assert_array_equal(request.counts, [2, 2])
    np.testing.assert_array_equal(request.particle, [0, 1, 0, 1])
    np.testing.assert_array_equal(request.incident[:, 2], [10, 20, 30, 40])


def test_chunks_hold_whole_events():
    arguments = read_arguments((0.0, 0.0, ak.Array([[10.0, 20.0], [], [30.0], [40.0, 50.0, 60.0]])), None)
    request, chunks = arguments.request(), list(arguments.chunks(3))
    assert [len(chunk) for chunk in chunks] == [3, 3]
    np.testing.assert_array_equal(np.concatenate([chunk.counts for chunk in chunks]), request.counts)
    np.testing.assert_array_equal(np.concatenate([chunk.incident for chunk in chunks]), request.incident)
    np.testing.assert_array_equal(chunks[1].shower_id, [3, 3, 3])
    np.testing.assert_array_equal(chunks[1].particle, [0, 1, 2])
    flat = read_arguments((0.0, 0.0, np.arange(1.0, 8.0)), None).chunks(3)
    assert [list(chunk.shower_id) for chunk in flat] == [[0, 1, 2], [3, 4, 5], [6]]


def test_a_particle_is_named_by_its_place_in_the_call():
    for pz, where in (
        (np.array([9.0] * 5 + [80.0]), "number 5"),
        ([[9.0], [9.0, 9.0], [80.0]], "particle 0 of event 2"),
    ):
        *_, last = read_arguments((0.0, 0.0, pz), None).chunks(2)
        with pytest.raises(DomainError, match=f"the first is {where} with"):
            check(last, DOMAIN, "raise")


def test_columns_are_not_copied():
    pz = np.linspace(5.0, 50.0, 10)
    arguments = read_arguments((0.0, 0.0, pz), None)
    assert np.shares_memory(arguments.columns[2], pz)
    assert all(column.strides == (0,) for column in arguments.columns[:2])


@pytest.mark.parametrize(
    "pz",
    [
        ["ten"],
        [True],
        [1 + 2j],
        ak.Array([1.0, None]),
        ak.Array([[1.0], None]),
        ak.Array([[1.0, None]]),
        [[1.0], 2.0],
        [[[1.0]]],
        {"a": 1.0},
        np.ones((1, 1, 1)),
        np.ma.array([1.0, 2.0], mask=[False, True]),
        [1.0, np.ma.masked],
        None,
    ],
    ids=str,
)
def test_what_is_not_numbers_is_refused(pz):
    with pytest.raises(ShapeError, match=r"^pz must be numbers.*got .*$"):
        make_request((0.0, 0.0, pz), None)


@pytest.mark.parametrize(
    ("px", "pz"),
    [
        ([1.0, 2.0], [1.0, 2.0, 3.0]),
        (ak.Array([[1.0], [2.0]]), ak.Array([[1.0], [2.0, 3.0]])),
        ([1.0, 2.0, 3.0], [[1.0], [2.0]]),
    ],
    ids=str,
)
def test_shapes_that_do_not_go_together_are_refused(px, pz):
    with pytest.raises(ShapeError, match=r"^the arguments do not go together: px has [^\n]*pz has [^\n]*$"):
        make_request((px, 0.0, pz), None)


def test_ids_are_checked():
    momentum = (0.0, 0.0, [10.0, 20.0])
    with pytest.raises(ShapeError, match="must be 2 integers"):
        make_request(momentum, None, [1])
    with pytest.raises(ShapeError, match="must be 2 integers"):
        make_request(momentum, None, [1.0, 2.0])
    with pytest.raises(ShapeError, match=r"must be 2 integers.*masked"):
        make_request(momentum, None, np.ma.array([1, 2], mask=[True, False]))
    with pytest.raises(ShapeError, match=r"shower_id 4 is there twice \(again at 1\)"):
        make_request(momentum, None, [4, 4])
    largest = make_request(momentum, None, np.array([2**64 - 1, 0], dtype=np.uint64))
    np.testing.assert_array_equal(largest.shower_id, [-1, 0])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_what_is_not_finite_is_refused(value):
    with pytest.raises(DomainError, match=r"py of number 1 is"):
        make_request((0.0, [0.0, value], 10.0), None)
    with pytest.raises(DomainError, match=r"pz of particle 1 of event 2 is"):
        make_request((0.0, 0.0, ak.Array([[10.0], [], [20.0, value]])), None)


def test_outside_raises_with_the_range_and_the_first():
    request = make_request((0.0, 0.0, [10.0, 80.0, 90.0]), None)
    with pytest.raises(DomainError, match=r"2 of 3 .*\|p\| 1 to 64 GeV.* first is number 1 with .*pz=80.*'clip'"):
        checked(request, DOMAIN, "raise")


def test_outside_warns():
    request = make_request((0.0, 0.0, [10.0, 80.0]), None)
    with pytest.warns(OutsideDomainWarning, match="1 of 2"):
        assert checked(request, DOMAIN, "warn") is request


def test_outside_is_clipped():
    request = make_request((0.0, 0.0, [10.0, 80.0]), ([0.0, 30.0], 0.0))
    clipped = checked(request, DOMAIN, "clip")
    np.testing.assert_allclose(clipped.incident, [[0, 0, 10, 0, 0], [0, 0, 64, 20, 0]], rtol=1e-6)


@pytest.mark.parametrize("outside", ["warn", "clip"])
def test_no_momentum_is_refused_always(outside):
    with pytest.raises(DomainError, match=r"number 1.*leave it out"):
        checked(make_request((0.0, 0.0, [10.0, 0.0]), None), DOMAIN, outside)


@pytest.mark.parametrize("outside", ["warn", "clip"])
def test_backwards_is_refused_always(outside):
    with pytest.raises(DomainError, match=r"number 1 .*pz=-10.*leave it out"):
        checked(make_request((0.0, 0.0, [10.0, -10.0]), None), DOMAIN, outside)


def test_inside_says_nothing():
    request = make_request((0.0, 0.0, 10.0), None)
    assert checked(request, DOMAIN, "raise") is request


def test_unknown_choice_is_refused():
    with pytest.raises(ConfigError, match="'raise', 'warn', 'clip', got 'drop'"):
        checked(make_request((0.0, 0.0, 10.0), None), DOMAIN, "drop")


def test_lists_that_could_miss_values_and_do_not_are_taken():
    """As they come from Arrow and Parquet."""
    pz = ak.Array([[10.0, None, 20.0], None, [30.0]])
    whole = ak.drop_none(ak.drop_none(pz, axis=1), axis=0)
    could = ak.mask(whole, [True, True], valid_when=True)
    could = ak.mask(could, ak.ones_like(could) > 0, valid_when=True)
    assert "?" in str(could.type)
    assert make_request((0.0, 0.0, could), None).incident[:, 2].tolist() == [10.0, 20.0, 30.0]


@pytest.mark.parametrize("ids", [[[1], [2]], ak.Array([1, None]), ak.Array([[1], [2, 3]]), ["a", "b"], torch.ones(2)])
def test_ids_of_odd_kinds_are_one_line(ids):
    with pytest.raises(ShapeError, match="shower_id must be 2 integers, one for each entry, got "):
        make_request((0.0, 0.0, [10.0, 20.0]), None, ids)


def test_no_particles_have_no_ids():
    assert len(make_request(([], [], []), None, [])) == 0


def test_pdg_ids_of_more_than_32_bits_are_refused():
    with pytest.raises(ShapeError, match="pdg must be ids of 32 bits, got 11 to 4294967307"):
        make_request((0.0, 0.0, [10.0, 20.0]), None, pdg=[11, 2**32 + 11])


def test_tensors_that_numpy_does_not_know_are_refused():
    with pytest.raises(ShapeError, match=r"got a tensor of torch.bfloat16 and shape \(2,\)"):
        make_request((0.0, 0.0, torch.ones(2, dtype=torch.bfloat16)), None)
