"""Which showers make up which batch, computed from the counter alone so that a resumed run goes on exactly."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["BatchOrder", "step_seed"]

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 63) - 1


def step_seed(seed: int, *counters: int) -> int:
    """A 63-bit seed for one use at one step: a hash of `seed` and the counters (SplitMix64's mixing).

    Example:
        >>> step_seed(1, 0) != step_seed(1, 1) != step_seed(2, 0)
        True
    """
    value = seed
    for counter in counters:
        value = (value + (counter + 1) * _GOLDEN) & 0xFFFFFFFFFFFFFFFF
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        value ^= value >> 31
    return value & _MASK


class BatchOrder:
    """Every shower once an epoch, in an order of its own each epoch.

    Args:
        n_showers: Showers to choose from.
        batch_size: Showers in a batch; all of them if there are fewer.
        seed: Seed of the orders.
        device: Where the indices are wanted.
    """

    def __init__(self, n_showers: int, batch_size: int, seed: int, device: torch.device) -> None:
        self._n_showers = n_showers
        self._batch_size = min(batch_size, n_showers)
        self._seed = seed
        self._device = device
        self._per_epoch = n_showers // self._batch_size
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def batch(self, counter: int) -> Tensor:
        """Indices of batch number `counter`, shape ``(batch_size,)``."""
        epoch, position = divmod(counter, self._per_epoch)
        if epoch != self._epoch:
            rng = torch.Generator().manual_seed(step_seed(self._seed, epoch))
            self._order = torch.randperm(self._n_showers, generator=rng).to(self._device)
            self._epoch = epoch
        return self._order[position * self._batch_size : (position + 1) * self._batch_size]
