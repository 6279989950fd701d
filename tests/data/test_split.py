from __future__ import annotations

import numpy as np

from calogan.data.split import assign_splits, entry_ids, mix


def test_mix_is_splitmix64():
    # The first three outputs of the reference generator (splitmix64.c) seeded with 1234567.
    step = 0x9E3779B97F4A7C15
    states = np.array([(1234567 + step * index) % 2**64 for index in range(3)], dtype=np.uint64)
    assert mix(states).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_split_of_an_event_never_changes():
    # Pinned: a change would move test showers into the training of models that are compared.
    assert assign_splits(np.arange(20)).tolist() == [0, 2, 0, 1, 0, 0, 0, 0, 2, 0, 1, 0, 0, 1, 1, 2, 1, 2, 0, 2]


def test_fractions():
    counts = np.bincount(assign_splits(np.arange(1_000_000)))
    # Binomial errors are 490 and 400 showers.
    assert abs(counts - [600_000, 200_000, 200_000]).max() < 2500


def test_split_depends_on_the_id_alone():
    event = np.array([5, 10**12, -3, 2**63 - 1])
    together = assign_splits(event)
    assert together.tolist() == [int(assign_splits(event[index : index + 1])[0]) for index in range(4)]
    assert assign_splits(event[::-1]).tolist() == together[::-1].tolist()


def test_entry_ids_are_positive_and_differ():
    entries = np.arange(10_000)
    ids = np.concatenate([entry_ids(checksum, entries) for checksum in ("0" * 32, "f" * 32)])
    assert ids.dtype == np.int64
    assert (ids >= 0).all()
    assert len(np.unique(ids)) == 20_000
    assert entry_ids("0" * 32, entries[5:6])[0] == ids[5]
