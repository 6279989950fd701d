import math
import threading
from itertools import pairwise

import numpy as np
import pytest
import torch

from calogan.data.toy import toy_geometry, toy_showers
from calogan.errors import StoreError
from calogan.models.generator import Architecture, build_generator
from calogan.physics.kinematics import Domain
from calogan.training.batches import BatchOrder
from calogan.training.local import LocalShowers
from calogan.training.stream import StreamedShowers, ahead
from calogan.training.windows import WindowOrder

GEOMETRY = toy_geometry()
THRESHOLD, CPU = 3e-4, torch.device("cpu")
COLUMNS = "features", "momentum", "layer_energy", "u"


class Rows:
    """Showers that count how they are read, and that cannot be read any more when told so."""

    def __init__(self, showers):
        self.showers, self.reads, self.broken = showers, [], False

    def __len__(self):
        return len(self.showers)

    def __getitem__(self, rows):
        if self.broken:
            msg = "cell_energy.npy: cannot be read"
            raise StoreError(msg)
        assert all(first < second for first, second in pairwise(rows.tolist()))
        self.reads.append(len(rows))
        return self.showers[rows]


@pytest.fixture
def generator():
    domain = Domain((1.0, 64.0), math.radians(15), (-5.0, 5.0), (-5.0, 5.0))
    architecture = Architecture(3, (8,), ("flip_x", "flip_y"))
    return build_generator(architecture, GEOMETRY, domain, ("momentum", "direction", "entry_point"), THRESHOLD)


@pytest.fixture
def rows():
    return Rows(toy_showers(np.random.default_rng(0), GEOMETRY, 1000).above(THRESHOLD))


@pytest.fixture
def held(generator, rows):
    return LocalShowers.load(generator, rows.showers, CPU)


def same(one, other):
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in COLUMNS)


def threads():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("showers")]


@pytest.mark.parametrize("section", [1, 100, 5000])
@pytest.mark.parametrize("window", [None, 512])
def test_batches_are_those_in_memory_from_any_batch_on(generator, rows, held, section, window):
    order = BatchOrder(1000, 32, 7, CPU) if window is None else WindowOrder(1000, 32, 7, CPU, window)
    streamed = StreamedShowers(generator, rows, CPU, section)
    for first in (0, 29):  # in the second epoch ends and a third begins
        counters = range(first, first + 40)
        with streamed.prefetch(order.batch(counter) for counter in counters):
            for counter in counters:
                index = order.batch(counter)
                assert same(streamed[index], held[index])
                assert threads()
        assert not threads()
    assert sum(rows.reads) <= 2 * 40 * 32


def test_sections_grow_from_one_batch_to_their_size(generator, rows):
    order = BatchOrder(1000, 10, 7, CPU)
    streamed = StreamedShowers(generator, rows, CPU, 85)
    with streamed.prefetch(order.batch(counter) for counter in range(25)):
        for counter in range(25):
            streamed[order.batch(counter)]
    assert rows.reads == [10, 20, 40, 80, 80, 20]


def test_no_more_than_two_sections_are_read_ahead(generator, rows):
    taken = []

    def batches():
        for counter in range(1000):
            taken.append(counter)
            yield torch.arange(10)

    streamed = StreamedShowers(generator, rows, CPU, 10)
    with streamed.prefetch(batches()):
        streamed[torch.arange(10)]
    assert len(taken) <= 6  # one used, two ready, one being made ready, two sections of one batch


def test_what_was_not_announced_is_read_at_once_and_loses_nothing(generator, rows, held):
    order = BatchOrder(1000, 32, 7, CPU)
    streamed = StreamedShowers(generator, rows, CPU, 100)
    other = torch.randperm(1000)[:50]
    assert same(streamed[other], held[other])
    with streamed.prefetch(order.batch(counter) for counter in range(3)):
        for counter in range(5):
            assert same(streamed[order.batch(counter)], held[order.batch(counter)])
            assert same(streamed[other], held[other])
    twice = torch.tensor([5, 3, 5, *range(100, 120)])
    assert same(streamed[twice], held[twice])


def test_an_error_of_the_thread_reaches_who_asks(generator, rows):
    order = BatchOrder(1000, 32, 7, CPU)
    streamed = StreamedShowers(generator, rows, CPU, 64)

    def use():
        with streamed.prefetch(order.batch(counter) for counter in range(100)):
            for counter in range(100):
                rows.broken = counter > 10
                streamed[order.batch(counter)]

    with pytest.raises(StoreError, match=r"cell_energy\.npy: cannot be read"):
        use()
    assert not threads()


def test_ahead_closes_what_it_takes_from():
    closed = threading.Event()

    def numbers():
        try:
            yield from range(100)
        finally:
            closed.set()

    items = ahead(numbers(), 3)
    assert [next(items) for _ in range(5)] == [0, 1, 2, 3, 4]
    items.close()
    assert closed.is_set()
    assert not threads()
