"""An order of batches for showers on disk: neighbours are read together, and yet hardly ever meet in a batch."""

from __future__ import annotations

import torch
from torch import Tensor

from calogan.training.batches import BatchOrder, step_seed

__all__ = ["WindowOrder", "batch_order"]

BLOCK = 256
"""Neighbouring showers that are read together: with 900 cells, 0.9 MB."""
MOST_SHUFFLED = 2**32
"""Cells of all showers up to which they are all shuffled with one another: 16 GiB."""
WINDOW = 2**28
"""Cells of the showers in a window otherwise: 1 GiB."""


class WindowOrder(BatchOrder):
    """Every shower once an epoch, in an order of its own each epoch, in which disks can be read fast.

    Blocks of neighbouring showers are put in a random order, all of them; so many of them that their showers fill a
    window come one after another, and the window's showers are shuffled. A batch is then drawn from `window` showers
    that are in ``window / BLOCK`` places all over the files, and not from all showers.

    Args:
        n_showers: Showers to choose from.
        batch_size: Showers in a batch; all of them if there are fewer.
        seed: Seed of the orders.
        device: Where the indices are wanted.
        window: Showers in a window, in whole blocks.
    """

    def __init__(self, n_showers: int, batch_size: int, seed: int, device: torch.device, window: int) -> None:
        super().__init__(n_showers, batch_size, seed, device)
        self._blocks_in_window = max(1, window // BLOCK)
        self._windows: tuple[Tensor, ...] = ()
        self._ends = torch.empty(0, dtype=torch.int64)
        self._shuffled = (-1, -1), torch.empty(0, dtype=torch.int64)

    def batch(self, counter: int) -> Tensor:
        """Indices of batch number `counter`, shape ``(batch_size,)``."""
        epoch, position = divmod(counter, self._per_epoch)
        if epoch != self._epoch:
            self._begin(epoch)
        start, found = position * self._batch_size, []
        stop = start + self._batch_size
        while start < stop:
            number = int(torch.searchsorted(self._ends, start, right=True))
            first = int(self._ends[number - 1]) if number else 0
            found.append(self._window(number)[start - first : stop - first])
            start += len(found[-1])
        return torch.cat(found).to(self._device)

    def _begin(self, epoch: int) -> None:
        rng = torch.Generator().manual_seed(step_seed(self._seed, epoch))
        blocks = torch.randperm(-(-self._n_showers // BLOCK), generator=rng)
        self._windows = torch.split(blocks, self._blocks_in_window)
        sizes = [int((self._n_showers - BLOCK * window).clamp_max(BLOCK).sum()) for window in self._windows]
        self._ends, self._epoch = torch.tensor(sizes).cumsum(0), epoch

    def _window(self, number: int) -> Tensor:
        """Showers of a window of this epoch, shuffled."""
        key = self._epoch, number
        if self._shuffled[0] != key:
            rows = (BLOCK * self._windows[number].unsqueeze(1) + torch.arange(BLOCK)).flatten()
            rows = rows[rows < self._n_showers]
            rng = torch.Generator().manual_seed(step_seed(self._seed, *key))
            self._shuffled = key, rows[torch.randperm(len(rows), generator=rng)]
        return self._shuffled[1]


def batch_order(
    n_showers: int, n_cells: int, batch_size: int, seed: int, device: torch.device, window: int | None
) -> BatchOrder:
    """The order of a training's batches; it does not depend on where the showers are.

    Args:
        n_showers: Showers to choose from.
        n_cells: Cells of each.
        batch_size: Showers in a batch; all of them if there are fewer.
        seed: Seed of the orders.
        device: Where the indices are wanted.
        window: Showers that are shuffled with one another; None takes all up to `MOST_SHUFFLED`, else `WINDOW`.
    """
    if window is None and n_showers * n_cells > MOST_SHUFFLED:
        window = WINDOW // n_cells
    if window is None or window >= n_showers:
        return BatchOrder(n_showers, batch_size, seed, device)
    return WindowOrder(n_showers, batch_size, seed, device, window)
