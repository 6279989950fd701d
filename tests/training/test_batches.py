import torch
from hypothesis import given
from hypothesis import strategies as st

from calogan.training.batches import BatchOrder, step_seed

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
