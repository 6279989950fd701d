import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calogan.training import windows
from calogan.training.batches import BatchOrder
from calogan.training.windows import BLOCK, WindowOrder, batch_order

CPU = torch.device("cpu")


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 3000), st.integers(1, 700), st.integers(1, 3000), st.integers(0, 2**62))
def test_an_epoch_holds_every_shower_at_most_once(n_showers, batch_size, window, seed):
    order = WindowOrder(n_showers, batch_size, seed, CPU, window)
    size = min(batch_size, n_showers)
    for epoch in range(2):
        first = epoch * (n_showers // size)
        batches = [order.batch(first + number) for number in range(n_showers // size)]
        assert all(len(batch) == size for batch in batches)
        rows = torch.cat(batches)
        assert len(rows.unique()) == len(rows) == n_showers // size * size
        assert rows.min() >= 0
        assert rows.max() < n_showers


def test_batches_depend_on_the_counter_alone():
    straight = WindowOrder(3000, 50, 7, CPU, 1024)
    expected = [straight.batch(counter) for counter in range(130)]
    resumed = WindowOrder(3000, 50, 7, CPU, 1024)
    for counter in (129, 3, 61, 60, 20, 21):
        assert torch.equal(resumed.batch(counter), expected[counter])


def test_a_window_is_of_whole_blocks_from_anywhere_and_mixed():
    order = WindowOrder(100 * BLOCK, 2 * BLOCK, 7, CPU, 10 * BLOCK)
    batches = [order.batch(counter) for counter in range(50)]
    for number in range(10):
        rows = torch.cat(batches[5 * number : 5 * number + 5])
        blocks, counts = (rows // BLOCK).unique(return_counts=True)
        assert counts.tolist() == 10 * [BLOCK]
        assert blocks.max() - blocks.min() > 30
        assert (batches[5 * number] // BLOCK).unique().numel() == 10
    assert not torch.equal(batches[0], order.batch(50))


def test_the_order_is_that_of_all_showers_unless_they_are_many(monkeypatch):
    def kind(*given):
        return type(batch_order(1000, 10, 32, 5, CPU, *given))

    assert kind(None) is BatchOrder
    assert kind(1000) is BatchOrder
    assert kind(999) is WindowOrder
    monkeypatch.setattr(windows, "MOST_SHUFFLED", 9_999)
    assert kind(None) is BatchOrder
    monkeypatch.setattr(windows, "WINDOW", 9_999)
    assert kind(None) is WindowOrder
    assert kind(1000) is BatchOrder


@pytest.mark.parametrize("window", [1, BLOCK - 1, BLOCK, 2 * BLOCK - 1])
def test_a_window_has_a_block_at_least(window):
    rows = WindowOrder(4 * BLOCK, BLOCK, 7, CPU, window).batch(0)
    assert (rows // BLOCK).unique().numel() == 1
    assert not torch.equal(rows, rows.sort().values)
