"""Training showers that are read from disk while the networks train on those before them."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator as Producer
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calogan.data.stored import ShowerRows
from calogan.models.generator import Generator
from calogan.physics.particles import network_input
from calogan.training.local import FrameChoices, LocalShowers

__all__ = ["StreamedShowers", "ahead"]

T = TypeVar("T")
READY = 2
"""Batches that wait for their turn."""


def ahead(items: Producer[T, None, None], most: int) -> Producer[T, None, None]:
    """The same items, of which a thread makes so many before they are asked for.

    Args:
        items: Closed at the end.
        most: Items, finished or not, that nobody has asked for yet.

    Raises:
        BaseException: What making an item raised, when it is asked for.

    Example:
        >>> list(ahead((number**2 for number in range(4)), most=2))
        [0, 1, 4, 9]
    """
    end = object()
    with closing(items), ThreadPoolExecutor(1, thread_name_prefix="showers") as thread:
        waiting: deque[Future[T | object]] = deque(thread.submit(next, items, end) for _ in range(most))
        try:
            while (item := waiting.popleft().result()) is not end:
                waiting.append(thread.submit(next, items, end))
                yield item  # type: ignore[misc]
        finally:
            for future in waiting:
                future.cancel()


class StreamedShowers:
    """Training showers of which memory holds those of the next batches.

    Showers of many batches to come, a section, are read at once in the order in which they lie on the disk. While
    the batches of one section are used, the next one is read.

    Args:
        generator: Whose frame and transform are used, on the device.
        showers: Where they are read from, cut at the threshold.
        device: Where they are wanted.
        section: Showers in a section, of which there are two; at least one batch.
    """

    def __init__(self, generator: Generator, showers: ShowerRows, device: torch.device, section: int) -> None:
        self._generator, self._showers, self._device, self._section = generator, showers, device, section
        self._choices = FrameChoices(len(showers), generator.frame.choices)
        self._coming: Iterator[_Raw] = iter(())
        self._next: _Raw | None = None

    def __len__(self) -> int:
        return len(self._showers)

    @property
    def device(self) -> torch.device:
        """Where the showers are wanted."""
        return self._device

    @property
    def index_device(self) -> torch.device:
        """Where their numbers are wanted."""
        return torch.device("cpu")

    def __getitem__(self, index: Tensor) -> LocalShowers:
        """Some of the showers: ready if they are the next of `prefetch`, else read now.

        Raises:
            StoreError: A shard is damaged.
        """
        rows = index.cpu().numpy()
        if self._next is None:
            self._next = next(self._coming, None)
        if self._next is not None and np.array_equal(self._next.rows, rows):
            batch, self._next = self._next, None
        else:
            found, place = np.unique(rows, return_inverse=True)
            batch = self._read(found).take(rows, place)
        arrays = batch.incident, batch.cell_energy, batch.choice
        return LocalShowers.of(self._generator, *(array.to(self._device, non_blocking=True) for array in arrays))

    @contextmanager
    def prefetch(self, batches: Iterator[Tensor]) -> Iterator[None]:
        """Read batches that are going to be asked for, in this order, in the background while the context lasts.

        Args:
            batches: Numbers of their showers, on the CPU; taken as far as a section goes.
        """
        with closing(ahead(self._batches(batches), READY)) as coming:
            self._coming, self._next = coming, None
            try:
                yield
            finally:
                self._coming, self._next = iter(()), None

    def _batches(self, batches: Iterator[Tensor]) -> Producer[_Raw, None, None]:
        cuda = self._device.type == "cuda"
        with closing(ahead(self._sections(batches), 1)) as sections:
            for section in sections:
                for rows, place in section.batches:
                    # a thread begins with the first GPU, not with the one of its process
                    with torch.cuda.device(self._device) if cuda else nullcontext():
                        yield section.showers.take(rows, place, pin=cuda)

    def _sections(self, batches: Iterator[Tensor]) -> Producer[_Section, None, None]:
        """Sections, the first of one batch: so much the sooner does the training begin."""
        size = 1
        while some := [batch.numpy() for batch in islice(batches, size)]:
            rows, place = np.unique(np.concatenate(some), return_inverse=True)
            places = np.split(place, np.cumsum([len(batch) for batch in some])[:-1])
            yield _Section(self._read(rows), list(zip(some, places, strict=True)))
            size = min(2 * size, max(1, self._section // len(some[0])))

    def _read(self, rows: NDArray[np.int64]) -> _Raw:
        some = self._showers[rows]
        incident = network_input(some.incident, some.pdg, self._generator.architecture.particles)
        arrays = torch.from_numpy(incident), torch.from_numpy(some.cell_energy)
        return _Raw(rows, *arrays, self._choices[rows])


@dataclass(frozen=True)
class _Raw:
    """Showers as they are on the disk, with the choice of their frames."""

    rows: NDArray[np.int64]
    incident: Tensor
    cell_energy: Tensor
    choice: Tensor

    def take(self, rows: NDArray[np.int64], place: NDArray[np.int64], *, pin: bool = False) -> _Raw:
        """Those in these places, whose numbers are `rows`; in pinned memory, from which a GPU copies by itself."""
        index = torch.from_numpy(place)
        taken = (array[index] for array in (self.incident, self.cell_energy, self.choice))
        return _Raw(rows, *(array.pin_memory() if pin else array for array in taken))


@dataclass(frozen=True)
class _Section:
    """Showers of some batches, each once, and for each batch their numbers and places."""

    showers: _Raw
    batches: list[tuple[NDArray[np.int64], NDArray[np.int64]]]
