import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calogan.training.batches import BLOCK, BalancedOrder, BatchNoise, BatchOrder, Share, step_seed

CPU = torch.device("cpu")


@given(st.integers(1, 60), st.integers(1, 80), st.integers(0, 2**62))
def test_an_epoch_holds_every_shower_at_most_once(n_showers, batch_size, seed):
    order = BatchOrder(n_showers, batch_size, seed, CPU)
    size = min(batch_size, n_showers)
    epoch = torch.cat([order.batch(counter) for counter in range(n_showers // size)])
    assert len(epoch) == n_showers // size * size
    assert len(epoch.unique()) == len(epoch)


def test_batches_depend_on_the_counter_alone():
    straight = BatchOrder(100, 10, 7, CPU)
    expected = [straight.batch(counter) for counter in range(35)]
    resumed = BatchOrder(100, 10, 7, CPU)
    for counter in (34, 3, 22):
        assert torch.equal(resumed.batch(counter), expected[counter])


def test_epochs_have_orders_of_their_own():
    order = BatchOrder(100, 100, 7, CPU)
    assert not torch.equal(order.batch(0), order.batch(1))


def test_step_seeds_differ():
    seeds = {step_seed(seed, step, use) for seed in range(5) for step in range(50) for use in range(3)}
    assert len(seeds) == 5 * 50 * 3
    assert all(0 <= seed < 2**63 for seed in seeds)


@given(st.integers(2, 300), st.integers(1, 9))
def test_shares_divide_a_batch_evenly(size, count):
    shares = [Share.of(size, number, count) for number in range(count)]
    positions = [position for share in shares for span in share.spans for position in span]
    assert sorted(positions) == list(range(size))
    for lengths in ([len(share) for share in shares], [len(share.penalised) for share in shares]):
        assert max(lengths) - min(lengths) <= 2
    assert sum(share.weight for share in shares) == pytest.approx(1)
    assert sum(share.penalised_weight for share in shares) == pytest.approx(1)
    assert sorted(position for share in shares for position in share.penalised) == list(range(size // 2))


def test_a_whole_batch_is_taken_as_it_is():
    batch = torch.arange(10)
    assert Share.of(10).take(batch).data_ptr() == batch.data_ptr()
    assert Share.of(10, 1, 2).take(batch).tolist() == [2, 3, 4, 7, 8, 9]


@given(st.integers(2, 1500), st.integers(1, 5))
@settings(max_examples=20)
def test_noise_is_that_of_the_position_whatever_the_share(size, count):
    noise = BatchNoise(3, CPU, torch.float32)
    whole = noise.draw((5, 1), Share.of(size), 4)
    for number in range(count):
        share = Share.of(size, number, count)
        part = noise.draw((5, 1), share, 4)
        assert all(torch.equal(one, share.take(other)) for one, other in zip(part, whole, strict=True))


def test_small_batches_have_one_seed():
    rng = torch.Generator().manual_seed(step_seed(3, 5, 1))
    expected = torch.randn(BLOCK, 7, generator=rng), torch.rand(BLOCK, 1, generator=rng)
    drawn = BatchNoise(3, CPU, torch.float32).draw((5, 1), Share.of(BLOCK), 7)
    assert all(torch.equal(one, other) for one, other in zip(drawn, expected, strict=True))


def test_positions_steps_and_uses_have_noise_of_their_own():
    noise = BatchNoise(3, CPU, torch.float64)
    uses = (5, 1), (5, 2), (6, 1), (5, 0, 0), (5, 0, 1)
    drawn = torch.cat([noise.draw(counters, Share.of(300), 1)[0] for counters in uses])
    assert len(drawn.unique()) == len(drawn)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=4), st.integers(1, 50), st.integers(0, 2**62))
def test_balanced_epochs_have_as_many_of_each_type(counts, batch_size, seed):
    pdg = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    order = BalancedOrder(pdg, batch_size, seed, CPU)
    size = min(batch_size, len(pdg))
    epoch = torch.cat([order.batch(counter) for counter in range(len(counts) * max(counts) // size)])
    left = len(counts) * max(counts) - len(epoch)
    times = np.bincount(epoch.numpy(), minlength=len(pdg))
    assert times[pdg == np.argmax(counts)].max() == 1
    drawn = np.bincount(pdg[epoch.numpy()], minlength=len(counts))
    assert all(max(counts) - left <= number <= max(counts) for number in drawn)
    assert all(np.ptp(times[pdg == one]) <= 1 + left for one in range(len(counts)))


def test_balanced_batches_depend_on_the_counter_alone():
    pdg = np.repeat(np.array([11, 22], dtype=np.int32), [80, 20])
    straight = BalancedOrder(pdg, 10, 7, CPU)
    expected = [straight.batch(counter) for counter in range(35)]
    resumed = BalancedOrder(pdg, 10, 7, CPU)
    for counter in (34, 3, 22):
        assert torch.equal(resumed.batch(counter), expected[counter])
    assert not torch.equal(straight.batch(0), straight.batch(16))
