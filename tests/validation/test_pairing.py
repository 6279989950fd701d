from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calogan.data.toy import toy_geometry, toy_showers
from calogan.validation.pairing import groups, pair


def toy(seed, count=200, first_event=0):
    return toy_showers(np.random.default_rng(seed), toy_geometry(), count, first_event=first_event)


@pytest.fixture
def showers():
    return toy(1)


def for_particles(showers, seed):
    """Other showers of the same particles, with other event ids."""
    made = toy(seed, len(showers), first_event=10_000)
    return replace(made, incident=showers.incident)


def test_showers_in_place_are_pairs(showers):
    generated = for_particles(showers, 2)

    found, paired = pair(showers, generated)

    assert paired
    assert found is generated


def test_the_same_particles_in_another_order_are_put_in_place(showers):
    generated = for_particles(showers, 2)
    order = np.random.default_rng(3).permutation(len(showers))

    found, paired = pair(showers, generated[order])

    assert paired
    assert np.array_equal(found.incident, showers.incident)
    assert np.array_equal(found.event, generated.event)
    assert np.array_equal(found.cell_energy, generated.cell_energy)


def test_showers_of_one_particle_are_ordered_by_their_events(showers):
    incident = np.repeat(showers.incident[:2], 3, axis=0)
    reference = replace(showers[:6], incident=incident, event=np.array([5, 3, 4, 0, 1, 2]))
    generated = replace(showers[:6], incident=incident[::-1], event=np.array([20, 21, 22, 10, 11, 12]))

    found, paired = pair(reference, generated)

    assert paired
    assert found.event.tolist() == [12, 10, 11, 20, 21, 22]


def test_particles_of_two_types_have_partners_of_their_type(showers):
    """Electrons and photons of the same momenta at the same points, as of a grid."""
    incident = np.repeat(showers.incident[:100], 2, axis=0)
    reference = replace(showers, incident=incident, pdg=np.tile([11, 22], 100).astype(np.int32))
    generated = replace(reference, event=reference.event + 1000)[::-1]

    found, paired = pair(reference, generated)

    assert paired
    assert np.array_equal(found.pdg, reference.pdg)
    unknown, paired = pair(reference, replace(generated, pdg=0 * generated.pdg))
    assert paired
    assert np.array_equal(unknown.incident, incident)
    assert pair(reference, replace(generated, pdg=0 * generated.pdg + 11))[1]  # the same momenta all the same


@pytest.mark.parametrize("change", ["momentum", "one more", "one twice"])
def test_other_particles_are_no_pairs(showers, change):
    generated = for_particles(showers, 2)[::-1]
    if change == "momentum":
        generated = replace(generated, incident=generated.incident * np.float32(1.001))
    elif change == "one more":
        generated = generated[np.append(np.arange(200), 0)]
    else:
        generated = generated[np.append(np.arange(199), 0)]

    found, paired = pair(showers, generated)

    assert not paired
    assert found is generated


def test_groups_of_pairs_are_the_pairs(showers):
    first, second = groups(showers, for_particles(showers, 2))

    assert np.array_equal(first, second)
    assert len(np.unique(first)) == len(showers)
    assert first.dtype == np.int64


def test_event_ids_that_coincide_by_accident_join_nothing(showers):
    other = toy(5)  # the same ids 0, 1, 2, ... of other particles

    first, second = groups(showers, other)

    assert len(np.unique(np.append(first, second))) == 400


def test_copies_are_joined_even_across_particles(showers):
    generated = for_particles(showers, 2)
    cells = generated.cell_energy.copy()
    cells[0] = showers.cell_energy[7]
    cells[1] = cells[2]

    first, second = groups(showers, replace(generated, cell_energy=cells))

    assert second[0] == first[0] == first[7] == second[7]
    assert second[1] == second[2] == first[1] == first[2]
    assert len(np.unique(first)) == len(showers) - 2


def test_dark_showers_are_no_copies_of_each_other(showers):
    dark = replace(showers, cell_energy=0 * showers.cell_energy)

    first, second = groups(dark, replace(dark, incident=dark.incident + np.float32(1)))

    assert len(np.unique(np.append(first, second))) == 400


def test_many_showers_of_one_particle_are_grouped_by_their_place(showers):
    one = replace(showers, incident=np.repeat(showers.incident[:2], [150, 50], axis=0))
    other = replace(for_particles(showers, 2)[:190], incident=one.incident[:190])

    first, second = groups(one, other)

    assert len(np.unique(first)) == 200
    assert np.array_equal(first[:190], second)


def test_few_showers_of_one_particle_are_one_group(showers):
    reference = replace(showers[:40], incident=np.repeat(showers.incident[:4], 10, axis=0))
    generated = replace(for_particles(showers, 2)[:8], incident=np.repeat(showers.incident[:4], 2, axis=0))

    first, second = groups(reference, generated)

    assert np.array_equal(first, np.repeat(second[::2], 10))
    assert len(np.unique(first)) == 4


def test_minus_zero_is_zero(showers):
    incident = showers.incident.copy()
    incident[:, 3] = 0
    reference = replace(showers, incident=incident)
    negative = replace(for_particles(showers, 2), incident=incident * np.array([1, 1, 1, -1, 1], dtype=np.float32))

    assert np.array_equal(*groups(reference, negative))
    assert pair(reference, negative[::-1])[1]
