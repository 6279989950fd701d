"""Which showers make up which batch, and their noise, from counters alone: a resumed run goes on exactly.

A batch is the same however many processes compute it; each takes its share of the positions in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["BalancedOrder", "BatchNoise", "BatchOrder", "Share", "step_seed"]

PENALISED = 2
"""One in so many showers of a batch is in the gradient penalty, which takes most of the time."""
BLOCK, MOST_BLOCKS = 64, 16
"""Positions, at least, whose noise has a seed of its own, and into how many such blocks a batch is cut at most."""

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

    A training that is taken up with batches of another size goes on at the place that its counter has with them.

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
            self._order = self._shuffle(rng).to(self._device)
            self._epoch = epoch
        return self._order[position * self._batch_size : (position + 1) * self._batch_size]

    def _shuffle(self, rng: torch.Generator) -> Tensor:
        """Indices of an epoch."""
        return torch.randperm(self._n_showers, generator=rng)


class BalancedOrder(BatchOrder):
    """As many showers of each particle type an epoch, in an order of its own each epoch.

    Every shower of the most frequent type is taken once, those of the others several times, in turn.

    Args:
        pdg: PDG ids of the showers to choose from, shape ``(showers,)``.
        batch_size: Showers in a batch; all of them if there are fewer.
        seed: Seed of the orders.
        device: Where the indices are wanted.
    """

    def __init__(self, pdg: NDArray[np.int32], batch_size: int, seed: int, device: torch.device) -> None:
        self._types = [torch.from_numpy(np.flatnonzero(pdg == one)) for one in np.unique(pdg)]
        self._of_each = max(len(rows) for rows in self._types)
        super().__init__(self._of_each * len(self._types), min(batch_size, len(pdg)), seed, device)

    def _shuffle(self, rng: torch.Generator) -> Tensor:
        drawn = torch.cat([self._draw(rows, rng) for rows in self._types])
        return drawn[torch.randperm(len(drawn), generator=rng)]

    def _draw(self, rows: Tensor, rng: torch.Generator) -> Tensor:
        times = -(-self._of_each // len(rows))
        return torch.cat([rows[torch.randperm(len(rows), generator=rng)] for _ in range(times)])[: self._of_each]


@dataclass(frozen=True)
class Share:
    """Positions of a batch that are computed at once: part of those in the gradient penalty, part of the others.

    The first of a batch's showers are in the penalty. To give each process some of both, and not just its part of the
    whole, lets none wait for those that have the penalty to do, and leaves the batch of one process as it is.

    Attributes:
        size: Showers of the whole batch.
        penalised: Positions in the gradient penalty.
        others: Positions of the other showers.
    """

    size: int
    penalised: range
    others: range

    @classmethod
    def of(cls, size: int, number: int = 0, count: int = 1) -> Share:
        """Share `number` of `count` shares, which differ by two showers at most."""
        first = max(1, size // PENALISED)
        return cls(size, _part(range(first), number, count), _part(range(first, size), number, count))

    def __len__(self) -> int:
        return len(self.penalised) + len(self.others)

    @property
    def weight(self) -> float:
        """Of a mean over the share in that over the batch."""
        return len(self) / self.size

    @property
    def penalised_weight(self) -> float:
        """Of a mean over the share's penalised showers in that over the batch's."""
        return len(self.penalised) / max(1, self.size // PENALISED)

    @property
    def spans(self) -> list[range]:
        """The positions, in order, as few ranges as there can be."""
        if self.penalised.stop == self.others.start:
            return [range(self.penalised.start, self.others.stop)]
        return [self.penalised, self.others]

    def take(self, batch: Tensor) -> Tensor:
        """Rows of the share, penalised ones first, out of those of the batch."""
        return _joined([batch[span.start : span.stop] for span in self.spans])


class BatchNoise:
    """Random numbers of the positions of a batch, the same whatever share they are drawn for.

    Positions are cut into blocks, each with a seed of its own; a share draws the blocks that it has a part of.

    Args:
        seed: Seed of the training.
        device: Where the numbers are wanted; other kinds of devices draw other numbers.
        dtype: Their type.
    """

    def __init__(self, seed: int, device: torch.device, dtype: torch.dtype) -> None:
        self._seed, self._rng = seed, torch.Generator(device)
        self._empty = torch.empty(0, device=device, dtype=dtype)

    def draw(self, counters: tuple[int, ...], share: Share, width: int) -> tuple[Tensor, Tensor]:
        """Numbers for one use at one step.

        Args:
            counters: The step, the use, and which of several where that use has several.
            share: Positions.
            width: Normals that each of them needs.

        Returns:
            Standard normals, shape ``(positions, width)``, and uniform numbers, shape ``(positions, 1)``.
        """
        normals, uniforms = [], []
        rows = max(BLOCK, -(-share.size // MOST_BLOCKS))
        for span in share.spans:
            for block in range(span.start // rows, -(-span.stop // rows)):
                # the first block is seeded as whole batches once were
                self._rng.manual_seed(step_seed(self._seed, *counters, *([block] if block else [])))
                first, height = block * rows, min(rows, share.size - block * rows)
                inside = slice(max(span.start - first, 0), min(span.stop - first, height))
                normals.append(self._empty.new_empty(height, width).normal_(generator=self._rng)[inside])
                uniforms.append(self._empty.new_empty(height, 1).uniform_(generator=self._rng)[inside])
        return _joined(normals), _joined(uniforms)


def _part(positions: range, number: int, count: int) -> range:
    return positions[len(positions) * number // count : len(positions) * (number + 1) // count]


def _joined(pieces: Sequence[Tensor]) -> Tensor:
    return pieces[0] if len(pieces) == 1 else torch.cat(list(pieces))
